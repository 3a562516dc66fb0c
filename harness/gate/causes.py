"""Group changes by cause, so that a hundred cases read as the five things that happened."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from harness.core.containers import grouped
from harness.gate.result import VERDICTS, Change, Direction, Verdict

_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?")


def alike(text: str) -> str:
    """Return ``text`` without its numbers, so that two texts about the same thing become equal."""
    return _NUMBERS.sub("#", text)


class Cause(msgspec.Struct, frozen=True):
    """Changes with the same verdict for the same reason; only numbers in their texts differ.

    The areas of their cases, the files that they load and the rules that decide on them may differ: a loader
    that fails does so for all of them.
    """

    changes: tuple[Change, ...]
    """Changes, the one with the largest error under the candidate first."""

    @property
    def first(self) -> Change:
        return self.changes[0]

    @property
    def verdict(self) -> Verdict:
        return self.first.verdict

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Whose files the cases load, each once; '' for their own."""
        return tuple(dict.fromkeys(change.direction for change in self.changes))

    @property
    def where(self) -> str:
        """The directions in words; '' where all cases load their own release's files."""
        named = [direction or "own files" for direction in self.directions]
        return ", ".join(named) if any(self.directions) else ""

    @property
    def text(self) -> str:
        return happened(self.first)


def happened(change: Change) -> str:
    """Say in a sentence what changed; never empty."""
    sides = [side.reason for side in (change.after, change.before) if side is not None and side.reason]
    return change.text or next(iter(sides), f"{change.verdict}, no cause recorded")


def causes(changes: Iterable[Change]) -> tuple[Cause, ...]:
    """Grouped, the gravest verdict first, and the cause with most cases first within a verdict."""
    groups = grouped(
        changes,
        lambda c: (
            c.verdict, alike(happened(c)), c.blocks, c.workaround, c.acknowledged, c.explained_by,
        ),
    )  # fmt: skip
    found = [Cause(tuple(sorted(group, key=_size, reverse=True))) for group in groups.values()]
    found.sort(key=lambda cause: (VERDICTS.index(cause.verdict), -len(cause.changes)))
    return tuple(found)


def _size(change: Change) -> float:
    return (change.after.budget_used if change.after is not None else None) or 0.0
