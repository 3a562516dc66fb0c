"""From a gate's result to the rows of its page; pure functions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import msgspec

from harness.core.containers import grouped
from harness.core.types import BAD_OUTCOMES
from harness.gate.causes import Cause, causes
from harness.gate.result import (
    VERDICTS,
    Change,
    CurvePair,
    Drift,
    DriftKind,
    GateResult,
    ModelTotal,
    Numerics,
    PairedSpeed,
    Side,
    Speed,
    Subject,
    Verdict,
)

MEANING: dict[Verdict, str] = {
    "broken": "Worked under the baseline; under the candidate a wrong answer, an error, a crash or a hang.",
    "missing": "Ran under the baseline; under the candidate it is absent, skipped or expected to fail.",
    "numerically worse": "Still within its allowance, or no longer, but further from the float64 oracle.",
    "slower": "A paired measurement found it slower.",
    "not comparable": "Differs, but so do the two environments, in something that could explain it.",
    "inconclusive": "Could not be decided: no result on one side, or one that does not repeat.",
    "new": "Ran under the candidate only.",
    "fixed": "Failed under the baseline and works under the candidate.",
    "numerically better": "Nearer to the float64 oracle than before.",
    "faster": "A paired measurement found it faster.",
    "same": "The same outcome, within the same allowance.",
}
MOST_OUTLIERS = 8
OUTLIER_RATIO = 10.0
"""So many times further from the oracle than before is worth a name, if it uses some of its allowance."""
OUTLIER_FLOOR = 0.01


class Kind(msgspec.Struct, frozen=True):
    """All changes of one verdict."""

    verdict: Verdict
    meaning: str
    causes: tuple[Cause, ...]

    @property
    def count(self) -> int:
        return sum(len(cause.changes) for cause in self.causes)


class DriftRow(msgspec.Struct, frozen=True):
    """One drift, and every case that shows the very same."""

    drift: Drift
    cases: tuple[str, ...]


class Acknowledged(msgspec.Struct, frozen=True):
    """One acknowledgement and the changes that it keeps from blocking."""

    reason: str
    until: str
    issue: str
    changes: tuple[Change, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(v for v in VERDICTS if any(change.verdict == v for change in self.changes))


class SpeedGroup(msgspec.Struct, frozen=True):
    """Measurements of one model at one batch size."""

    name: str
    rows: tuple[Speed, ...]


def kinds(changes: Iterable[Change]) -> tuple[Kind, ...]:
    """Verdicts that occur, the gravest first, without ``same``."""
    found = causes(change for change in changes if change.verdict != "same")
    groups = [(v, tuple(cause for cause in found if cause.verdict == v)) for v in VERDICTS]
    return tuple(Kind(verdict, MEANING[verdict], group) for verdict, group in groups if group)


def links(result: GateResult, folder: Path | None = None) -> dict[str, str]:
    """``baseline`` and ``candidate`` -> address of the run's page, where the run lies in ``folder``.

    ``folder`` is the page's own; None where it is not known, and only relative runs have a link.
    """
    found = {}
    for which, subject in (("baseline", result.baseline), ("candidate", result.candidate)):
        run = PurePosixPath(subject.run)
        if folder is not None and run.is_absolute() and run.is_relative_to(folder.absolute()):
            run = run.relative_to(folder.absolute())
        inside = subject.run and not run.is_absolute() and ".." not in run.parts and ":" not in run.parts[0]
        if inside:
            found[which] = f"{quote(str(run))}/index.html"
    return found


def side_link(side: Side | None, links: dict[str, str]) -> str:
    """Where the run's page shows this record: findings have an anchor, the rest a section."""
    if side is None or side.run not in links:
        return ""
    if side.outcome in BAD_OUTCOMES and side.place is not None:
        return f"{links[side.run]}#case-{side.place}"
    return f"{links[side.run]}#{'not-run' if side.outcome == 'not-run' else 'cases'}"


def drifts(changes: Iterable[Change]) -> dict[DriftKind, tuple[DriftRow, ...]]:
    """Every drift by kind, the largest ratio first; equal ones are one row."""
    groups: dict[tuple[str, ...], list[tuple[Drift, str]]] = {}
    for change in changes:
        for drift in change.drifts:
            key = (drift.kind, drift.what, drift.before, drift.after)
            groups.setdefault(key, []).append((drift, change.case))
    rows: dict[DriftKind, list[DriftRow]] = {}
    for group in groups.values():
        row = DriftRow(group[0][0], tuple(dict.fromkeys(case for _, case in group)))
        rows.setdefault(row.drift.kind, []).append(row)
    return {kind: tuple(sorted(found, key=_drift_size, reverse=True)) for kind, found in rows.items()}


def acknowledged(changes: Iterable[Change]) -> tuple[Acknowledged, ...]:
    accepted = (change for change in changes if change.acknowledged)
    groups = grouped(accepted, lambda change: (change.acknowledged, change.until, change.issue))
    return tuple(Acknowledged(*key, tuple(group)) for key, group in groups.items())


def outliers(rows: Iterable[Numerics]) -> tuple[Numerics, ...]:
    """What to name in the drawing: errors past their allowance and those that grew tenfold, worst first."""
    return worst_first(row for row in rows if _is_outlier(row))[:MOST_OUTLIERS]


def worst_first(rows: Iterable[Numerics]) -> tuple[Numerics, ...]:
    """By how much the error grew, then by how large it is."""
    return tuple(sorted(rows, key=lambda row: (-_growth(row), -_finite(row.after), row.case)))


def growth(row: Numerics) -> float | None:
    """Error after over error before; None where it was nothing or not a number."""
    return row.after / row.before if row.before and row.after is not None else None


def curves(rows: Iterable[CurvePair]) -> tuple[CurvePair, ...]:
    """Differing ones first, by their largest difference."""
    return tuple(sorted(rows, key=lambda row: (row.first_difference is None, -_finite(row.largest))))


def speeds(rows: Iterable[Speed]) -> tuple[SpeedGroup, ...]:
    groups = grouped(rows, lambda row: (row.model, row.batch))
    return tuple(
        SpeedGroup(f"{model or 'model not named'}, batch {batch}", tuple(group))
        for (model, batch), group in sorted(groups.items())
    )


def paired(rows: Iterable[PairedSpeed]) -> tuple[PairedSpeed, ...]:
    """Slower ones first, then what changed most."""
    order = {"slower": 0, "faster": 1, "not enough data": 2}
    return tuple(sorted(rows, key=lambda row: (order.get(row.answer, 3), -abs(row.change or 0.0), row.model)))


def paired_counts(rows: Iterable[PairedSpeed]) -> tuple[tuple[str, int], ...]:
    """How many are slower, faster, the same, undecided; zeros included."""
    counted = Counter(row.answer for row in rows)
    return tuple((answer, counted[answer]) for answer in ("slower", "faster", "same", "not enough data"))


def models(rows: Iterable[ModelTotal]) -> tuple[tuple[ModelTotal, ...], tuple[ModelTotal, ...]]:
    """The user's own, what blocks and what was refused first; and the reference models."""
    ordered = sorted(rows, key=lambda row: (-row.blocking, not row.refused, row.model))
    own = tuple(row for row in ordered if row.user)
    return own, tuple(row for row in ordered if not row.user)


def subject_names(result: GateResult) -> tuple[str, str]:
    """``Paddle 2.6.2`` and the other, with the profiles where only those tell the two apart."""
    before, after = result.baseline, result.candidate
    alike = before.paddle == after.paddle and before.profile != after.profile

    def name(subject: Subject) -> str:
        return f"Paddle {subject.paddle or subject.name}{f' ({subject.profile})' if alike else ''}"

    return name(before), name(after)


def _is_outlier(row: Numerics) -> bool:
    after = _finite(row.after)
    grew = row.before is not None and after > OUTLIER_RATIO * row.before
    return after > 1 or (grew and after > OUTLIER_FLOOR)


def _growth(row: Numerics) -> float:
    if row.after is None:
        return math.inf
    return growth(row) or (math.inf if row.after > 0 and row.before == 0 else 0.0)


def _finite(value: float | None) -> float:
    """Not a number counts as larger than any."""
    return math.inf if value is None or math.isnan(value) else value


def _drift_size(row: DriftRow) -> tuple[float, int]:
    ratio = row.drift.ratio
    return (abs(math.log(ratio)) if ratio is not None and ratio > 0 else 0.0), len(row.cases)
