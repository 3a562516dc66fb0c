"""Measure the time that the harness adds to a run: one target against a simpler one, in pairs."""

from __future__ import annotations

import msgspec
import numpy as np

from harness.core.errors import HarnessError
from harness.speed import decide, machine
from harness.speed.decide import Rule
from harness.speed.pairs import Pool

LEAST_PAIRS = 4


class Row(msgspec.Struct, frozen=True):
    """One workload: median time of a run on both targets, and what the measured target adds.

    ``added`` and its 99 % interval ``low`` to ``high`` are shares of the simpler target's time;
    ``added_us`` has the same in microseconds, computed from the simpler target's median.
    """

    work: str
    plain_us: float
    measured_us: float
    pairs: int
    added: float
    low: float
    high: float
    spread: float
    disturbed: float

    @property
    def added_us(self) -> tuple[float, float, float]:
        return self.added * self.plain_us, self.low * self.plain_us, self.high * self.plain_us


class Added(msgspec.Struct, frozen=True):
    """All rows, and the machine on which they were measured."""

    name: str
    target: str
    against: str
    rows: tuple[Row, ...]
    duration_s: float
    started: str
    place: machine.Placement
    before: machine.Conditions
    after: machine.Conditions


def rows(pool: Pool, alpha: float = 0.01) -> tuple[Row, ...]:
    """Compute a row for each workload; the simpler target is the baseline.

    Raises:
        HarnessError: fewer than four pairs.
    """
    found = []
    for work, measured in pool.items():
        if len(measured) < LEAST_PAIRS:
            raise HarnessError(
                f"{len(measured)} pairs of {work} were measured, and {LEAST_PAIRS} are needed: give more "
                "--minutes or fewer --works"
            )
        samples = [one.sample() for one in measured]
        seen = decide.estimate(samples, Rule().once(len(samples), alpha))
        plain, own = np.median([one.medians for one in measured], axis=0) * 1e6
        disturbed = float(np.mean([one.disturbed for one in measured]))
        found.append(
            Row(
                work,
                float(plain),
                float(own),
                seen.pairs,
                seen.change,
                seen.low,
                seen.high,
                seen.spread,
                disturbed,
            )
        )
    return tuple(found)
