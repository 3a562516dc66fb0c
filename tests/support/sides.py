"""What the fixture of two sides gives."""

from __future__ import annotations

from collections.abc import Callable

from harness.speed.measure import Side, Work

Sides = Callable[..., tuple[Work, list[Side]]]
"""Opens both with what `Options` takes: what is timed, and the sides that it is timed on."""
