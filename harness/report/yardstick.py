"""Latency relative to the yardstick engine: a table of models by targets, from a run's records."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.report.tables import Case, measured


class Ratio(msgspec.Struct, frozen=True):
    """A target's median latency over the yardstick's; ``low`` and ``high`` bound it at 99 %."""

    ratio: float
    low: float
    high: float
    median_us: float


class Row(msgspec.Struct, frozen=True):
    """One model: the yardstick's median, and the ratios by target."""

    case: Case
    model: str
    batch: int
    median_us: float
    ratios: dict[str, Ratio]


class Table(msgspec.Struct, frozen=True):
    """All models of a run; ``engine`` is the yardstick with its version."""

    engine: str
    targets: tuple[str, ...]
    rows: tuple[Row, ...]


def table(found: Iterable[Case]) -> Table | None:
    """Return the table of every well-formed ``yardstick`` measure, or None where no case has one."""
    rows: list[Row] = []
    engines: dict[str, None] = {}
    for case, values in measured(found, "yardstick"):
        try:
            ratios = msgspec.convert(values["targets"], dict[str, Ratio])
            row = Row(case, case.record.model, int(values["batch"]), float(values["median_us"]), ratios)
        except (KeyError, TypeError, ValueError, msgspec.ValidationError):
            continue
        rows.append(row)
        engines[f"{values.get('engine', 'the yardstick')} {values.get('version', '')}".strip()] = None
    if not rows:
        return None
    targets = dict.fromkeys(name for row in rows for name in row.ratios)
    return Table(", ".join(engines), tuple(targets), tuple(rows))
