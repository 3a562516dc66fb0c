"""Figures as inline SVG whose colours are the page's own CSS variables.

Matplotlib draws with sentinel colours, which are then replaced by ``var(--fig-…)``: one drawing
reads on light, on dark and on paper. Text stays text (``svg.fonttype: none``), ids carry the
figure's name so that many drawings share a page, and the same numbers give the same bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.report.tables import Curve, Latency
from harness.report.wording import clean

# Sentinel -> CSS variable of report.css. Any other colour in the SVG would be a bug.
_INK, _SOFT, _GRID = "#0a0b01", "#0a0b02", "#0a0b03"
_FIRST, _SECOND, _BAD = "#0a0b04", "#0a0b05", "#0a0b06"
_VARIABLES = {
    _INK: "--fig-ink",
    _SOFT: "--fig-soft",
    _GRID: "--fig-grid",
    _FIRST: "--fig-first",
    _SECOND: "--fig-second",
    _BAD: "--fig-bad",
}
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 8.5,
    "text.color": _INK,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.7,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MOST_LABEL = 30


def loss_curve(curve: Curve, name: str) -> Markup:
    """Uninterrupted and resumed loss over steps, with the interruption marked.

    ``name`` must be unique on the page; it prefixes the drawing's ids.
    """
    steps = range(len(curve.uninterrupted))
    resumed_steps = range(curve.interrupted_at, curve.interrupted_at + len(curve.resumed))
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(4.2, 2.3))
        axes = _axes(figure, left=0.55, bottom=0.45)
        axes.plot(steps, _plottable(curve.uninterrupted), color=_FIRST, lw=3.4, alpha=0.45)
        axes.plot(resumed_steps, _plottable(curve.resumed), color=_SECOND, lw=1.3, ls=(0, (4, 2)))
        axes.axvline(curve.interrupted_at, color=_SOFT, lw=0.8, ls=":")
        if curve.first_difference is not None:
            axes.axvline(curve.first_difference, color=_BAD, lw=1.0)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.grid(axis="y")
        axes.tick_params(length=2.5)
        same = curve.first_difference is None
        state = "same to the last bit" if same else f"differs from step {curve.first_difference}"
        return _svg(
            figure,
            name,
            f"Loss per step of {curve.case.record.case}, uninterrupted and resumed at step "
            f"{curve.interrupted_at}: {state}.",
        )


def latency(group: str, rows: Sequence[Latency], name: str) -> Markup:
    """One row per target: median with the 99 % interval of the median, p95 and p99; log scale.

    Latencies in microseconds. ``name`` must be unique on the page.
    """
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        labels = [_label(_row_label(row, rows)) for row in rows]
        figure = Figure(figsize=(4.2, 0.75 + 0.27 * len(rows)))
        # 0.076 inches is a wide average letter at this size.
        axes = _axes(figure, left=0.15 + 0.076 * max(map(len, labels)), bottom=0.45)
        for y, row in enumerate(rows):
            _interval(axes, y, row)
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.set_xlabel("latency of one call, log scale")
        _time_axis(axes)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        spoken = "; ".join(f"{row.target} {_time(row.values['median_us'])}" for row in rows)
        return _svg(figure, name, f"Median latency for {group}: {spoken}.")


def _interval(axes: Axes, y: int, row: Latency) -> None:
    median = float(row.values["median_us"])
    low, high = (_positive(row.values.get(f"median_{end}_us")) or median for end in ("low", "high"))
    colour = _BAD if row.case.standing in ("unexpected", "surprise") else _FIRST
    axes.plot([low, high], [y, y], color=colour, lw=5, alpha=0.45, solid_capstyle="butt")
    axes.plot([median], [y], "o", color=colour, ms=4.5)
    for key, marker in (("p95_us", "|"), ("p99_us", "x")):
        tail = _positive(row.values.get(key))
        if tail is not None:
            axes.plot([median, tail], [y, y], color=_SOFT, lw=0.7)
            axes.plot([tail], [y], marker, color=_INK, ms=5, mew=1.0)


def _axes(figure: Figure, *, left: float, bottom: float) -> Axes:
    """Axes with margins in inches: ten times quicker than having matplotlib measure the text."""
    width, height = figure.get_size_inches()
    right, top = 0.12, 0.08
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    return figure.add_axes(box)


def _time_axis(axes: Axes) -> None:
    """Two to four labelled ticks at round times, whatever the span."""
    low, high = axes.get_xlim()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 4, 5, 7),
        [i / 10 for i in range(10, 100)],
    ):
        ticks = [m * 10.0**d for d in decades for m in steps if low <= m * 10.0**d <= high]
        if len(ticks) >= 2:
            break
    every = math.ceil(len(ticks) / 4)
    axes.xaxis.set_major_locator(FixedLocator(ticks[::every]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _time(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def _row_label(row: Latency, rows: Sequence[Latency]) -> str:
    """The target, with its threads where the same target appears more than once."""
    twice = sum(other.target == row.target for other in rows) > 1
    return f"{row.target}, {row.values.get('threads', '?')} thr" if twice else row.target


def _label(text: str) -> str:
    text = clean(text)
    return text if len(text) <= _MOST_LABEL else text[: _MOST_LABEL - 1] + "…"


def _time(microseconds: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.3g} µs"


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _plottable(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def _svg(figure: Figure, name: str, description: str) -> Markup:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Metadata, comments and namespaces carry addresses and nothing a reader sees.
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    # The page's own font; matplotlib names its bundled one.
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    text = re.sub(r"(-?\d+\.\d{2})\d+", r"\1", text)
    text = re.sub(r">\s+<", "><", text)
    for sentinel, variable in _VARIABLES.items():
        text = text.replace(sentinel, f"var({variable})")
    label = escape(clean(description))
    return Markup(text.strip().replace("<svg", f'<svg role="img" aria-label="{label}"', 1))
