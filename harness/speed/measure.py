"""A pair of fresh processes, one of each side, that take turns on one processor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np

from harness.lab import Lab
from harness.speed.machine import Placement
from harness.targets import Target
from harness.workers import RemoteError, Worker

BLOCK_S = 0.005
"""Seconds of a block: short, so that what disturbs the machine meets both sides."""
SETTLE_S = 0.1
LEAST_ROUNDS = 5


class Side(msgspec.Struct, frozen=True):
    """One of the two that are compared: an environment, by the name it is told by."""

    name: str
    lab: Lab


class Work(msgspec.Struct, frozen=True):
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

    ``ratios``: for each ``extra`` (a slowdown put into the candidate) the median over the rounds.
    ``medians``: seconds of a run. ``load``: log ratio of the seconds that loading took; ``load_mib``
    of either side. ``disturbed``: share of blocks from which the system took the processor;
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

    def first(self, sessions: int) -> Measured:
        """The same pair, had it measured so many sessions only."""
        return msgspec.structs.replace(self, sessions=self.sessions[:sessions])


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one pair of processes measures of each work: sessions, and seconds of runs in each, a side.

    The best number of sessions is the square root of (cost of a pair ÷ cost of a session) × (variance
    within a pair ÷ variance between pairs), and the best length of a session follows in the same way
    (Kalibera and Jones, Rigorous benchmarking in reasonable time, ISMM 2013). Forty works share a pair's
    start, so that it costs each of them as much as a session does: few sessions, and rather more pairs.
    """

    sessions: int = 3
    seconds: float = 0.06


def visits(works: Sequence[Work], sessions: int, rng: np.random.Generator) -> Iterator[tuple[int, Work]]:
    """Every work's first session, then every work's second one, each time in a new order."""
    for number in range(sessions):
        for index in rng.permutation(len(works)):
            yield number, works[index]


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
        work: Work,
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
            # Both sides do the same number of runs a block: a block is one round of the same work.
            runs = min(state["runs"] for state in settled)
            rounds: list[list[list[float]]] = []
            spent, blocks, disturbed = 0.0, 0, 0
            while len(rounds) < LEAST_ROUNDS or spent < budget_s:
                medians = [[0.0, 0.0] for _ in extras]
                for index in rng.permutation(len(extras)):
                    # Each slowdown has baseline blocks of its own: a side that runs more often than the
                    # other finds the caches warm more often, which looked like 5 % in a calibration.
                    for side in rng.permutation(2):
                        found = self._call(
                            side,
                            "block",
                            number=held[side]["number"],
                            runs=runs,
                            extra=extras[index] if side else 0.0,
                        )
                        medians[index][side] = float(np.median(found["seconds"]))
                        blocks += 1
                        disturbed += found["taken"] > 0
                        spent += sum(found["seconds"]) / (2 * len(extras))
                rounds.append(medians)
        finally:
            for one in held:
                self._call(one["side"], "release", number=one["number"])
        table = np.log(np.asarray(rounds))  # round, extra, side
        return Timed(
            ratios=tuple(float(value) for value in np.median(table[:, :, 1] - table[:, :, 0], axis=0)),
            medians=(float(np.exp(np.median(table[:, 0, 0]))), float(np.exp(np.median(table[:, 0, 1])))),
            load=float(np.log(held[1]["load_ms"] / held[0]["load_ms"])),
            load_mib=(held[0]["load_mib"], held[1]["load_mib"]),
            rounds=len(rounds),
            disturbed=disturbed / blocks,
            unsteady=not all(state["steady"] for state in settled),
        )

    def _order(self, number: int) -> tuple[int, int]:
        return (1, 0) if self.swapped != bool(number % 2) else (0, 1)

    def _hold(self, side: int, work: Work) -> dict[str, Any]:
        lab, target = self.sides[side].lab, work.targets[side]
        found = self._call(
            side,
            "hold",
            runtime=target.runtime,
            files=lab.files(target, work.model),
            model=work.model,
            options=lab.options(target),
            feed=lab.sample(work.model, work.batch),
            helpers=self.helpers,
        )
        return {"side": side, **found}

    def _call(self, side: int, name: str, **arguments: Any) -> Any:
        return self.workers[side].call(f"speed.{name}", self.sides[side].lab.pool.deadline, **arguments)


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
            index: stack.enter_context(sides[index].lab.pool.alone(sides[index].lab.spec(profiles[index])))
            for index in order
        }

        def prepare(index: int) -> None:
            worker, deadline = workers[index], sides[index].lab.pool.deadline
            if index == order[0]:
                _pin(worker, deadline, place.measured)
            worker.call("environment.import_paddle", deadline)
            _pin(worker, deadline, place.measured)

        with ThreadPoolExecutor(2) as starters:
            list(starters.map(prepare, order))
        yield Pair(sides, [workers[0], workers[1]], swapped, place.helpers)


def _pin(worker: Worker, deadline: float, cpus: Sequence[int]) -> None:
    if cpus:
        with contextlib.suppress(RemoteError):  # where it is refused, the spread tells
            worker.call("affinity.pin", deadline, cpus=list(cpus))
