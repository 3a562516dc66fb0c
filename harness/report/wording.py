"""Format values as text: short exact numbers, and safe, bounded strings."""

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
    """Return ``text`` without terminal colours; other control characters become U+FFFD."""
    return _CONTROL.sub("\ufffd", _ANSI.sub("", text.replace("\r\n", "\n")))


def clip(text: str, most: int, *, keep: str = "start", whole: str = "records.jsonl") -> str:
    """Cut ``text`` to at most ``most`` characters, saying how many are left out and where they are.

    ``keep="end"`` keeps the end, where a traceback or a log says what happened.
    """
    if len(text) <= most:
        return text
    left_out = f"[{len(text) - most:,} characters left out; the whole is in {whole}]"
    return f"{left_out}\n…{text[-most:]}" if keep == "end" else f"{text[:most]}…\n{left_out}"


def number(value: Any) -> str:
    """Format a float with four significant digits, an int with thousands separators, others as text."""
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
    """Format a budget used, with two decimals near 1, so that 0.97 and 1.04 stay apart."""
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
    """Format bytes in binary units, with three digits, as one word."""
    for unit, step in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= step:
            return f"{value / step:.3g}\N{NO-BREAK SPACE}{unit}"
    return f"{value} B"


def change(value: float | None) -> str:
    """Format a relative change: 0.021 as ``+2.1 %``."""
    return "—" if value is None else f"{round(100 * value, 1) + 0.0:+.1f} %"


def percent(share: float | None) -> str:
    """Format a share in per cent: two digits below 1 %, one decimal above, none from 100 % on."""
    if share is None or not math.isfinite(share):
        return "—" if share is None else str(share)
    value = 100 * share
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f} %"
    return f"{value:.2g} %" if abs(value) < 0.995 else f"{value:.1f}".removesuffix(".0") + " %"


def moment(value: str) -> str:
    """Format an ISO 8601 time to the minute; return anything else unchanged."""
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return value
    return f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".strip()


def prose(text: str) -> Markup:
    """Escape text and show `` `this` `` as code, as claims are written."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(clean(text)))))


def seconds(value: float) -> str:
    """Format a duration for people: ``0.8 s``, ``14 s``, ``3 min 20 s``, ``1 h 04 min``."""
    if value < 10:
        return f"{value:.2g} s" if value else "0 s"
    if value < 120:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
