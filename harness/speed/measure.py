"""A pair of fresh processes, one of each side, that take turns on one processor."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

import msgspec
import numpy as np

from harness.execution.executor import Executor
from harness.pool.workers import RemoteError, Worker
from harness.speed.decide import Sample
from harness.speed.machine import Placement
from harness.targets.target import Target

BLOCK_S = 0.005
"""Seconds of a block of the warm-up."""
SETTLE_S = 0.1
TURN_S = 0.0002
"""Seconds of a turn, at least: one run of most works, so that what disturbs the machine meets both sides."""
LEAST_ROUNDS = 15
GROUP = 5
"""Rounds in a row with the same slowdown."""


class Side(msgspec.Struct, frozen=True):
    """One of the two that are compared: an environment, by the name it is told by."""

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
    """What one session on either side gave for one work; logs are natural, of candidate over baseline.

    ``ratios``: for each ``extra`` (a slowdown put into the candidate), see :func:`read`.
    ``medians``: seconds of a run. ``load``: log ratio of the seconds that loading took; ``load_mib``
    of either side. ``disturbed``: share of turns from which the system took the processor;
    ``unsteady``: a side still gained when its warm-up ended.
    """

    ratios: tuple[float, ...]
    medians: tuple[float, float]
    load: float
    load_mib: tuple[float, float]
    rounds: int
    disturbed: float
    unsteady: bool


class Measured(msgspec.Struct, frozen=True):
    """What one pair of processes gave for one work: every session, and their means, which are the sample.

    A session differs from the next one in the same process by how its memory happens to lie, and most of
    the noise is that; what a process has in common is the rest.
    """

    swapped: bool
    extras: tuple[float, ...]
    sessions: tuple[Timed, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Log of candidate over baseline for each extra: the mean over the sessions."""
        return tuple(float(value) for value in np.mean([one.ratios for one in self.sessions], axis=0))

    @property
    def medians(self) -> tuple[float, float]:
        """Seconds of a run, baseline and candidate: the geometric mean over the sessions."""
        first, second = np.exp(np.mean(np.log([one.medians for one in self.sessions]), axis=0))
        return float(first), float(second)

    @property
    def load(self) -> float:
        """Log ratio of the seconds that loading took."""
        return float(np.mean([one.load for one in self.sessions]))

    @property
    def load_mib(self) -> tuple[float, float]:
        """Of the first session: later ones find memory that earlier ones have given back."""
        return self.sessions[0].load_mib

    @property
    def disturbed(self) -> float:
        return float(np.mean([one.disturbed for one in self.sessions]))

    @property
    def unsteady(self) -> bool:
        return any(one.unsteady for one in self.sessions)

    def sample(self, index: int = 0) -> Sample:
        """The pair as a sample of its comparison, at the extra of that index."""
        return Sample(self.ratios[index], self.swapped)

    def first(self, sessions: int) -> Measured:
        """The same pair, had it measured so many sessions only."""
        return msgspec.structs.replace(self, sessions=self.sessions[:sessions])


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one pair of processes measures of each work: sessions, and seconds of runs in each, a side.

    The best number of sessions is the square root of (cost of a pair ÷ cost of a session) × (variance
    within a pair ÷ variance between pairs), and the best length of a session follows in the same way
    (Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013). Measured on a shared machine,
    a session's own value is known to 0.8 % after 0.15 s, but sessions differ by 1 to 3 %, as the hour has
    it, by how their memory lies: rather more sessions, and short ones.
    """

    sessions: int = 4
    seconds: float = 0.06


def visits(
    works: Sequence[Workload], sessions: int, rng: np.random.Generator
) -> Iterator[tuple[int, Workload]]:
    """Every work's first session, then every work's second one, each time in a new order."""
    for number in range(sessions):
        for index in rng.permutation(len(works)):
            yield number, works[index]


Turn = tuple[int, float]
"""Whose it is, and what share of its time its runs spend once more."""


def order(rounds: int, extras: Sequence[float], rng: np.random.Generator) -> list[Turn]:
    """The sides by turns, the baseline first and last: of each slowdown at least so many rounds.

    Strictly by turns: a side that ran twice in a row, or more often than the other, finds the caches
    warmer, which looked like 5 % in a calibration. A slowdown stays for :data:`GROUP` rounds, since what
    one run spends the next one feels, and all come in random order before any comes again.
    """
    found: list[Turn] = []
    while len(found) < 2 * rounds * len(extras):
        for extra in rng.permutation(extras):
            found += [(0, float(extra)), (1, float(extra))] * GROUP
    return [*found, (0, found[-1][1])]


def read(
    whose: Sequence[Turn], seconds: Sequence[Sequence[float]], extras: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, float]]:
    """For each slowdown the median log ratio of candidate over baseline; and either side's plain median.

    Each turn of the candidate is divided by the baseline's before and by the one after it. What slows the
    machine down (another machine's work on the same core) stays for milliseconds, mostly for longer than
    two runs, so that most of these ratios have none of it; medians of longer blocks have it all.
    """
    baseline, candidate = (np.asarray(side) for side in seconds)
    extra = np.asarray([turn[1] for turn in whose if turn[0] == 1])
    both = np.log(np.stack([candidate / baseline[:-1], candidate / baseline[1:]]))
    return (
        tuple(float(np.median(both[:, extra == one])) for one in extras),
        (float(np.median(baseline)), float(np.median(candidate[extra == extras[0]]))),
    )


class Pair:
    """Two processes; ``workers[0]`` is the baseline's."""

    def __init__(
        self, sides: Sequence[Side], workers: Sequence[Worker], swapped: bool, helpers: Sequence[int] = ()
    ) -> None:
        self.sides = sides
        self.workers = workers
        self.swapped = swapped
        self.helpers = list(helpers)

    def measure(
        self,
        work: Workload,
        budget_s: float,
        rng: np.random.Generator,
        extras: Sequence[float] = (0.0,),
        number: int = 0,
    ) -> Timed:
        """Time one work in a new session on either side, for about ``budget_s`` seconds of runs on each.

        ``number``: which session of the pair this is; the sides take turns in opening theirs first.

        Raises:
            WorkerFailure: loading or running raised, crashed or hung.
        """
        held = [self._hold(index, work) for index in self._order(number)]
        held.sort(key=lambda one: one["side"])
        try:
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
                if self.workers[one["side"]].alive:  # a process that was killed would tell of that instead
                    self._call(one["side"], "release", number=one["number"])
        ratios, medians = read(whose, seconds, extras)
        return Timed(
            ratios=ratios,
            medians=medians,
            load=float(np.log(held[1]["load_ms"] / held[0]["load_ms"])),
            load_mib=(held[0]["load_mib"], held[1]["load_mib"]),
            rounds=len(whose) // (2 * len(extras)),
            disturbed=disturbed,
            unsteady=not all(state["steady"] for state in settled),
        )

    def _turns(self, held: Sequence[dict[str, Any]], runs: int, whose: Sequence[Turn]) -> tuple[Any, float]:
        """Median seconds of each turn of either side, and the share of turns that the system broke into."""
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
                # The other side may wait for one that will not come; what it says then is no news.
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
            helpers=self.helpers,
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
    """A pair of new processes on the measured processor; ``swapped``: the candidate's starts first.

    ``profiles``: a target of each side, whose environment variables its process starts with. They import
    Paddle at the same time, the one that starts first on the measured processor.
    """
    order = (1, 0) if swapped else (0, 1)
    with contextlib.ExitStack() as stack:
        workers = {
            index: stack.enter_context(
                sides[index].executor.pool.alone(sides[index].executor.spec(profiles[index]))
            )
            for index in order
        }

        def prepare(index: int) -> None:
            worker, deadline = workers[index], sides[index].executor.pool.deadline
            if index == order[0]:
                _pin(worker, deadline, place.measured)
            worker.call("protocol.environment.import_paddle", deadline)
            _pin(worker, deadline, place.measured)

        with ThreadPoolExecutor(2) as starters:
            list(starters.map(prepare, order))
        yield Pair(sides, [workers[0], workers[1]], swapped, place.helpers)


def _pin(worker: Worker, deadline: float, cpus: Sequence[int]) -> None:
    if cpus:
        with contextlib.suppress(RemoteError):  # where it is refused, the spread tells
            worker.call("machine.affinity.pin", deadline, cpus=list(cpus))
