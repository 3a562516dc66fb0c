"""Compare compressed models under two releases row by row; pure but for reading the two runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.core.containers import grouped
from harness.core.errors import HarnessError
from harness.gate.result import GateResult
from harness.records.files import read_run
from harness.report import tables
from harness.report.compression import VERDICTS, Row, rows

SIZE = 0.01
"""Largest difference between two size ratios that count as the same."""


class Pair(msgspec.Struct, frozen=True):
    """One model and method under the baseline and the candidate; None where that release lacks it."""

    name: str
    model: str
    technique: str
    before: Row | None
    after: Row | None

    @property
    def profiles(self) -> str:
        """Both profiles, ``legacy-ir → pir``, or one name where they are the same."""
        found = dict.fromkeys(row.profile for row in (self.before, self.after) if row and row.profile)
        return " → ".join(found)

    @property
    def is_whole(self) -> bool:
        """Whether both releases have it."""
        return self.before is not None and self.after is not None

    @property
    def step(self) -> int:
        """Number of verdicts by which it became worse; 0 where one side has none."""
        if self.before is None or self.after is None:
            return 0
        return VERDICTS.index(self.after.verdict) - VERDICTS.index(self.before.verdict)

    @property
    def differs(self) -> bool:
        """Whether verdict or size changed, or the accuracy by more than its bounds allow."""
        if self.before is None or self.after is None or self.step:
            return True
        a, b = self.before.accuracy, self.after.accuracy
        if a and b and (a.low > b.high or b.low > a.high):
            return True
        sizes = [row.cost.bytes_ratio for row in (self.before, self.after) if row.cost]
        known = [size for size in sizes if size is not None]
        return len(known) == 2 and abs(known[0] - known[1]) > SIZE


def read(result: GateResult, folder: Path | None) -> tuple[Pair, ...] | None:
    """Return the pairs of a gate's two runs; None where their records cannot be found.

    ``folder`` is the gate's folder, to which the names of the runs are relative.
    """
    if folder is None or not result.baseline.run or not result.candidate.run:
        return None
    try:
        before, after = (read_run(folder / side.run) for side in (result.baseline, result.candidate))
    except HarnessError:
        return None
    return pairs(rows(before, tables.cases(before)), rows(after, tables.cases(after)))


def pairs(before: Sequence[Row], after: Sequence[Row]) -> tuple[Pair, ...]:
    """Pair every model and method for each profile: the worst change first, what one side lacks last.

    A release with only one profile is paired with every profile of the other.
    """
    sides = [grouped(side, lambda row: (row.model, row.name)) for side in (before, after)]
    found: list[Pair] = []
    for model, name in dict.fromkeys([*sides[0], *sides[1]]):
        old, new = ({row.profile: row for row in side.get((model, name), ())} for side in sides)
        profiles = [*new, *old] if min(len(old), len(new)) > 1 else max(new, old, key=len)
        for profile in dict.fromkeys(profiles):
            a, b = _of(old, profile), _of(new, profile)
            technique = next(row.technique for row in (b, a) if row is not None)
            found.append(Pair(name, model, technique, a, b))
    return tuple(sorted(found, key=lambda pair: (not pair.is_whole, -pair.step, pair.technique, pair.name)))


def _of(side: dict[str, Row], profile: str) -> Row | None:
    """Return the row of a profile, or the only row there is."""
    return side.get(profile) or (next(iter(side.values())) if len(side) == 1 else None)
