"""Measure with a pair of fresh processes, one of each side, that take turns on one processor."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any, Literal

import msgspec
import numpy as np

from harness.execution.executor import Executor
from harness.pool.workers import RemoteError, Worker, WorkerFailure
from harness.speed import machine
from harness.speed.decide import Sample
from harness.speed.machine import Placement
from harness.speed.operators import OperatorTime, differences
from harness.targets.target import Target

BLOCK_S = 0.005
"""Seconds of a block of the warm-up."""
SETTLE_S = 0.1
TURN_S = 0.0002
"""Least seconds of a turn: one run of most models, so that a disturbance affects both sides."""
LEAST_ROUNDS = 15
GROUP = 5
"""Successive rounds with the same slowdown."""
PROFILES = 3
"""Profiles of each side, by turns."""
PROFILED_S = 0.1
LEAST_PROFILED, MOST_PROFILED = 5, 50
"""Runs in a profile."""


Quantity = Literal["run", "load", "memory"]
"""What is compared of a workload: the time of a run, the time to load it, the memory of its process."""


class Side(msgspec.Struct, frozen=True):
    """One of the two sides compared: an environment, with the name shown to the user."""

    name: str
    executor: Executor


class Workload(msgspec.Struct, frozen=True):
    """What is timed: one model at one batch size, on a target for each side."""

    model: str
    batch: int
    targets: tuple[Target, Target]

    @property
    def id(self) -> str:
        first, second = (target.name for target in self.targets)
        names = first if first == second else f"{first}-to-{second}"
        return f"{self.model}-{names}-b{self.batch}"


class Timed(msgspec.Struct, frozen=True):
    """Times of one workload from one session on each side; natural logarithms of candidate over baseline.

    ``ratios``: one for each ``extra`` (a slowdown added to the candidate), see :func:`read`; empty where
    the session was only opened. ``medians``: seconds per run. ``load_ms``: time to load, and ``memory_mib``:
    resident memory with the model, in addition to a process that has imported Paddle, on each side.
    ``disturbed``: share of turns in which the system took the processor away; ``unsteady``: a side was still
    getting faster when its warm-up ended.
    """

    load_ms: tuple[float, float]
    memory_mib: tuple[float, float]
    ratios: tuple[float, ...] = ()
    medians: tuple[float, float] = (0.0, 0.0)
    rounds: int = 0
    disturbed: float = 0.0
    unsteady: bool = False


class Measured(msgspec.Struct, frozen=True):
    """Times of one workload from one pair of processes: every session, and their means, which are the sample.

    Sessions in one process differ by their memory layout, which causes most of the noise; the rest is
    common to all sessions of a process. ``paddle_mib``: memory of each process before its first model.
    """

    swapped: bool
    extras: tuple[float, ...]
    sessions: tuple[Timed, ...]
    paddle_mib: tuple[float, float]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Log of candidate over baseline for each extra, as the mean over the sessions."""
        return tuple(float(value) for value in np.mean([one.ratios for one in self.sessions], axis=0))

    @property
    def medians(self) -> tuple[float, float]:
        """Seconds per run of baseline and candidate, as the geometric mean over the sessions."""
        first, second = np.exp(np.mean(np.log([one.medians for one in self.sessions]), axis=0))
        return float(first), float(second)

    @property
    def load_ms(self) -> tuple[float, float]:
        """Time to load of baseline and candidate, as the geometric mean over the sessions."""
        first, second = np.exp(np.mean(np.log([one.load_ms for one in self.sessions]), axis=0))
        return float(first), float(second)

    @property
    def memory_mib(self) -> tuple[float, float]:
        """Resident memory of a process that has imported Paddle and loaded the model, and run it once.

        Of the first session: later ones reuse memory that earlier ones freed.
        """
        own = self.sessions[0].memory_mib
        return self.paddle_mib[0] + own[0], self.paddle_mib[1] + own[1]

    @property
    def disturbed(self) -> float:
        return float(np.mean([one.disturbed for one in self.sessions]))

    @property
    def unsteady(self) -> bool:
        return any(one.unsteady for one in self.sessions)

    def sample(self, quantity: Quantity = "run", index: int = 0) -> Sample:
        """The pair as a sample of a quantity's comparison; ``index``: of the slowdown, for runs."""
        if quantity == "run":
            return Sample(self.ratios[index], self.swapped)
        before, after = self.load_ms if quantity == "load" else self.memory_mib
        return Sample(math.log(after / before), self.swapped)

    def median(self, quantity: Quantity) -> tuple[float, float]:
        """Baseline and candidate: microseconds of a run, milliseconds to load, or MiB."""
        if quantity == "run":
            return self.medians[0] * 1e6, self.medians[1] * 1e6
        return self.load_ms if quantity == "load" else self.memory_mib

    def first(self, sessions: int) -> Measured:
        """Return the same pair with only its first ``sessions`` sessions."""
        return msgspec.structs.replace(self, sessions=self.sessions[:sessions])


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one pair of processes measures of each workload: sessions, and seconds of runs per side in each.

    The best number of sessions is the square root of (cost of a pair ÷ cost of a session) × (variance
    within a pair ÷ variance between pairs); the best length of a session follows in the same way (Kalibera
    and Jones, Rigorous benchmarking in reasonable time, ISMM 2013). Measured on a shared machine: after
    0.15 s a session's value is known to 0.8 %, but sessions differ by 1 to 3 %, depending on the hour,
    because of their memory layout. So there are many short sessions.
    """

    sessions: int = 4
    seconds: float = 0.06


def visits(
    works: Sequence[Workload], sessions: int, rng: np.random.Generator
) -> Iterator[tuple[int, Workload]]:
    """Yield every workload's first session, then every workload's second one, each time in a new order."""
    for number in range(sessions):
        for index in rng.permutation(len(works)):
            yield number, works[index]


Turn = tuple[int, float]
"""Index of the side, and the slowdown of its runs as a share of their time."""


def order(rounds: int, extras: Sequence[float], rng: np.random.Generator) -> list[Turn]:
    """Plan the turns, the baseline first and last, with at least ``rounds`` rounds of each slowdown.

    The sides alternate strictly: one that runs twice in a row, or more often than the other, finds warmer
    caches, which looked like 5 % in an A/A test. A slowdown lasts :data:`GROUP` rounds, as a slow run
    also affects the next one. All slowdowns come once, in random order, before any is repeated.
    """
    found: list[Turn] = []
    while len(found) < 2 * rounds * len(extras):
        for extra in rng.permutation(extras):
            found += [(0, float(extra)), (1, float(extra))] * GROUP
    return [*found, (0, found[-1][1])]


def read(
    whose: Sequence[Turn], seconds: Sequence[Sequence[float]], extras: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, float]]:
    """Return for each slowdown the median log ratio of candidate over baseline, and each side's median.

    Each turn of the candidate is divided by the baseline's turn before it and by the one after it. A
    disturbance (work of another machine on the same core) lasts for milliseconds, mostly longer than two
    runs, so it cancels in most of these ratios. Medians of longer blocks would contain it.
    """
    baseline, candidate = (np.asarray(side) for side in seconds)
    extra = np.asarray([turn[1] for turn in whose if turn[0] == 1])
    both = np.log(np.stack([candidate / baseline[:-1], candidate / baseline[1:]]))
    return (
        tuple(float(np.median(both[:, extra == one])) for one in extras),
        (float(np.median(baseline)), float(np.median(candidate[extra == extras[0]]))),
    )


class Pair(msgspec.Struct):
    """Two processes; ``workers[0]`` is that of the baseline."""

    sides: Sequence[Side]
    workers: Sequence[Worker]
    swapped: bool
    paddle_mib: tuple[float, float]
    helpers: Sequence[int] = ()

    def measure(
        self,
        work: Workload,
        budget_s: float,
        rng: np.random.Generator,
        extras: Sequence[float] = (0.0,),
        number: int = 0,
    ) -> Timed:
        """Time one workload in a new session on each side, for about ``budget_s`` seconds of runs on each.

        ``budget_s`` 0: only load it, and run it once. ``number``: index of the session in the pair; the sides
        take turns in opening their session first.

        Raises:
            WorkerFailure: loading or running raised, crashed or hung.
        """
        held = [self._hold(index, work) for index in self._order(number)]
        held.sort(key=lambda one: one["side"])
        loaded = Timed(
            load_ms=(held[0]["load_ms"], held[1]["load_ms"]),
            memory_mib=(held[0]["load_mib"], held[1]["load_mib"]),
        )
        try:
            if not budget_s:
                return loaded
            settled = [
                self._call(one["side"], "settle", number=one["number"], block_s=BLOCK_S, budget_s=SETTLE_S)
                for one in held
            ]
            longest = max(state["seconds"] for state in settled)
            runs = max(1, round(TURN_S / longest))
            rounds = max(LEAST_ROUNDS, round(budget_s / (runs * longest)))
            whose = order(rounds, extras, rng)
            seconds, disturbed = self._turns(held, runs, whose)
        finally:
            for one in held:
                if self.workers[one["side"]].alive:  # a killed process would raise and hide the first error
                    self._call(one["side"], "release", number=one["number"])
        ratios, medians = read(whose, seconds, extras)
        return msgspec.structs.replace(
            loaded,
            ratios=ratios,
            medians=medians,
            rounds=len(whose) // (2 * len(extras)),
            disturbed=disturbed,
            unsteady=not all(state["steady"] for state in settled),
        )

    def operators(self, work: Workload) -> tuple[OperatorTime, ...]:
        """Profile the workload on both sides by turns; return the operators whose times differ most.

        Raises:
            WorkerFailure: loading or running raised, crashed or hung.
        """
        held = [self._hold(side, work) for side in (0, 1)]
        settled = [
            self._call(one["side"], "settle", number=one["number"], block_s=BLOCK_S, budget_s=SETTLE_S)
            for one in held
        ]
        longest = max(state["seconds"] for state in settled)
        runs = max(LEAST_PROFILED, min(MOST_PROFILED, round(PROFILED_S / longest)))
        profiles = [
            [self._call(one["side"], "operators", number=one["number"], runs=runs) for one in held]
            for _ in range(PROFILES)
        ]
        for one in held:
            self._call(one["side"], "release", number=one["number"])
        before, after = zip(*profiles, strict=True)
        return differences(before, after)

    def _turns(self, held: Sequence[dict[str, Any]], runs: int, whose: Sequence[Turn]) -> tuple[Any, float]:
        """Return median seconds of each side's turns, and the share of turns that the system interrupted."""
        with tempfile.TemporaryDirectory(prefix="paddle-turns-") as folder, ThreadPoolExecutor(2) as callers:
            pipes = [os.path.join(folder, name) for name in ("baseline", "candidate")]
            for pipe in pipes:
                os.mkfifo(pipe)
            calls = [
                callers.submit(
                    self._call,
                    one["side"],
                    "turns",
                    number=one["number"],
                    mine=one["side"],
                    order=whose,
                    runs=runs,
                    receive=pipes[one["side"]],
                    give=pipes[1 - one["side"]],
                )
                for one in held
            ]
            ended, _ = wait(calls, return_when=FIRST_EXCEPTION)
            failures = [failure for call in ended if (failure := call.exception()) is not None]
            if failures:
                # The other side may wait for a turn that will not come; ignore its error.
                for worker in self.workers:
                    worker.kill()
                raise failures[0]
            found = [call.result() for call in calls]
        return [one["seconds"] for one in found], sum(one["taken"] for one in found) / len(whose)

    def _order(self, number: int) -> tuple[int, int]:
        return (1, 0) if self.swapped != bool(number % 2) else (0, 1)

    def _hold(self, side: int, work: Workload) -> dict[str, Any]:
        executor, target = self.sides[side].executor, work.targets[side]
        found = self._call(
            side,
            "hold",
            runtime=target.runtime,
            files=executor.builder.files(target, work.model),
            model=work.model,
            options=executor.options(target),
            feed=executor.sample(work.model, work.batch),
            helpers=list(self.helpers),
        )
        return {"side": side, **found}

    def _call(self, side: int, name: str, **arguments: Any) -> Any:
        return self.workers[side].call(
            f"checks.speed.{name}", self.sides[side].executor.pool.deadline, **arguments
        )


@contextlib.contextmanager
def pair(
    sides: Sequence[Side], profiles: Sequence[Target], swapped: bool, place: Placement
) -> Iterator[Pair]:
    """Start a pair of processes on the measured processor; ``swapped``: the candidate's starts first.

    ``profiles``: a target of each side, with the environment variables for its process. Both import Paddle
    at the same time, the first one on the measured processor. Afterwards the libraries that they had mapped
    leave the page cache, so that the next pair's lie in memory anew.
    """
    order = (1, 0) if swapped else (0, 1)
    mapped: set[str] = set()
    with contextlib.ExitStack() as stack:
        workers = {
            index: stack.enter_context(
                sides[index].executor.pool.fresh(
                    forked=False, spec=sides[index].executor.spec(profiles[index])
                )
            )
            for index in order
        }

        def prepare(index: int) -> None:
            worker, deadline = workers[index], sides[index].executor.pool.deadline
            if index == order[0]:
                _pin(worker, deadline, place.measured)
            worker.call("machine.memory.keep", deadline)
            worker.call("protocol.environment.import_paddle", deadline)
            _pin(worker, deadline, place.measured)

        with ThreadPoolExecutor(2) as starters:
            list(starters.map(prepare, order))
        memory = [
            worker.call("machine.memory.resident", sides[index].executor.pool.deadline)
            for index, worker in sorted(workers.items())
        ]
        yield Pair(sides, [workers[0], workers[1]], swapped, (memory[0], memory[1]), place.helpers)
        for index, worker in workers.items():
            with contextlib.suppress(WorkerFailure):
                mapped |= set(worker.call("machine.memory.libraries", sides[index].executor.pool.deadline))
    machine.lay_out_anew(mapped)


def _pin(worker: Worker, deadline: float, cpus: Sequence[int]) -> None:
    if cpus:
        with contextlib.suppress(RemoteError):  # where the system refuses, the spread will show it
            worker.call("machine.affinity.pin", deadline, cpus=list(cpus))
