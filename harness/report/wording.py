"""Values to text: numbers short and honest, hostile or endless strings tame."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

# Colour codes of terminals, then every control character that HTML does not allow.
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """``text`` without terminal colours; other control characters become U+FFFD."""
    return _CONTROL.sub("\ufffd", _ANSI.sub("", text.replace("\r\n", "\n")))


def clip(text: str, most: int, *, keep: str = "start", whole: str = "records.jsonl") -> str:
    """At most ``most`` characters of ``text``, saying how many are left out, and where they are.

    ``keep="end"`` keeps the tail, which is where a traceback or a log tells its story.
    """
    if len(text) <= most:
        return text
    left_out = f"[{len(text) - most:,} characters left out; the whole is in {whole}]"
    return f"{left_out}\n…{text[-most:]}" if keep == "end" else f"{text[:most]}…\n{left_out}"


def number(value: Any) -> str:
    """Four significant digits for a float, thousands separators for an int, text for the rest."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if value == 0 or 1e-3 <= size < 1e4:
        return f"{value:.4g}"
    return f"{value:,.0f}" if 1e4 <= size < 1e9 else f"{value:.2e}"


def ratio(value: float | None) -> str:
    """A budget_used: two digits after the point near 1, so that 0.97 and 1.04 stay apart."""
    if value is None:
        return "—"
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if 0.01 <= value < 100:
        return f"{value:.2f}"
    return f"{value:.1e}"


def size(value: int) -> str:
    """Bytes in binary units, three digits, in one word."""
    for unit, step in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= step:
            return f"{value / step:.3g}\N{NO-BREAK SPACE}{unit}"
    return f"{value} B"


def change(value: float | None) -> str:
    """A relative change, 0.021 as ``+2.1 %``."""
    return "—" if value is None else f"{round(100 * value, 1) + 0.0:+.1f} %"


def percent(share: float | None) -> str:
    """A share of something: two digits below 1 %, one decimal above, none from 100 % on."""
    if share is None or not math.isfinite(share):
        return "—" if share is None else str(share)
    value = 100 * share
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f} %"
    return f"{value:.2g} %" if abs(value) < 0.995 else f"{value:.1f}".removesuffix(".0") + " %"


def moment(value: str) -> str:
    """An ISO 8601 moment to the minute; anything else as it is."""
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return value
    return f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".strip()


def prose(text: str) -> Markup:
    """Escaped text with `` `this` `` set as code, the way the claims are written."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(clean(text)))))


def seconds(value: float) -> str:
    """A duration for people: ``0.8 s``, ``14 s``, ``3 min 20 s``, ``1 h 04 min``."""
    if value < 10:
        return f"{value:.2g} s" if value else "0 s"
    if value < 120:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
