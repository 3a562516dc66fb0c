"""The page of all runs, ``history.html``: claims by release, what moved, trends, flaky cases."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

import harness
from harness.history.changes import Series
from harness.history.fleet import Fleet, RunRow, page_of
from harness.report import svg
from harness.report.layout import page

MOST_DRAWN = 24
"""Most trends drawn, those with a change point first; the table has every change."""
MOST_ROWS = 200
"""Most rows of a table; `harness query` gives all."""


def render(fleet: Fleet, command: str, path: Path) -> str:
    """Return the page as text: one HTML document that needs no other file and no script.

    ``path`` is where the page will be written: runs below its folder are linked.
    """
    return page(
        "history",
        "records.jsonl",
        version=harness.__version__,
        fleet=fleet,
        command=command,
        links={run.run: quote(there) for run in fleet.runs if (there := page_of(run.folder, path))},
        drawn=[one for one in fleet.trends if len(one.points) > 2][:MOST_DRAWN],
        draw=trend,
        changes=[change for one in fleet.trends for change in one.changes()],
        standing=standing(fleet.newest),
        most=MOST_ROWS,
    )


def standing(newest: tuple[RunRow, ...]) -> str:
    """Summarise the newest runs in a word: ``fail``, ``incomplete`` or ``pass``."""
    if any(run.unexpected for run in newest):
        return "fail"
    return "incomplete" if not all(run.complete for run in newest) else "pass"


def trend(series: Series, name: str) -> Markup:
    """Draw a point for each run and a line for each segment, in order of time; log scale.

    A line at the start of a new segment shows whether it is slower or faster; dotted lines separate releases.
    """
    points = series.points
    values = [point.median_us for point in points]
    with svg.axes(name, 4.2, 2.1, left=0.62) as axes:
        axes.plot(range(len(values)), values, "o", color=svg.FIRST, ms=2.6, alpha=0.55, mew=0)
        segments = series.segments
        for first, end, median in segments:
            axes.plot([first - 0.5, end - 0.5], [median, median], color=svg.INK, lw=1.4)
        for (_, start, before), (_, _, after) in pairwise(segments):
            axes.axvline(start - 0.5, color=svg.BAD if after > before else svg.THIRD, lw=1.2)
        for place, release in _releases(series):
            if place:
                axes.axvline(place - 0.5, color=svg.SOFT, lw=0.7, ls=":")
            axes.annotate(
                release, (place - 0.5, 1.0), (2, -7), xycoords=("data", "axes fraction"),
                textcoords="offset points", color=svg.SOFT, size=7, annotation_clip=False,
            )  # fmt: skip
        _scale(axes, values)
        axes.set_xlabel("run, in order of time")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value + 1:.0f}"))
        axes.grid(axis="y")
        axes.tick_params(length=2.5)
        changes = "; ".join(
            f"from run {start + 1} {100 * (after / before - 1):+.1f} per cent"
            for (_, start, before), (_, _, after) in pairwise(segments)
        )
        return svg.markup(
            axes,
            name,
            f"Median latency of {series.title}, on {points[0].host} over {len(points)} runs: "
            f"{changes or 'no change point'}.",
        )


def _releases(series: Series) -> list[tuple[int, str]]:
    """Return where each release begins, with its label; '' where labels would touch."""
    found: list[tuple[int, str]] = []
    apart = len(series.points) / 9
    shown = -apart
    last = None
    for place, point in enumerate(series.points):
        if point.release != last:
            last = point.release
            roomy = place - shown >= apart
            found.append((place, point.release or "?" if roomy and len(series.releases) > 1 else ""))
            shown = place if roomy else shown
    return found


def _scale(axes: Axes, values: list[float]) -> None:
    """Set a logarithmic axis of microseconds, a tenth wider than the values and at least 20 % wide."""
    low, high = min(values), max(values)
    middle, half = (low * high) ** 0.5, max((high / low) ** 0.55, 1.1)
    axes.set_yscale("log")
    axes.set_ylim(middle / half, middle * half)
    steps = MaxNLocator(4).tick_values(middle / half, middle * half)
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in steps if tick > 0]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: svg.time(value)))
    axes.yaxis.set_minor_locator(NullLocator())
