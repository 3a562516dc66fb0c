"""Changes that share a cause, so that a hundred cases can be read as the five things that happened."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from harness.core.containers import grouped
from harness.gate.result import VERDICTS, Change, Direction, Verdict

_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?")


def alike(text: str) -> str:
    """``text`` with its numbers taken out: two texts that tell of the same thing become equal."""
    return _NUMBERS.sub("#", text)


class Cause(msgspec.Struct, frozen=True):
    """Changes with one verdict, direction, rule and advice, whose texts differ in numbers at most."""

    changes: tuple[Change, ...]
    """The one with the largest error under the candidate first."""

    @property
    def first(self) -> Change:
        return self.changes[0]

    @property
    def verdict(self) -> Verdict:
        return self.first.verdict

    @property
    def direction(self) -> Direction:
        return self.first.direction

    @property
    def text(self) -> str:
        return happened(self.first)


def happened(change: Change) -> str:
    """What changed, in a sentence, never empty."""
    sides = [side.reason for side in (change.after, change.before) if side is not None and side.reason]
    return change.text or next(iter(sides), f"{change.verdict}, no cause recorded")


def causes(changes: Iterable[Change]) -> tuple[Cause, ...]:
    """Grouped, the gravest verdict first, and the cause with most cases first within a verdict."""
    groups = grouped(
        changes,
        lambda c: (
            c.verdict, c.direction, alike(happened(c)), c.blocks, c.rule, c.workaround, c.acknowledged,
            c.explained_by,
        ),
    )  # fmt: skip
    found = [Cause(tuple(sorted(group, key=_size, reverse=True))) for group in groups.values()]
    found.sort(key=lambda cause: (VERDICTS.index(cause.verdict), -len(cause.changes)))
    return tuple(found)


def _size(change: Change) -> float:
    return (change.after.budget_used if change.after is not None else None) or 0.0
