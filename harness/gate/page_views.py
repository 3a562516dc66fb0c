"""Turn a gate's result into the rows of its page; pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from harness.core.containers import grouped
from harness.core.types import BAD_OUTCOMES
from harness.gate.causes import Cause, causes
from harness.gate.result import (
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
from harness.speed import operators
from harness.speed.session import UNITS

MEANING: dict[Verdict, str] = {
    "broken": "Worked under the baseline; under the candidate a wrong answer, an error, a crash or a hang.",
    "missing": "Ran under the baseline; under the candidate it is absent, skipped or expected to fail.",
    "numerically worse": "Further from the float64 oracle than before, within the allowed error or past it.",
    "slower": "A paired measurement found it slower to run or to load.",
    "more memory": "A paired measurement found that its process needs more memory.",
    "not comparable": "Differs, but another difference between the two environments could explain it.",
    "inconclusive": "Could not be decided: one side has no result, or the result did not repeat.",
    "new": "Ran under the candidate only.",
    "fixed": "Failed under the baseline and works under the candidate.",
    "numerically better": "Nearer to the float64 oracle than before.",
    "faster": "A paired measurement found it faster to run or to load.",
    "less memory": "A paired measurement found that its process needs less memory.",
    "same": "The same outcome, within the same allowed error.",
}
MOST_OUTLIERS = 8
OUTLIER_RATIO = 10.0
"""Growth of the error from which an outlier is named, if it uses some of the allowed error."""
OUTLIER_FLOOR = 0.01


class DriftRow(msgspec.Struct, frozen=True):
    """One drift, and every case that shows it."""

    drift: Drift
    cases: tuple[str, ...]


def kinds(changes: Iterable[Change]) -> dict[Verdict, list[Cause]]:
    """Return the causes by verdict, the gravest first, without ``same``."""
    found = causes(change for change in changes if change.verdict != "same")
    return grouped(found, lambda cause: cause.verdict)


def links(result: GateResult, folder: Path | None = None) -> dict[str, str]:
    """Return ``baseline`` and ``candidate`` -> address of the run's page, where the run is in ``folder``.

    ``folder`` is the page's folder; where it is None, only runs named relative to it have a link.
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
    """Return where the run's page shows this record: findings have an anchor, the rest a section."""
    if side is None or side.run not in links:
        return ""
    if side.outcome in BAD_OUTCOMES and side.place is not None:
        return f"{links[side.run]}#case-{side.place}"
    return f"{links[side.run]}#{'not-run' if side.outcome == 'not-run' else 'cases'}"


def drifts(changes: Iterable[Change]) -> dict[DriftKind, tuple[DriftRow, ...]]:
    """Return the drifts by kind, the largest ratio first; equal ones share a row."""
    seen = ((drift, change.case) for change in changes for drift in change.drifts)
    groups = grouped(seen, lambda one: (one[0].kind, one[0].what, one[0].before, one[0].after))
    rows = [
        DriftRow(group[0][0], tuple(dict.fromkeys(case for _, case in group))) for group in groups.values()
    ]
    by_kind = grouped(rows, lambda row: row.drift.kind)
    return {kind: tuple(sorted(found, key=_drift_size, reverse=True)) for kind, found in by_kind.items()}


def acknowledged(changes: Iterable[Change]) -> list[list[Change]]:
    """Return the changes that each acknowledgement keeps from blocking."""
    accepted = (change for change in changes if change.acknowledged)
    groups = grouped(accepted, lambda change: (change.acknowledged, change.until, change.issue))
    return list(groups.values())


def outliers(rows: Iterable[Numerics]) -> tuple[Numerics, ...]:
    """Return the errors to name in the drawing: past the allowed error or grown tenfold, worst first."""
    return worst_first(row for row in rows if _is_outlier(row))[:MOST_OUTLIERS]


def worst_first(rows: Iterable[Numerics]) -> tuple[Numerics, ...]:
    """Sort by how much the error grew, then by how large it is."""
    return tuple(sorted(rows, key=lambda row: (-_growth(row), -_finite(row.after), row.case)))


def growth(row: Numerics) -> float | None:
    """Return error after over error before; None where the first is zero or either is not finite."""
    return row.after / row.before if row.before and row.after is not None else None


def curves(rows: Iterable[CurvePair]) -> tuple[CurvePair, ...]:
    """Sort curves: differing ones first, by their largest difference."""
    return tuple(sorted(rows, key=lambda row: (row.first_difference is None, -_finite(row.largest))))


def speeds(rows: Iterable[Speed]) -> dict[str, list[Speed]]:
    """Return the measurements of each model at each batch size."""
    ordered = sorted(rows, key=lambda row: (row.model, row.batch))
    return grouped(ordered, lambda row: f"{row.model or 'model not named'}, batch {row.batch}")


def paired(rows: Iterable[PairedSpeed]) -> tuple[PairedSpeed, ...]:
    """Sort measurements: slower ones first, then by the size of the change."""
    order = {"slower": 0, "more memory": 0, "faster": 1, "less memory": 1, "not enough data": 2}
    return tuple(sorted(rows, key=lambda row: (order.get(row.answer, 3), -abs(row.change or 0.0), row.model)))


def explained(row: PairedSpeed) -> tuple[str, ...]:
    """Say which operators changed a run, or that it is not theirs."""
    return operators.explained(row.operators, row.after - row.before)


class OwnModel(NamedTuple):
    """A user model's row: its totals, and what was timed, a line for each target and batch size."""

    total: ModelTotal
    run: tuple[str, ...]
    load: tuple[str, ...]
    memory: tuple[str, ...]


def own_models(result: GateResult) -> tuple[OwnModel, ...]:
    """Return the rows of user models, in the order of :attr:`GateResult.own`."""
    timed = grouped(result.paired, lambda row: (row.model, row.quantity))
    return tuple(
        OwnModel(row, *(tuple(map(_timed, timed.get((row.model, name), ()))) for name in UNITS))
        for row in result.own
    )


def _timed(row: PairedSpeed) -> str:
    change = "" if row.change is None else f" {100 * row.change:+.1f} %"
    return f"{row.target}, {row.batch}: {row.answer}{change}"


def subject_names(result: GateResult) -> tuple[str, str]:
    """Return two names such as ``Paddle 2.6.2``, with the profiles where only those differ."""
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
    """Return the value; None counts as larger than any number."""
    return math.inf if value is None or math.isnan(value) else value


def _drift_size(row: DriftRow) -> tuple[float, int]:
    ratio = row.drift.ratio
    return (abs(math.log(ratio)) if ratio is not None and ratio > 0 else 0.0), len(row.cases)
