"""Compressed models under two releases, row beside row; pure but for reading the two runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.gate.result import GateResult
from harness.records.files import Run, read_run
from harness.report import tables
from harness.report.compression import VERDICTS, Row, rows

SIZE = 0.01
"""Ratios of a size that are no further apart count as the same."""


class Pair(msgspec.Struct, frozen=True):
    """One model and method under the baseline and the candidate; None where it has none."""

    name: str
    model: str
    technique: str
    before: Row | None
    after: Row | None

    @property
    def profiles(self) -> str:
        """``legacy-ir → pir``, or the one of both."""
        found = dict.fromkeys(row.profile for row in (self.before, self.after) if row and row.profile)
        return " → ".join(found)

    @property
    def is_whole(self) -> bool:
        """Whether both releases have it."""
        return self.before is not None and self.after is not None

    @property
    def step(self) -> int:
        """By how many verdicts it became worse; 0 where one side has none."""
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
    """The pairs of the two runs of a gate; None where their records are not to be found.

    ``folder`` is the gate's own, which the runs are named relative to.
    """
    if folder is None or not result.baseline.run or not result.candidate.run:
        return None
    try:
        before, after = (read_run(folder / side.run) for side in (result.baseline, result.candidate))
    except HarnessError:
        return None
    return pairs(_rows(before), _rows(after))


def pairs(before: Sequence[Row], after: Sequence[Row]) -> tuple[Pair, ...]:
    """Every model and method once for each profile, what became worst first, what one side lacks last.

    A release that knows one profile only stands beside every profile of the other.
    """
    sides = [_by_name(side) for side in (before, after)]
    found: list[Pair] = []
    for model, name in dict.fromkeys([*sides[0], *sides[1]]):
        old, new = (side.get((model, name), {}) for side in sides)
        profiles = [*new, *old] if min(len(old), len(new)) > 1 else max(new, old, key=len)
        for profile in dict.fromkeys(profiles):
            a, b = _of(old, profile), _of(new, profile)
            technique = next(row.technique for row in (b, a) if row is not None)
            found.append(Pair(name, model, technique, a, b))
    return tuple(sorted(found, key=lambda pair: (not pair.is_whole, -pair.step, pair.technique, pair.name)))


def _rows(run: Run) -> tuple[Row, ...]:
    return rows(run, tables.cases(run))


def _by_name(side: Sequence[Row]) -> dict[tuple[str, str], dict[str, Row]]:
    """Model and name of the method -> profile -> its row."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in side:
        found.setdefault((row.model, row.name), {})[row.profile] = row
    return found


def _of(side: dict[str, Row], profile: str) -> Row | None:
    """The row of a profile, or the only one there is."""
    return side.get(profile) or (next(iter(side.values())) if len(side) == 1 else None)
