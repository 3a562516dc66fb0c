"""Table of what each way of running a model cannot do, from a run's cases; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from harness.core.types import Area, Outcome
from harness.report.summary import SEVERITY
from harness.report.tables import Case


class Gap(msgspec.Struct, frozen=True):
    """One thing that does not work, or was not tried, on one target."""

    text: str
    outcome: Outcome
    workaround: str
    issue: str
    cases: tuple[Case, ...]

    @property
    def known(self) -> bool:
        return all(case.standing in ("known", "not-run") for case in self.cases)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(case.record.model for case in self.cases if case.record.model))


def gaps(found: Iterable[Case], areas: Mapping[str, Area]) -> tuple[tuple[str, tuple[Gap, ...]], ...]:
    """For every target (or area of one runtime) its gaps, gravest first; targets as the run met them.

    Cases of compressed models are left out, as they have a separate table.
    """
    runtimes = {name for name, area in areas.items() if area.runtime}
    members: dict[str, dict[tuple[str, Outcome], list[Case]]] = {}
    for case in found:
        record = case.record
        where = record.column or (record.area if record.area in runtimes else "")
        if not where or record.method:
            continue
        groups = members.setdefault(where, {})
        if case.is_finding or case.standing == "not-run":
            groups.setdefault((record.expected_failure or case.cause, record.outcome), []).append(case)
    return tuple(
        (where, tuple(sorted(map(_gap, groups.items()), key=lambda gap: SEVERITY.index(gap.outcome))))
        for where, groups in members.items()
        if groups
    )


def _gap(item: tuple[tuple[str, Outcome], list[Case]]) -> Gap:
    (text, outcome), cases = item
    record = cases[0].record
    return Gap(text, outcome, record.workaround, record.issue, tuple(cases))
