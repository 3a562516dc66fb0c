"""Make the rows of the page's tables from a run; pure functions.

``Record.measures`` has no fixed form, so nothing here raises on what it does not expect: a malformed
``curves`` or ``latency`` is shown in the generic listing.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from harness.core.containers import grouped
from harness.core.types import BAD_OUTCOMES, Area, Comparison, Outcome, Record
from harness.records.files import Run
from harness.report.summary import SEVERITY, Standing, cause, standing
from harness.report.wording import number

Losses = Sequence[float | None]
"""Losses of successive steps; None where not finite."""
MOST_NEAREST = 10
SPECIAL_MEASURES = ("curves", "latency", "corruption", "compression", "yardstick")


class Case(msgspec.Struct, frozen=True):
    """A record with its index in the run; ``anchor`` is its id on the page."""

    index: int
    record: Record
    standing: Standing

    @property
    def anchor(self) -> str:
        return f"case-{self.index}"

    @property
    def is_finding(self) -> bool:
        return self.standing in ("unexpected", "departed", "empty", "known")

    @property
    def cause(self) -> str:
        if self.standing == "departed":
            return self.record.unexpected
        if self.standing == "empty":
            return "passed without comparing anything"
        if self.record.outcome in BAD_OUTCOMES:
            return cause(self.record)
        return self.record.reason

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Recorded comparisons, failed ones first, then by budget used."""
        return tuple(sorted(self.record.details, key=lambda item: (item.ok, -(item.budget_used or 0.0))))


class Cause(msgspec.Struct, frozen=True):
    """Cases that did not pass for one cause: an entry of known_failures.toml, or what was found."""

    text: str
    cases: tuple[Case, ...]

    @property
    def issue(self) -> str:
        return self.cases[0].record.issue

    @property
    def workaround(self) -> str:
        return self.cases[0].record.workaround

    @property
    def outcome(self) -> Outcome:
        """The gravest."""
        return self.outcomes[0]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(o for o in SEVERITY if any(c.record.outcome == o for c in self.cases))

    @property
    def known(self) -> bool:
        return all(case.standing in ("known", "not-run") for case in self.cases)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c.record.target for c in self.cases if c.record.target))

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c.record.model for c in self.cases if c.record.model))


class CasesOfArea(msgspec.Struct, frozen=True):
    """All cases of one area, findings first; ``title`` is as its test module states it, or its name."""

    name: str
    title: str
    cases: tuple[Case, ...]

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        counted = Counter(case.standing for case in self.cases)
        return tuple(counted.most_common())


class Curve(msgspec.Struct, frozen=True):
    """Loss per step of training without and with an interruption; None where not finite."""

    case: Case
    uninterrupted: tuple[float | None, ...]
    resumed: tuple[float | None, ...]
    interrupted_at: int
    """Step at which ``resumed`` starts, counted from 0."""
    largest: float | None
    """Largest absolute difference after the interruption; None where no step has both."""
    first_difference: int | None
    """First step at which the two losses differ."""


class Latency(msgspec.Struct, frozen=True):
    """One ``latency`` measure with its case."""

    case: Case
    target: str
    values: dict[str, Any]


class Damage(msgspec.Struct, frozen=True):
    """Result of loading one damaged file with one loader."""

    case: Case
    loader: str
    damage: str
    behaviour: str
    message: str


class DamageTable(msgspec.Struct, frozen=True):
    """Loader × damage; a cell holds every case of the pair."""

    loaders: tuple[str, ...]
    damages: tuple[str, ...]
    cells: dict[tuple[str, str], list[Damage]]
    behaviours: tuple[tuple[str, int], ...]


def cases(run: Run) -> tuple[Case, ...]:
    return tuple(Case(i, record, standing(record)) for i, record in enumerate(run.records))


def new_findings(found: Iterable[Case]) -> tuple[Case, ...]:
    """Return unexpected results, then departures from expected failures, then empty passes."""
    order: tuple[Standing, ...] = ("unexpected", "departed", "empty")
    picked = [case for case in found if case.standing in order]
    picked.sort(key=lambda c: (order.index(c.standing), SEVERITY.index(c.record.outcome), c.index))
    return tuple(picked)


def unfolded(findings: Iterable[Case], most: int) -> frozenset[int]:
    """Return the indexes of findings to show open: the first of every cause, at most ``most``."""
    first: dict[tuple[str, str], int] = {}
    for case in findings:
        first.setdefault((case.record.outcome, case.cause), case.index)
    return frozenset(list(first.values())[:most])


def known_findings(found: Iterable[Case]) -> tuple[Cause, ...]:
    """Known failures grouped by their entry, the one with most cases first."""
    known = (case for case in found if case.standing == "known")
    groups = grouped(known, lambda case: (case.record.expected_failure, case.record.issue))
    rows = [Cause(reason, tuple(group)) for (reason, _), group in groups.items()]
    return tuple(sorted(rows, key=lambda row: -len(row.cases)))


def not_run(found: Iterable[Case]) -> tuple[tuple[str, tuple[Case, ...]], ...]:
    """Reason -> its cases, the reason with most cases first."""
    left = (case for case in found if case.standing == "not-run")
    groups = grouped(left, lambda case: case.record.reason or "no reason recorded")
    return tuple((k, tuple(v)) for k, v in sorted(groups.items(), key=lambda item: -len(item[1])))


def areas(found: Iterable[Case], stated: Mapping[str, Area]) -> tuple[CasesOfArea, ...]:
    """The areas by the order that their test modules state, then as the run met them."""
    groups = grouped(found, lambda case: case.record.area or "(no area)")
    unstated = {name: Area(name) for name in groups}
    known = {**unstated, **{name: area for name, area in stated.items() if name in groups}}
    return tuple(
        CasesOfArea(name, known[name].title, tuple(sorted(groups[name], key=lambda c: not c.is_finding)))
        for name in sorted(groups, key=lambda name: known[name].order)
    )


def gaps(found: Iterable[Case], areas: Mapping[str, Area]) -> tuple[tuple[str, tuple[Cause, ...]], ...]:
    """Return what each target (or area of one runtime) cannot do, gravest first; targets as the run met them.

    Cases of compressed models are left out, as they have a separate table.
    """

    def where(case: Case) -> str:
        area = areas.get(case.record.area)
        return case.record.column or (case.record.area if area is not None and area.runtime else "")

    rows = []
    for place, cases in grouped((case for case in found if not case.record.method), where).items():
        bad = (case for case in cases if case.is_finding or case.standing == "not-run")
        causes = grouped(bad, lambda case: (case.record.expected_failure or case.cause, case.record.outcome))
        listed = [Cause(text, tuple(group)) for (text, _), group in causes.items()]
        if place and listed:
            rows.append((place, tuple(sorted(listed, key=lambda cause: SEVERITY.index(cause.outcome)))))
    return tuple(rows)


def nearest(found: Iterable[Case]) -> tuple[Case, ...]:
    """Return the passing cases that use most of their allowed error: drift would show there first."""
    passing = [c for c in found if c.standing == "pass" and c.record.numeric_budget_used is not None]
    return tuple(sorted(passing, key=lambda c: -(c.record.numeric_budget_used or 0.0))[:MOST_NEAREST])


def curves(found: Iterable[Case]) -> tuple[Curve, ...]:
    """Return every well-formed ``curves`` measure, findings first."""
    rows = [curve for one in measured(found, "curves") if (curve := _curve(*one)) is not None]
    return tuple(
        sorted(rows, key=lambda row: (not row.case.is_finding, bool(row.case.record.expected_failure)))
    )


def latencies(found: Iterable[Case]) -> dict[str, list[Latency]]:
    """Return every ``latency`` measure that has a median by model and batch, both in order."""
    rows = [
        Latency(case, case.record.column or str(values.get("runtime", "target not named")), values)
        for case, values in measured(found, "latency")
        if positive(values.get("median_us"))
    ]
    rows.sort(key=lambda row: (row.case.record.model, _order(row.values.get("batch"))))
    return grouped(
        rows,
        lambda row: f"{row.case.record.model or 'model not named'}, batch {row.values.get('batch', '?')}",
    )


def damages(found: Iterable[Case]) -> DamageTable:
    rows = [_damage(case, values) for case, values in measured(found, "corruption")]
    return DamageTable(
        tuple(dict.fromkeys(row.loader for row in rows)),
        tuple(dict.fromkeys(row.damage for row in rows)),
        grouped(rows, lambda row: (row.loader, row.damage)),
        tuple(Counter(row.behaviour for row in rows).most_common()),
    )


def _damage(case: Case, values: dict[str, Any]) -> Damage:
    form = str(values.get("format", ""))
    return Damage(
        case,
        loader=str(values.get("loader", "?")) + (f" ({form})" if form else ""),
        damage=str(values.get("damage", "?")),
        behaviour=str(values.get("behaviour") or "not recorded"),
        message=str(values.get("message") or ""),
    )


def measured(found: Iterable[Case], name: str) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Yield the cases with this measure, where it is a mapping."""
    for case in found:
        if isinstance(values := case.record.measures.get(name), dict):
            yield case, values


def measures(record: Record) -> tuple[tuple[str, str], ...]:
    """Return the measures that no table shows, as ``key.subkey`` and printable text."""
    plain = {k: v for k, v in record.measures.items() if not is_special(record, k)}
    return tuple(_flat(plain, ""))


def is_special(record: Record, key: str) -> bool:
    """Whether this measure is well-formed and so shown in a separate section."""
    value = record.measures.get(key)
    if key not in SPECIAL_MEASURES or not isinstance(value, dict):
        return False
    if key == "curves":
        return _series(value.get("uninterrupted")) is not None
    if key == "compression":
        return record.area == key and bool(record.method)
    if key == "yardstick":
        return isinstance(value.get("targets"), dict)
    return key == "corruption" or positive(value.get("median_us")) is not None


def rerun(run: Run, case: str) -> str:
    """Return the command that runs this case again, quoted for a POSIX shell."""
    folder = run.folder.resolve().name
    quoted = shlex.quote(case)
    return f"harness rerun {shlex.quote(folder)} " + (quoted if quoted[:1] == "'" else f"'{case}'")


def _flat(value: dict[Any, Any], prefix: str) -> Iterable[tuple[str, str]]:
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict):
            yield from _flat(item, f"{name}.")
        elif isinstance(item, list | tuple):
            short = len(item) <= 8 and not any(isinstance(i, dict | list) for i in item)
            yield name, ", ".join(map(number, item)) if short else f"{len(item)} values"
        else:
            yield name, number(item)


def _curve(case: Case, value: dict[str, Any]) -> Curve | None:
    whole, resumed = _series(value.get("uninterrupted")), _series(value.get("resumed"))
    if whole is None:
        return None
    start = value.get("interrupted_at")
    at = start if isinstance(start, int) and start >= 0 else len(whole) - len(resumed or ())
    return Curve(case, whole, resumed or (), at, *parting(whole, resumed or (), at))


def parting(whole: Losses, other: Losses, start: int = 0) -> tuple[float | None, int | None]:
    """Return the largest difference of two curves, and the first step at which they differ; None: nowhere.

    ``start``: the step of ``whole`` at which ``other`` begins.
    """
    both = list(zip(whole[start:], other, strict=False))
    apart = (abs(a - b) for a, b in both if a is not None and b is not None)
    first = next((step for step, (a, b) in enumerate(both, start) if a != b), None)
    return max(apart, default=None), first


def _series(value: Any) -> tuple[float | None, ...] | None:
    if not isinstance(value, list | tuple) or not value:
        return None
    return tuple(float(v) if isinstance(v, int | float) else None for v in value)


def positive(value: Any) -> float | None:
    """Return a positive number as a float; None for anything else."""
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _order(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("inf")
