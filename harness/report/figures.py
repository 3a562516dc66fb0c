"""Drawings of a run's page: loss curves and latencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from harness.report import svg
from harness.report.tables import Latency, Losses, positive


def loss_curves(
    whole: Losses, other: Losses, name: str, description: str, first_difference: int | None, start: int = 0
) -> Markup:
    """Draw a loss curve over another, whose first step is ``start``; a start above 0 is marked.

    None is a gap. ``name`` must be unique on the page; it prefixes the drawing's ids.
    """
    with svg.axes(name, 4.2, 2.3, left=0.55) as axes:
        axes.plot(range(len(whole)), np.asarray(whole, dtype=float), color=svg.FIRST, lw=3.4, alpha=0.45)
        steps = range(start, start + len(other))
        axes.plot(steps, np.asarray(other, dtype=float), color=svg.SECOND, lw=1.3, ls=(0, (4, 2)))
        if start:
            axes.axvline(start, color=svg.SOFT, lw=0.8, ls=":")
        if first_difference is not None:
            axes.axvline(first_difference, color=svg.BAD, lw=1.0)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.grid(axis="y")
        axes.tick_params(length=2.5)
        same = first_difference is None
        state = "same to the last bit" if same else f"differs from step {first_difference}"
        return svg.markup(axes, name, f"{description}: {state}.")


def latency(group: str, rows: Sequence[Latency], name: str) -> Markup:
    """Draw one row per target: median with its 99 % interval, p95 and p99; log scale.

    Latencies are in microseconds. ``name`` must be unique on the page.
    """
    labels = [svg.short(_row_label(row, rows)) for row in rows]
    with svg.axes(name, 4.2, 0.75 + 0.27 * len(rows), left=svg.margin(labels)) as axes:
        for y, row in enumerate(rows):
            median = float(row.values["median_us"])
            low, high = (positive(row.values.get(f"median_{end}_us")) or median for end in ("low", "high"))
            colour = svg.BAD if row.case.standing in ("unexpected", "departed") else svg.FIRST
            svg.interval(axes, y, low, median, high, colour)
            for key, marker in (("p95_us", "|"), ("p99_us", "x")):
                tail = positive(row.values.get(key))
                if tail is not None:
                    axes.plot([median, tail], [y, y], color=svg.SOFT, lw=0.7)
                    axes.plot([tail], [y], marker, color=svg.INK, ms=5, mew=1.0)
        svg.label_rows(axes, labels, "latency of one call, log scale")
        spoken = "; ".join(f"{row.target} {svg.time(row.values['median_us'])}" for row in rows)
        return svg.markup(axes, name, f"Median latency for {group}: {spoken}.")


def _row_label(row: Latency, rows: Sequence[Latency]) -> str:
    """Return the target, with its threads where the same target appears more than once."""
    twice = sum(other.target == row.target for other in rows) > 1
    return f"{row.target}, {row.values.get('threads', '?')} thr" if twice else row.target
