"""The page of several runs side by side, ``comparison.html``, and its drawings.

They show latencies with the machine's limit, and throughput against latency.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from itertools import groupby

from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

import harness
from harness.core.containers import grouped
from harness.gate.comparison import Column, Comparison, Row, Timing
from harness.report import svg
from harness.report.layout import page

LINES = tuple(
    (colour, dash)
    for dash in ((0, ()), (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
    for colour in (svg.FIRST, svg.SECOND, svg.THIRD, svg.FOURTH)
)
"""Colour and dashes of the targets in turn: the first sixteen differ."""
MARKS = "osD^v"
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
        bars = [(f"batch {row.batch}", limits(row, labels, f"{name}-batch-{row.batch}")) for row in ends]
        drawn.append((model, bars, curves(rows, labels, f"{name}-curves") if swept(rows) else None))
    return drawn


def _peaks(found: Comparison, label: Callable[[Column], str]) -> list[tuple[str, Column]]:
    """Each limit once, with the columns that it is the limit of."""
    measured = (column for column in found.columns if column.peak is not None)
    alike = grouped(measured, lambda column: (column.run, column.peak))
    return [(", ".join(map(label, columns)), columns[0]) for columns in alike.values()]


def limits(row: Row, labels: Sequence[str], name: str) -> Markup:
    """Draw medians of one model at one batch size with their intervals, and the least time each could take.

    ``labels`` are in the order of the row's cells; targets without a time are left out.
    """
    timed = [(label, cell) for label, cell in zip(labels, row.cells, strict=True) if cell is not None]
    shown = [svg.short(label) for label, _ in timed]
    with svg.axes(name, 4.2, 0.75 + 0.27 * len(timed), left=svg.margin(shown)) as axes:
        for y, (_, cell) in enumerate(timed):
            if cell.least is not None:
                axes.plot([cell.least.us, cell.median_us], [y, y], color=svg.SOFT, lw=0.8, ls=":")
                axes.plot([cell.least.us], [y], "|", color=svg.BAD, ms=11, mew=1.8)
            svg.interval(axes, y, cell.low_us, cell.median_us, cell.high_us, svg.FIRST)
        svg.label_rows(axes, shown, "one run, log scale")
        spoken = "; ".join(f"{label} {_spoken(cell)}" for label, cell in timed)
        return svg.markup(axes, name, f"{row.model}, batch {row.batch}: {spoken}.")


def _spoken(cell: Timing) -> str:
    least = f", at least {svg.time(cell.least.us)}" if cell.least is not None else ""
    return f"{svg.time(cell.median_us)}{least}"


def swept(rows: Sequence[Row]) -> bool:
    """Whether a target was timed at two batch sizes or more."""
    return any(sum(row.cells[place] is not None for row in rows) > 1 for place in range(len(rows[0].cells)))


def _edge(points: Sequence[tuple[int, Timing]]) -> frozenset[tuple[float, float]]:
    """Return the limit at each batch size: the least time, and the throughput at that time."""
    least = ((batch, cell.least.us) for batch, cell in points if cell.least is not None)
    return frozenset((us, 1e6 * batch / us) for batch, us in least)


def curves(rows: Sequence[Row], labels: Sequence[str], name: str) -> Markup:
    """Draw throughput against latency of one model, a line for each target, a point for each batch size.

    The machines' limits are drawn behind them, one line for each different limit.
    """
    lines = [
        (label, [(row.batch, cell) for row, cell in zip(rows, cells, strict=True) if cell is not None])
        for label, cells in zip(labels, zip(*(row.cells for row in rows), strict=True), strict=True)
    ]
    with svg.axes(name, 8.6, 3.7, left=0.75) as axes:
        box = axes.get_position()
        axes.set_position((box.x0, box.y0, 0.6, box.height))
        edges = sorted(map(_edge, (points for _, points in lines)), key=len, reverse=True)
        limits = [edge for i, edge in enumerate(edges) if not any(edge <= other for other in edges[:i])]
        for edge in limits:
            axes.plot(*zip(*sorted(edge), strict=True), color=svg.BAD, lw=1.3, ls=(0, (2, 1)))
        if limits:
            axes.plot([], [], color=svg.BAD, lw=1.3, ls=(0, (2, 1)), label="machine's limit")
        drawn = [(label, points) for label, points in lines if points]
        for (label, points), (colour, dash), mark in zip(
            drawn, itertools.cycle(LINES), itertools.cycle(MARKS), strict=False
        ):
            times, rates = [c.median_us for _, c in points], [c.throughput for _, c in points]
            axes.plot(
                times, rates, mark, ls=dash, color=colour, lw=1.2, ms=3.2, mew=0, label=svg.short(label)
            )
            if label == drawn[0][0]:
                for (batch, _), x, y in zip(points, times, rates, strict=True):
                    axes.annotate(str(batch), (x, y), xytext=(-3, 3), textcoords="offset points", ha="right")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("one run, log scale")
        axes.set_ylabel("examples a second, log scale")
        svg.time_axis(axes)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid()
        axes.tick_params(length=2.5, which="both")
        axes.figure.legend(
            loc="upper left", bbox_to_anchor=(box.x0 + 0.61, 0.99), frameon=False, handlelength=2.6
        )
        best = max(((c.throughput, b, label) for label, points in drawn for b, c in points), default=None)
        spoken = f" The most is {best[0]:,.0f} a second, {best[2]} at batch {best[1]}." if best else ""
        return svg.markup(axes, name, f"{rows[0].model}: throughput against latency.{spoken}")
