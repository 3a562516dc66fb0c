"""Mutants: a check, a disturbance of what it sees, and the comparison that must notice.

A check is a plain function, so a mutant calls it with the fixtures its signature asks for.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from harness.checks.case import Case
from harness.core.extensions import places
from harness.core.options import Options
from harness.core.types import Comparison
from harness.execution.executor import Executor, Producer
from harness.pool.workers import WorkerFailure
from suites.support.mutants.disturbances import Disturbance
from suites.support.mutants.way import Broken, Way

# Running a check


class Benchmark:
    """pytest-benchmark's fixture as far as the suites use it; ``share`` of the rounds are run."""

    disabled = False

    def __init__(self, share: float = 1.0) -> None:
        self.group = ""
        self.extra_info: dict[str, Any] = {}
        self.share = share

    def pedantic(self, function: Callable[[], None], rounds: int, iterations: int) -> None:
        for _ in range(int(rounds * self.share) * iterations):
            function()


@dataclass(frozen=True)
class Run:
    """As much of a run as checks ask their session for."""

    options: Options = field(default_factory=lambda: Options(tier="quick"))
    memo: dict[str, Any] = field(default_factory=dict)


Place = tuple[str, int]


class WatchedCase(Case):
    """Remembers which lines of the suites made the comparisons that failed."""

    def __init__(self) -> None:
        super().__init__()
        self.places: set[Place] = set()

    def add(self, comparison: Comparison) -> Comparison:
        if not comparison.ok:
            frame = sys._getframe(1)
            while frame.f_back is not None and not _of_suites(frame.f_code.co_filename):
                frame = frame.f_back
            self.places.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        return super().add(comparison)


def _of_suites(file: str) -> bool:
    path = Path(file)
    return path.parent in places("suites") and path.name.startswith("test_")


@dataclass(frozen=True)
class Ending:
    """How a check ended: ``failed`` names the comparisons that came out wrong."""

    outcome: Literal["pass", "fail", "error", "not-run", "broken"]
    text: str = ""
    failed: tuple[str, ...] = ()
    places: frozenset[Place] = frozenset()


# Mutants


@dataclass(frozen=True)
class Mutant:
    """One way to be wrong that a check must notice.

    Args:
        by: what disturbs the check. Nothing: Paddle itself is wrong, which ``repair`` mends.
        given: the check's own parameters; ``target`` may be a name.
        says: occurs in the failed comparison's name (or in the error), so that the assertion that
            is meant does the killing, and no other.
        expected: ``"error"`` where Paddle refuses, and the refusal is what the check ends with.
        repair: what makes the unmutated check pass where this Paddle does not keep the promise.
        swapped: parameters that are others in the mutated run.
        oracle: the oracle and the tolerances are disturbed as well, in an executor with none cached.
        executor: another executor for both runs.
        needs: what this machine may lack, so that the check is not run here, nor the mutant.
        flag: a flag of the processor without which the disturbance changes nothing.
        slow: takes more than a few seconds.
    """

    name: str
    check: Callable[..., None]
    by: tuple[Disturbance, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""
    expected: Literal["fail", "error"] = "fail"
    repair: tuple[Disturbance, ...] = ()
    swapped: Mapping[str, Any] = field(default_factory=dict)
    oracle: bool = False
    executor: Callable[[Executor], Executor] | None = None
    needs: str = ""
    flag: str = ""
    slow: bool = False

    @property
    def id(self) -> str:
        area = self.check.__module__.rsplit(".", 1)[-1].removeprefix("test_")
        return f"{area}/{self.check.__name__.removeprefix('test_')}: {self.name}"


def parameters(mutants: tuple[Mutant, ...]) -> list[Any]:
    """For ``pytest.mark.parametrize("mutant", ...)``."""
    return [
        pytest.param(mutant, id=mutant.id, marks=[pytest.mark.slow] if mutant.slow else [])
        for mutant in mutants
    ]


def full_mnist(executor: Executor) -> Executor:
    """An executor that says it has the full MNIST (its artifacts are those of the digits it has)."""
    other = copy.copy(executor)
    other.builder = copy.copy(executor.builder)
    other.builder.dataset = {**executor.builder.dataset, "train": 60_000}
    return other


class Teeth:
    """Runs mutants and keeps count."""

    def __init__(self, executor: Executor, folder: Callable[[], Path]) -> None:
        self.executor = executor
        self.folder = folder
        self.killed: list[str] = []
        self.survivors: list[str] = []
        self.not_run: list[str] = []
        self.places: set[Place] = set()
        self._unmutated: dict[str, Ending] = {}

    def prove(self, mutant: Mutant) -> None:
        """The unmutated check passes, the mutated one fails where the mutant says.

        Raises:
            Broken: it proves nothing.
            AssertionError: it survived.
        """
        if mutant.flag and mutant.flag not in self.executor.environment["cpu"]["flags"]:
            self.not_run.append(mutant.id)
            pytest.skip(f"needs a processor with {mutant.flag}")
        key = f"{mutant.check.__module__}.{mutant.check.__name__} {mutant.given!r} {mutant.repair!r}"
        if key not in self._unmutated:
            self._unmutated[key] = self._run(mutant, mutant.repair, {})
        unmutated = self._unmutated[key]
        if unmutated.outcome == "not-run" and mutant.needs:
            self.not_run.append(mutant.id)
            pytest.skip(f"needs {mutant.needs}: {unmutated.text}")
        if unmutated.outcome != "pass":
            raise Broken(f"the unmutated check ends as {unmutated.outcome}: {unmutated.text}")
        # Without a disturbance, Paddle as it is, unrepaired, is the mutant.
        mutation = mutant.repair + mutant.by if mutant.by or mutant.swapped else ()
        ending = self._run(mutant, mutation, mutant.swapped)
        if self._is_killed(mutant, ending):
            self.killed.append(mutant.id)
            self.places |= ending.places
            return
        if ending.outcome in ("broken", "error", "not-run"):
            raise Broken(f"the mutated check ends as {ending.outcome}: {ending.text}")
        self.survivors.append(mutant.id)
        pytest.fail(
            f"the mutant survived: the check ended as {ending.outcome}, and nothing that failed says "
            f"{mutant.says!r}; failed: {list(ending.failed)[:5]}",
            pytrace=False,
        )

    @staticmethod
    def _is_killed(mutant: Mutant, ending: Ending) -> bool:
        if mutant.expected == "error":
            return ending.outcome == "error" and mutant.says in ending.text
        if ending.outcome == "fail" and not ending.failed:
            return mutant.says in ending.text  # "the check compared nothing"
        # What is raised after a comparison failed comes of the same fault; the record keeps both.
        return any(mutant.says in what for what in ending.failed)

    def _run(
        self, mutant: Mutant, disturbances: tuple[Disturbance, ...], swapped: Mapping[str, Any]
    ) -> Ending:
        executor = mutant.executor(self.executor) if mutant.executor else self.executor
        if mutant.oracle and disturbances:
            executor = copy.copy(executor)
            executor.__dict__.pop("_references", None)
        case = WatchedCase()
        scratch = self.folder()
        way = Way(executor, disturbances, scratch, oracle=mutant.oracle and bool(disturbances))
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, scratch, ignore_errors=True)
            fixtures = self._fixtures(mutant, executor, case, stack, {**mutant.given, **swapped})
            outcome, text = self._ended(mutant.check, fixtures, case, way)
        failed = tuple(comparison.what for comparison in case.comparisons if not comparison.ok)
        idle = [d for d in disturbances if not way.hits[d]]
        if idle and outcome != "not-run":
            outcome, text, failed = "broken", f"never hit: {idle}; {text}", ()
        return Ending(outcome, text, failed, frozenset(case.places))

    @staticmethod
    def _ended(check: Any, fixtures: dict[str, Any], case: Case, way: Way) -> tuple[Any, str]:
        try:
            with way.open():
                check(**fixtures)
            case.conclude()
        except AssertionError as error:
            return "fail", str(error)
        except WorkerFailure as error:
            return "error", f"{type(error).__name__}: {error}"
        except pytest.skip.Exception as skipped:
            return "not-run", str(skipped)
        except Exception as error:
            return "broken", f"{type(error).__name__}: {error}"
        return "pass", ""

    def _fixtures(
        self,
        mutant: Mutant,
        executor: Executor,
        case: Case,
        stack: contextlib.ExitStack,
        given: Mapping[str, Any],
    ) -> dict[str, Any]:
        fixtures: dict[str, Any] = {}
        for name in inspect.signature(mutant.check).parameters:
            if name in given:
                found = given[name]
                named = {"target": executor.targets, "method": executor.builder.methods}.get(name)
                fixtures[name] = named[found] if named and isinstance(found, str) else found
            elif name == "case":
                fixtures[name] = case
            elif name == "executor":
                fixtures[name] = executor
            elif name == "producer":
                fixtures[name] = Producer("itself", executor)
            elif name == "run_session":
                fixtures[name] = Run()
            elif name == "benchmark":
                fixtures[name] = Benchmark()
            elif name == "tmp_path":
                fixtures[name] = self.folder()
                stack.callback(shutil.rmtree, fixtures[name], ignore_errors=True)
            elif name == "bench":
                from suites.test_robustness import Bench  # most checks do without

                fixtures[name] = Bench(executor)
                stack.callback(fixtures[name].close)
            else:
                raise Broken(f"nothing is given for the parameter {name!r}")
        return fixtures

    def summary(self) -> list[str]:
        """The count, and who survived."""
        total = len(self.killed) + len(self.survivors)
        rate = 100 * len(self.killed) / total if total else 0.0
        return [
            f"mutants: {total}, killed: {len(self.killed)} ({rate:.3g} %)",
            *(f"survived: {name}" for name in self.survivors),
            *(f"not run: {name}" for name in self.not_run),
        ]
