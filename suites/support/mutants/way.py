"""The way between a check and Paddle: every call, answer and manifest passes it, disturbed or not.

Oracle, tolerances, samples and recipes are left alone, so nothing wrong ever reaches the store or
a cache.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from harness.artifacts.builder import ArtifactBuilder
from harness.artifacts.store import Artifact
from harness.execution.executor import Executor
from harness.pool.workers import Worker
from harness.worker.protocol.wire import pack, unpack
from suites.support.mutants.disturbances import Arguments, Call, Disturbance, Files, Made, Printed, Result

REMEMBERED = (
    "checks.high_level.resume",
    "training.distributed.run",
    "training.data_parallel.training.alone",
    "machine.limits.measure",
)
"""Calls that take seconds, only read, and answer the same each time: their answers are kept, so that
a mutant of the answer costs nothing."""


KEPT = ("digits", "out", "options", "python")
"""Arguments whose paths are of no file that an artifact holds."""


class Broken(Exception):
    """The mutant proves nothing: it never hit, or the unmutated check does not pass."""


class Way:
    """The way between a check and the worker, with what disturbs it and how often that hit."""

    def __init__(
        self, executor: Executor, disturbances: tuple[Disturbance, ...], scratch: Path, oracle: bool
    ) -> None:
        self.executor = executor
        self.disturbances = disturbances
        self.scratch = scratch
        self.oracle = oracle
        self.hits: Counter[Disturbance] = Counter()
        self.numbers: Counter[str] = Counter()
        self._resting = 0

    @contextlib.contextmanager
    def at_rest(self) -> Iterator[None]:
        """Nothing is disturbed meanwhile."""
        self._resting += 1
        try:
            yield
        finally:
            self._resting -= 1

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Every call, artifact and reference of the block goes this way."""
        call, printed, artifact = Worker.call, Worker.printed, ArtifactBuilder.artifact
        reference, sample = Executor.reference, Executor._sample

        def through_call(worker: Worker, name: str, deadline: float, /, **arguments: Any) -> Any:
            if self._resting:
                return call(worker, name, deadline, **arguments)
            return self._carry(functools.partial(call, worker), name, deadline, arguments)

        def through_printed(worker: Worker) -> str:
            text = printed(worker)
            return text if self._resting else self._answer(Printed, text)

        def through_artifact(
            builder: ArtifactBuilder, recipe: str, *arguments: Any, **parameters: Any
        ) -> Artifact:
            with self.at_rest():
                found = artifact(builder, recipe, *arguments, **parameters)
            if self._resting:
                return found
            for made in (d for d in self.disturbances if isinstance(d, Made) and d.recipe == recipe):
                self.hits[made] += 1
                found = Artifact(found.path, made.change(found.manifest))
            return found

        def through_reference(executor: Executor, *arguments: Any, **options: Any) -> Any:
            if self.oracle:
                return reference(executor, *arguments, **options)
            with self.at_rest():
                return reference(executor, *arguments, **options)

        def through_sample(executor: Executor, *arguments: Any) -> Any:
            with self.at_rest():
                return sample(executor, *arguments)

        with (
            mock.patch.object(Worker, "call", through_call),
            mock.patch.object(Worker, "printed", through_printed),
            mock.patch.object(ArtifactBuilder, "artifact", through_artifact),
            mock.patch.object(Executor, "reference", through_reference),
            mock.patch.object(Executor, "_sample", through_sample),
        ):
            yield

    def _answer(self, kind: type, text: str) -> str:
        for printed in (d for d in self.disturbances if isinstance(d, Printed)):
            self.hits[printed] += 1
            text = printed.change(text)
        return text

    def _carry(self, call: Any, name: str, deadline: float, arguments: dict[str, Any]) -> Any:
        self.numbers[name] += 1
        made = Call(name, arguments, self.numbers[name])
        mine = [
            d
            for d in self.disturbances
            if isinstance(d, Arguments | Files | Result) and d.call == name and d.when(made)
        ]
        for disturbance in mine:
            self.hits[disturbance] += 1
            with self.at_rest():
                if isinstance(disturbance, Arguments):
                    arguments = disturbance.change(dict(arguments), self.executor)
                    name = disturbance.instead or name
                elif isinstance(disturbance, Files):
                    arguments = self._led_to_copies(arguments, disturbance)
        answer = _remembered(call, name, deadline, arguments)
        for disturbance in mine:
            if isinstance(disturbance, Result):
                answer = disturbance.change(answer)
        return answer

    def _led_to_copies(self, arguments: dict[str, Any], files: Files) -> dict[str, Any]:
        copies: dict[Path, Path] = {}
        store = self.executor.builder.store.root

        def lead(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: lead(item) for name, item in value.items()}
            if not isinstance(value, str) or not value.startswith("/"):
                return value
            path = Path(value)
            if store in path.parents:
                base = store / path.relative_to(store).parts[0]
            else:
                base = path if path.is_dir() else path.parent
            if base not in copies:
                copies[base] = self.scratch / f"copy-{len(list(self.scratch.iterdir()))}"
                shutil.copytree(base, copies[base])
            return str(copies[base] / path.relative_to(base))

        led: dict[str, Any] = {name: item if name in KEPT else lead(item) for name, item in arguments.items()}
        if not sum(files.damage(folder, self.executor) for folder in copies.values()):
            raise Broken(f"no file to damage in {', '.join(map(str, copies))}")
        return led


_answers: dict[bytes, bytes] = {}


def _remembered(call: Any, name: str, deadline: float, arguments: dict[str, Any]) -> Any:
    if name not in REMEMBERED:
        return call(name, deadline, **arguments)
    key = pack([name, arguments])
    if key not in _answers:
        _answers[key] = pack(call(name, deadline, **arguments))
    return unpack(_answers[key])
