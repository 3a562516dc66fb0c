"""Show runs side by side, a column for each target of each run: pure functions over records.

Nothing here is a verdict on speed: columns were measured separately, some on other machines. Each latency
is shown with its interval, and none where the target's outputs were wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from harness.checks import roofline
from harness.checks.roofline import Cost, Least, Peak
from harness.core.containers import at, grouped
from harness.core.errors import UsageError
from harness.core.types import Outcome, Record
from harness.records.files import Run
from harness.report.summary import SEVERITY, cause
from harness.targets.target import Target


class Column(msgspec.Struct, frozen=True):
    """One target in one run. ``facts``: what distinguishes it from the other columns."""

    run: str
    target: str
    paddle: str
    cpu: str
    host: str
    device: str
    precision: str
    threads: int
    price: float
    """Price per hour, in the currency of the targets file; 0: not given."""
    busy: float = 0.0
    """Load per processor of the run's machine, at the start or the end, whichever was more."""
    peak: Peak | None = None
    """Peak performance of the machine with the target's threads, if the run measured it."""
    machine: str = ""
    """Machine in a merged run; empty: the run has only one."""

    @property
    def name(self) -> str:
        return f"{self.target} @ {self.machine}" if self.machine else self.target

    @property
    def id(self) -> str:
        return f"{self.run}:{self.name}"


class Judged(msgspec.Struct, frozen=True):
    """Outcome of a model's checks on a target."""

    outcome: Outcome
    cases: int
    reason: str = ""
    known: bool = False

    @property
    def conforms(self) -> bool:
        return self.outcome == "pass"


class Timing(msgspec.Struct, frozen=True):
    """One latency: median microseconds per run, with its 99 % interval."""

    median_us: float
    low_us: float
    high_us: float
    throughput: float
    load_ms: float | None
    memory_mib: float | None
    ratio: tuple[float, float, float] | None = None
    """Latency over that of the reference column: estimate, and the range that the two intervals allow."""
    million: float | None = None
    """Cost of a million examples at the target's price per hour."""
    least: Least | None = None
    """Least time that the target's machine can take for the model."""

    @property
    def reached(self) -> float | None:
        """Share of the limit reached; above 1 the engine needs fewer operations than the program has."""
        return self.least.us / self.median_us if self.least is not None else None


class Row(msgspec.Struct, frozen=True):
    """One model at one batch size; cells in the order of the columns."""

    model: str
    batch: int
    cells: tuple[Timing | None, ...]
    cost: Cost | None = None


class Comparison(msgspec.Struct, frozen=True):
    """The whole comparison. ``gaps``: for each column, what was not run and why."""

    columns: tuple[Column, ...]
    reference: str
    conformance: dict[str, tuple[Judged | None, ...]]
    """Outcomes by model, in the order of the columns; None: not tried."""
    rows: tuple[Row, ...]
    gaps: tuple[tuple[Column, tuple[tuple[str, int], ...]], ...]


def compare(
    runs: Sequence[Run], targets: Mapping[str, Target], wanted: Sequence[str] = (), reference: str = ""
) -> Comparison:
    """Compare these runs.

    Args:
        targets: known targets by name, with precision, device and price.
        wanted: only these targets.
        reference: ``TARGET`` or ``RUN:TARGET``; the first column that was timed unless given.

    Raises:
        UsageError: a target or the reference is in no run.
    """
    found = _columns(runs, targets, wanted)
    columns = tuple(column for column, _ in found)
    by_column = {column.id: records for column, records in found}
    base = _reference(columns, by_column, reference)
    models = list(dict.fromkeys(r.model for records in by_column.values() for r in records if r.model))
    areas = {name for run in runs for name, area in run.areas.items() if area.judges_targets}
    conformance = {model: tuple(_judged(by_column[c.id], model, areas) for c in columns) for model in models}
    conformance = {model: cells for model, cells in conformance.items() if any(cells)}
    return Comparison(
        columns=columns,
        reference=base.id if base is not None else "",
        conformance=conformance,
        rows=tuple(_rows(columns, by_column, base, conformance)),
        gaps=tuple((column, _gaps(by_column[column.id])) for column in columns),
    )


def _columns(
    runs: Sequence[Run], targets: Mapping[str, Target], wanted: Sequence[str]
) -> list[tuple[Column, list[Record]]]:
    """Return the columns with their records, without those of compressed models."""
    found: list[tuple[Column, list[Record]]] = []
    for run in runs:
        environment = run.header.environment
        for (name, place), mine in grouped(run.records, lambda r: (r.target, r.machine)).items():
            if not name or (wanted and name not in wanted):
                continue
            target = targets.get(name)
            where: Any = next((r.measures["where"] for r in mine if "where" in r.measures), None)
            there = where if isinstance(where, dict) else at(environment, ("machines", place)) or environment
            column = Column(
                run=run.folder.name,
                target=name,
                paddle=str(at(there, ("paddle", "version")) or ""),
                cpu=str(at(there, ("cpu", "model")) or there.get("cpu", "")),
                host=str(there.get("host", "")),
                device=str(target.options.get("device", "cpu")) if target else "",
                precision=target.storage if target else "",
                threads=int(target.options.get("threads", 1)) if target else 1,
                price=target.price_per_hour if target else 0.0,
                busy=_busy(run) if there is environment else 0.0,
                peak=_peak(run, target),
                machine=place,
            )
            found.append((column, [record for record in mine if not record.method]))
    missing = sorted(set(wanted) - {column.target for column, _ in found})
    if missing:
        raise UsageError(f"no run has a case of the target {', '.join(missing)}")
    if not found:
        raise UsageError("no run has a case that names a target: there is nothing to compare")
    return found


def _busy(run: Run) -> float:
    cpu = run.header.environment.get("cpu", {})
    loads = (cpu.get("load1"), run.footer.load.get("load1") if run.footer is not None else None)
    most = max((float(load) for load in loads if isinstance(load, int | float)), default=0.0)
    return most / (cpu.get("cores") or 1)


def _peak(run: Run, target: Target | None) -> Peak | None:
    """Return the limit for the target's machine and threads; it is measured for CPUs only."""
    if target is None or target.device != "cpu":
        return None
    measured = [peak for record in run.records for peak in record.measures.get("limits", ())]
    return roofline.peaks(measured).get((target.interpreter, int(target.options.get("threads", 1))))


def _reference(
    columns: Sequence[Column], by_column: Mapping[str, Sequence[Record]], wanted: str
) -> Column | None:
    if wanted:
        found = [column for column in columns if wanted in (column.id, column.name, column.target)]
        if not found:
            names = ", ".join(column.id for column in columns)
            raise UsageError(f"no column is called {wanted}: choose one of {names}")
        return found[0]
    timed = (column for column in columns if any(_latency(record) for record in by_column[column.id]))
    return next(timed, None)


def _judged(records: Iterable[Record], model: str, areas: Collection[str]) -> Judged | None:
    """The gravest outcome of the model's checks in these areas; of those that ran, unless none did."""
    mine = [r for r in records if r.model == model and r.area in areas]
    ran = [record for record in mine if record.outcome != "not-run"] or mine
    if not ran:
        return None
    worst = min(ran, key=lambda record: SEVERITY.index(record.outcome))
    reason = _why_not(worst) if worst.outcome != "pass" else ""
    return Judged(worst.outcome, len(ran), reason, bool(worst.expected_failure))


def _latency(record: Record) -> dict[str, Any] | None:
    found = record.measures.get("latency")
    good = isinstance(found, dict) and isinstance(found.get("median_us"), int | float)
    return found if good and record.outcome == "pass" else None


def _rows(
    columns: Sequence[Column],
    by_column: Mapping[str, Sequence[Record]],
    base: Column | None,
    conformance: Mapping[str, Sequence[Judged | None]],
) -> Iterable[Row]:
    timed: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for column in columns:
        for record in by_column[column.id]:
            if figures := _latency(record):
                timed.setdefault((record.model, int(figures.get("batch", 1))), {})[column.id] = figures
    for (model, batch), cells in sorted(timed.items()):
        reference = cells.get(base.id) if base is not None else None
        cost = next(filter(None, map(roofline.cost_of, cells.values())), None)
        # How fast a wrong answer comes is of no use.
        good = [one is None or one.conforms for one in conformance.get(model, [None] * len(columns))]
        found = (
            _timing(column, cells[column.id], reference, batch, cost) if fine and column.id in cells else None
            for column, fine in zip(columns, good, strict=True)
        )
        yield Row(model, batch, tuple(found), cost)


def _timing(
    column: Column,
    figures: Mapping[str, Any],
    reference: Mapping[str, Any] | None,
    batch: int,
    cost: Cost | None,
) -> Timing:
    median, low, high = (float(figures[f"median_{name}us"]) for name in ("", "low_", "high_"))
    ratio = None
    if reference is not None:
        base, least, most = (float(reference[f"median_{name}us"]) for name in ("", "low_", "high_"))
        ratio = (median / base, low / most, high / least)
    return Timing(
        median_us=median,
        low_us=low,
        high_us=high,
        throughput=batch * 1e6 / median,
        load_ms=figures.get("load_ms"),
        memory_mib=figures.get("session_memory_mib"),
        ratio=ratio,
        million=column.price * median / 3600 / batch if column.price else None,
        least=roofline.least(cost, column.peak, column.precision) if cost and column.peak else None,
    )


def _gaps(records: Iterable[Record]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(_why_not(record) for record in records if record.outcome != "pass").most_common())


def _why_not(record: Record) -> str:
    """Return why a case did not pass; '' where it was not run for no recorded reason."""
    return record.expected_failure or (record.reason if record.outcome == "not-run" else cause(record))
