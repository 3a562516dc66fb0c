"""Drawings of the gate's page: errors before and after, loss curves, speed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.gate.result import Direction, Numerics, PairedSpeed, Speed
from harness.report import svg

MARKS: dict[Direction, tuple[str, str, str]] = {
    "": (svg.FIRST, "o", "--fig-first"),
    "old files": (svg.SECOND, "^", "--fig-second"),
    "new files": (svg.THIRD, "s", "--fig-third"),
    "rollback": (svg.FOURTH, "D", "--fig-fourth"),
}
"""Colour and shape of a direction's points, and the page's name of that colour."""
_SMALLEST, _LARGEST = 1e-6, 1e4
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_OFFSETS = ((5, 3), (-11, 3), (5, -9), (-11, -9))


def numerics(rows: Sequence[Numerics], outliers: Sequence[Numerics], name: str) -> Markup:
    """Draw error over allowed error, before against after, both on a log scale.

    Zero and very small errors are drawn at the floor, errors that are not finite at the ceiling; both are
    marked. ``outliers`` are numbered from 1.
    """
    low, high, lost = _limits(rows)
    with svg.axes(name, 6.4, 4.6, left=0.72, bottom=0.5) as axes:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(low / 1.6, high * 1.6)
        axes.set_ylim(low / 1.6, high * 1.6)
        axes.grid(True)
        axes.plot([low, high], [low, high], color=svg.SOFT, lw=0.9)
        for line in (axes.axhline, axes.axvline):
            line(1.0, color=svg.BAD, lw=1.1)
            line(low, color=svg.SOFT, lw=0.7, ls=":")
        axes.annotate("allowed", (low, 1.0), (2, 3), textcoords="offset points", color=svg.BAD)
        for direction, points in _points(rows, low, high).items():
            colour, shape, _ = MARKS[direction]
            x, y = zip(*points, strict=True)
            axes.plot(x, y, shape, color=colour, ms=4.2, alpha=0.65, mew=0)
        for number, row in enumerate(outliers, start=1):
            point = (_within(row.before, low, high), _within(row.after, low, high))
            # At one of four corners in turn, so that the numbers of coinciding points stay readable.
            offset = _OFFSETS[(number - 1) % len(_OFFSETS)]
            axes.annotate(
                str(number), point, offset, textcoords="offset points", color=svg.INK, weight="bold"
            )
        axes.set_xlabel("before: error / allowed error")
        axes.set_ylabel("after: error / allowed error")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(
                FuncFormatter(lambda value, _: _tick(value, low, high if lost else math.inf))
            )
            axis.set_minor_locator(NullLocator())
        axes.tick_params(length=2.5)
        larger = sum(_above(row.before, row.after) for row in rows)
        smaller = sum(_above(row.after, row.before) for row in rows)
        past = sum(row.after is None or row.after > 1 for row in rows)
        return svg.markup(
            axes,
            name,
            f"Errors before and after of {len(rows)} comparisons: {larger} larger, "
            f"{smaller} smaller, {len(rows) - larger - smaller} unchanged, {past} past what is allowed.",
        )


MOST_PAIRED = 40
"""Paired measurements drawn; the table has all."""


def paired(rows: Sequence[PairedSpeed], what: str, name: str) -> Markup | str:
    """Draw each change with its interval, in per cent; decided ones are coloured. ``what``: the quantity."""
    drawn = [row for row in rows if row.change is not None and row.low is not None][:MOST_PAIRED]
    if not drawn:
        return ""
    labels = [svg.short(f"{row.model}, {row.target}, {row.batch}") for row in drawn]
    with svg.axes(name, 7.0, 0.7 + 0.22 * len(labels), left=svg.margin(labels)) as axes:
        for y, row in enumerate(drawn):
            low, change, high = (100 * (value or 0.0) for value in (row.low, row.change, row.high))
            colour = svg.FIRST if row.answer in ("same", "not enough data") else svg.SECOND
            svg.interval(axes, y, low, change, high, colour)
        axes.axvline(0, color=svg.FIRST, linewidth=0.8)
        svg.label_rows(axes, labels, f"{what}, candidate against baseline, per cent", log=False)
        spoken = "; ".join(f"{row.model} on {row.target}: {row.answer}" for row in drawn[:8])
        return svg.markup(axes, name, f"Changes of the {what} with their intervals. {spoken}.")


def speed(group: str, rows: Sequence[Speed], name: str) -> Markup:
    """Draw two medians with their 99 % intervals for each target, in microseconds on a log scale."""
    labels = [svg.short(row.target or "target not named") for row in rows]
    with svg.axes(name, 4.2, 0.7 + 0.42 * len(labels), left=svg.margin(labels)) as axes:
        for y, row in enumerate(rows):
            before = (row.before_low_us, row.before_us, row.before_high_us)
            after = (row.after_low_us, row.after_us, row.after_high_us)
            svg.interval(axes, y - 0.16, *before, svg.FIRST)
            svg.interval(axes, y + 0.16, *after, svg.SECOND)
        svg.label_rows(axes, labels, "latency of one call, log scale")
        spoken = "; ".join(
            f"{row.target} {svg.time(row.before_us)} before, {svg.time(row.after_us)} after" for row in rows
        )
        return svg.markup(axes, name, f"Median latency of {group}: {spoken}.")


def _limits(rows: Sequence[Numerics]) -> tuple[float, float, bool]:
    """Return the powers of ten around what is drawn, and whether some of it is drawn at the ceiling.

    The floor is a decade below the smallest error; the range is at least 0.001 to 10.
    """
    every = [math.inf if v is None or math.isnan(v) else v for row in rows for v in (row.before, row.after)]
    values = [v for v in every if 0 < v < math.inf]
    low = max(min([*values, 1e-2]), _SMALLEST * 10)
    high = min(max([*values, 2.0]), _LARGEST / 10)
    lost = any(v > high for v in every)
    return 10.0 ** (math.floor(math.log10(low)) - 1), 10.0 ** (math.ceil(math.log10(high)) + lost), lost


def _within(value: float | None, low: float, high: float) -> float:
    if value is None or math.isnan(value):
        return high
    return min(max(value, low), high)


def _points(
    rows: Sequence[Numerics], low: float, high: float
) -> dict[Direction, tuple[tuple[float, float], ...]]:
    """Return the points of each direction; points that would fall on the same pixel are merged."""
    found: dict[Direction, dict[tuple[float, float], tuple[float, float]]] = {d: {} for d in MARKS}
    for row in rows:
        point = (_within(row.before, low, high), _within(row.after, low, high))
        found[row.direction].setdefault(
            (round(math.log10(point[0]), 2), round(math.log10(point[1]), 2)), point
        )
    return {direction: tuple(points.values()) for direction, points in found.items() if points}


def _tick(value: float, low: float, high: float) -> str:
    if value <= low * 1.001:
        return "≈ 0"
    if value >= high * 0.999:
        return f"≥ {value:g}"
    exponent = round(math.log10(value))
    return f"{value:g}" if exponent >= -2 else "10" + str(exponent).translate(_SUPERSCRIPT)


def _above(before: float | None, after: float | None) -> bool:
    return before is not None and (after is None or after > before)
