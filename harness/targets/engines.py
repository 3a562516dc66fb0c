"""The engines other than Paddle that runtimes and recipes need: their interpreters, made on first use."""

from __future__ import annotations

import functools

from harness.core.errors import HarnessError, NotApplicable
from harness.environments.engines import engines, python_of
from harness.pool.workers import WorkerPool


class Engines:
    """The engines that the runtimes of the environment under test say they need (``runtimes.engines``)."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._found: dict[str, str | HarnessError] = {}

    @functools.cached_property
    def _needs(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self._pool.call("runtimes.engines")
        return found

    def _of(self, kind: str, name: str) -> str:
        """Return the engine of a runtime or of a recipe; '' for those that run in Paddle."""
        return next((need["engine"] for need in self._needs if need[kind] == name), "")

    def refusal(self, runtime: str) -> str:
        """Return why the runtime's engine is not available here, or ''."""
        try:
            self.options(runtime)
        except NotApplicable as reason:
            return str(reason)
        return ""

    def options(self, runtime: str) -> dict[str, str]:
        """Return a runtime's options that name its engine's interpreter; {} without an engine.

        Raises:
            NotApplicable: the engine's environment cannot be made.
        """
        engine = self._of("runtime", runtime)
        return {"python": self._python(engine)} if engine else {}

    def parameters(self, recipe: str) -> dict[str, str]:
        """Return a recipe's parameters that name its engine's interpreter; raise as :meth:`options`."""
        engine = self._of("recipe", recipe)
        return {"engine_python": self._python(engine)} if engine else {}

    def origin(self, recipe: str) -> dict[str, str]:
        """Return the engine's part of an artifact's origin: name and version, not its path."""
        engine = self._of("recipe", recipe)
        return {"engine": engines()[engine].label} if engine else {}

    def profile(self, runtime: str) -> str:
        """Return the profile whose export a runtime's recipe needs, or ''."""
        return next((need["profile"] for need in self._needs if need["runtime"] == runtime), "")

    def _python(self, engine: str) -> str:
        if engine not in self._found:
            try:
                self._found[engine] = python_of(engine)
            except HarnessError as error:
                self._found[engine] = error  # else every case would wait for the same refusal
        found = self._found[engine]
        if isinstance(found, HarnessError):
            raise NotApplicable(str(found)) from found
        return found
