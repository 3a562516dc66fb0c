"""Table of what each way of running a model cannot do, from a run's cases; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.core.types import Area, Outcome
from harness.report.summary import SEVERITY
from harness.report.tables import Case, Cause


def gaps(found: Iterable[Case], areas: Mapping[str, Area]) -> tuple[tuple[str, tuple[Cause, ...]], ...]:
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
    causes = {
        where: [Cause(text, tuple(cases)) for (text, _), cases in groups.items()]
        for where, groups in members.items()
        if groups
    }
    return tuple(
        (where, tuple(sorted(group, key=lambda cause: SEVERITY.index(cause.outcome))))
        for where, group in causes.items()
    )
