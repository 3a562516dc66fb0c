"""Inline SVG whose colours are the page's CSS variables.

Matplotlib draws with sentinel colours, which are then replaced by ``var(--fig-…)``, so that one drawing
works on a light page, a dark one and on paper. Text stays text (``svg.fonttype: none``). Ids contain the
figure's name, so that a page can have many drawings. The same numbers give the same bytes.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.report.wording import clean

# Sentinel -> CSS variable of report.css. Any other colour in the SVG would be a bug.
_NAMES = ("ink", "soft", "grid", "first", "second", "bad", "third", "fourth")
_VARIABLES = {f"#0a0b0{number}": f"--fig-{name}" for number, name in enumerate(_NAMES, start=1)}
INK, SOFT, GRID, FIRST, SECOND, BAD, THIRD, FOURTH = _VARIABLES
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MOST_LABEL = 30


@contextmanager
def axes(name: str, width: float, height: float, *, left: float, bottom: float = 0.45) -> Iterator[Axes]:
    """Give the axes of a new figure to the block that draws it; sizes are in inches.

    ``name`` must be unique on the page; it prefixes the ids. Given margins are ten times faster than
    letting matplotlib measure the text.
    """
    right, top = 0.12, 0.08
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        yield Figure(figsize=(width, height)).add_axes(box)


def margin(labels: Sequence[str]) -> float:
    """Return the width of the longest label in inches, at a generous 0.076 inches a letter."""
    return 0.15 + 0.076 * max(map(len, labels))


def short(text: str) -> str:
    """Shorten ``text`` to a label of at most 30 characters."""
    text = clean(text)
    return text if len(text) <= _MOST_LABEL else text[: _MOST_LABEL - 1] + "…"


def interval(axes: Axes, y: float, low: float, median: float, high: float, colour: str) -> None:
    """Draw a median as a dot on the bar of its interval."""
    axes.plot([low, high], [y, y], color=colour, lw=5, alpha=0.45, solid_capstyle="butt")
    axes.plot([median], [y], "o", color=colour, ms=4.5)


def label_rows(axes: Axes, labels: Sequence[str], what: str, log: bool = True) -> None:
    """A label for each row, the first on top, and what the axis below has: microseconds where ``log``."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    if log:
        axes.set_xscale("log")
    axes.set_xlabel(what)
    if log:
        time_axis(axes)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


def time_axis(axes: Axes) -> None:
    """Set a logarithmic axis of microseconds with two to four labelled ticks at round times."""
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
        fitting = [m * 10.0**d for d in decades for m in steps if low <= m * 10.0**d <= high]
        # A label needs about a quarter of the axis.
        apart, ticks = (high / low) ** 0.25, []
        for tick in sorted(set(fitting)):
            if not ticks or tick >= ticks[-1] * apart:
                ticks.append(tick)
        if len(ticks) >= 2:
            break
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: time(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def time(microseconds: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.3g} µs"


def markup(axes: Axes, name: str, description: str) -> Markup:
    """Return the drawing as one ``<svg>`` element; screen readers read ``description``."""
    buffer = io.StringIO()
    assert isinstance(axes.figure, Figure)
    axes.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # Metadata, comments and namespaces contain addresses, and nothing that a reader sees.
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    # Use the page's font instead of matplotlib's.
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    # Round coordinates to a hundredth of a point, but not the numbers in texts.
    text = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(-?\d+\.\d{2})\d+", r"\1", tag[0]), text)
    text = re.sub(r">\s+<", "><", text)
    for sentinel, variable in _VARIABLES.items():
        text = text.replace(sentinel, f"var({variable})")
    label = escape(clean(description))
    return Markup(text.strip().replace("<svg", f'<svg role="img" aria-label="{label}"', 1))
