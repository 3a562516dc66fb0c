"""The engines that runtimes and recipes need beside Paddle: their interpreters, when first asked for."""

from __future__ import annotations

import functools

from harness.core.errors import HarnessError, NotApplicable
from harness.environments.engines import engines, python_of
from harness.pool.workers import WorkerPool


class Engines:
    """What the runtimes of the environment under test say they need (``runtimes.engines``)."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._found: dict[str, str | HarnessError] = {}

    @functools.cached_property
    def _needs(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self._pool.call("runtimes.engines")
        return found

    def _of(self, kind: str, name: str) -> str:
        """The engine of a runtime or of a recipe; '' for those that are Paddle itself."""
        return next((need["engine"] for need in self._needs if need[kind] == name), "")

    def refusal(self, runtime: str) -> str:
        """Why the runtime's engine cannot be had here; ''."""
        try:
            self.options(runtime)
        except NotApplicable as reason:
            return str(reason)
        return ""

    def options(self, runtime: str) -> dict[str, str]:
        """What a runtime is told of its engine.

        Raises:
            NotApplicable: its environment cannot be made.
        """
        engine = self._of("runtime", runtime)
        return {"python": self._python(engine)} if engine else {}

    def parameters(self, recipe: str) -> dict[str, str]:
        """What a recipe is told of its engine; raises as :meth:`options`."""
        engine = self._of("recipe", recipe)
        return {"engine_python": self._python(engine)} if engine else {}

    def origin(self, recipe: str) -> dict[str, str]:
        """What a recipe's artifact owes to its engine: where that lies makes no difference."""
        engine = self._of("recipe", recipe)
        return {"engine": engines()[engine].label} if engine else {}

    def profile(self, runtime: str) -> str:
        """The profile whose export a runtime's recipe needs; ''."""
        return next((need["profile"] for need in self._needs if need["runtime"] == runtime), "")

    def _python(self, engine: str) -> str:
        if engine not in self._found:
            try:
                self._found[engine] = python_of(engine)
            except HarnessError as error:
                self._found[engine] = error  # every case would wait for the same refusal again
        found = self._found[engine]
        if isinstance(found, HarnessError):
            raise NotApplicable(str(found)) from found
        return found
