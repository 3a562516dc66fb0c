"""The page of several runs side by side, ``comparison.html``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from markupsafe import Markup

import harness
from harness.core.containers import grouped
from harness.gate import comparison_figures as figures
from harness.gate.comparison import Column, Comparison, Row
from harness.report.layout import page

FACTS = ("paddle", "cpu", "host", "device", "precision", "threads")
"""Facts that are shown of a column where columns differ in them."""


BUSY = 1.5
"""Load per processor above which a run is marked: this harness is 1, the rest took time from it."""


def render(found: Comparison, command: str) -> str:
    """Return the page as text: one HTML document that needs no other file and no script."""
    differing = [name for name in FACTS if len({getattr(column, name) for column in found.columns}) > 1]
    runs = {column.run for column in found.columns}

    def label(column: Column) -> str:
        one = len(runs) == 1 or column.run == column.name  # a run of only that target
        return column.name if one else f"{column.name} ({column.run})"

    return page(
        "comparison",
        "comparison.json",
        version=harness.__version__,
        found=found,
        command=command,
        differing=differing,
        alike={name: getattr(found.columns[0], name) for name in FACTS if name not in differing},
        label=label,
        timed=[place for place in range(len(found.columns)) if any(row.cells[place] for row in found.rows)],
        busy={c.run: c.busy for c in found.columns if c.busy > BUSY},
        priced=any(column.price for column in found.columns),
        figures=_figures(found, [label(column) for column in found.columns]),
        peaks=_peaks(found, label),
    )


def _figures(
    found: Comparison, labels: list[str]
) -> list[tuple[str, list[tuple[str, Markup]], Markup | None]]:
    """Draw for each model its latencies at the smallest and the largest batch, and its curves."""
    drawn: list[tuple[str, list[tuple[str, Markup]], Markup | None]] = []
    for model, group in groupby(found.rows, key=lambda row: row.model):
        rows: list[Row] = [row for row in group if any(row.cells)]
        if not rows:
            continue
        name = f"model-{len(drawn)}"
        ends = [rows[0], *rows[-1:]] if len(rows) > 1 else rows
        bars = [
            (f"batch {row.batch}", figures.limits(row, labels, f"{name}-batch-{row.batch}")) for row in ends
        ]
        curves = figures.curves(rows, labels, f"{name}-curves") if figures.swept(rows) else None
        drawn.append((model, bars, curves))
    return drawn


def _peaks(found: Comparison, label: Callable[[Column], str]) -> list[tuple[str, Column]]:
    """Each limit once, with the columns that it is the limit of."""
    measured = (column for column in found.columns if column.peak is not None)
    alike = grouped(measured, lambda column: (column.run, column.peak))
    return [(", ".join(map(label, columns)), columns[0]) for columns in alike.values()]
