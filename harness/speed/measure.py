"""A pair of fresh processes, one of each side, that take turns on one processor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from harness.lab import Lab
from harness.speed.machine import Placement
from harness.targets import Target
from harness.workers import RemoteError, Worker

BLOCK_S = 0.005
"""Seconds of a block: short, so that what disturbs the machine meets both sides."""
SETTLE_S = 0.3
LEAST_ROUNDS = 8


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


class Measured(msgspec.Struct, frozen=True):
    """What one pair gave for one work; logs are natural, of candidate over baseline.

    ``ratios``: for each ``extra`` (a slowdown put into the candidate) the median over the rounds.
    ``medians``: seconds of a run. ``load``: log ratio of the seconds that loading took; ``load_mib``
    of either side. ``disturbed``: share of blocks from which the system took the processor;
    ``unsteady``: a side still drifted when its warm-up ended.
    """

    swapped: bool
    extras: tuple[float, ...]
    ratios: tuple[float, ...]
    medians: tuple[float, float]
    load: float
    load_mib: tuple[float, float]
    rounds: int
    disturbed: float
    unsteady: bool


class Pair:
    """Two processes; ``workers[0]`` is the baseline's."""

    def __init__(self, sides: Sequence[Side], workers: Sequence[Worker], swapped: bool) -> None:
        self.sides = sides
        self.workers = workers
        self.swapped = swapped

    def measure(
        self, work: Work, budget_s: float, rng: np.random.Generator, extras: Sequence[float] = (0.0,)
    ) -> Measured:
        """Time one work until about ``budget_s`` seconds of runs are spent on either side.

        Raises:
            WorkerFailure: loading or running raised, crashed or hung.
        """
        held = [self._hold(index, work) for index in self._order()]
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
        return Measured(
            swapped=self.swapped,
            extras=tuple(extras),
            ratios=tuple(float(value) for value in np.median(table[:, :, 1] - table[:, :, 0], axis=0)),
            medians=(float(np.exp(np.median(table[:, 0, 0]))), float(np.exp(np.median(table[:, 0, 1])))),
            load=float(np.log(held[1]["load_ms"] / held[0]["load_ms"])),
            load_mib=(held[0]["load_mib"], held[1]["load_mib"]),
            rounds=len(rounds),
            disturbed=disturbed / blocks,
            unsteady=not all(state["steady"] for state in settled),
        )

    def _order(self) -> tuple[int, int]:
        return (1, 0) if self.swapped else (0, 1)

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
        )
        return {"side": side, **found}

    def _call(self, side: int, name: str, **arguments: Any) -> Any:
        return self.workers[side].call(f"speed.{name}", self.sides[side].lab.pool.deadline, **arguments)


@contextlib.contextmanager
def pair(
    sides: Sequence[Side], profiles: Sequence[Target], swapped: bool, place: Placement
) -> Iterator[Pair]:
    """A pair of new processes on the measured processor; ``swapped``: the candidate's starts first.

    ``profiles``: a target of each side, whose environment variables its process starts with.
    """
    order = (1, 0) if swapped else (0, 1)
    with contextlib.ExitStack() as stack:
        workers: dict[int, Worker] = {}
        for index in order:
            pool = sides[index].lab.pool
            worker = stack.enter_context(pool.alone(sides[index].lab.spec(profiles[index])))
            worker.call("environment.import_paddle", pool.deadline)
            if place.measured:
                with contextlib.suppress(RemoteError):  # where it is refused, the spread tells
                    worker.call("speed.pin", pool.deadline, cpus=list(place.measured))
            workers[index] = worker
        yield Pair(sides, [workers[0], workers[1]], swapped)
