"""Arrange the cells of a gate or a matrix as tables of producer × consumer; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.core.containers import grouped
from harness.gate.causes import alike
from harness.gate.result import GridCell
from harness.report.summary import SEVERITY

Pair = tuple[str, str]
"""Producer, consumer."""


class Note(msgspec.Struct, frozen=True):
    """Why cells of one route did not pass, and a workaround; cells refer to it by ``number``."""

    number: int
    reason: str
    workaround: str
    pairs: tuple[Pair, ...]


class Route(msgspec.Struct, frozen=True):
    """One way of loading files, over all pairs of releases."""

    name: str
    cells: dict[Pair, tuple[GridCell, ...]]
    """Cells of each pair, usually one; the gravest first."""
    notes: tuple[Note, ...]
    numbers: dict[Pair, int]
    """Pair -> number of its note."""


def routes(cells: Iterable[GridCell]) -> tuple[Route, ...]:
    """The cells by route, in the order in which routes first appear."""
    return tuple(_route(*item) for item in grouped(cells, lambda cell: cell.route).items())


def pairs(cells: Iterable[GridCell], order: Sequence[str]) -> tuple[Pair, ...]:
    """Return every pair that has a cell, sorted by ``order``; names that are not in it come last."""
    found = dict.fromkeys(cell.pair for cell in cells)
    rank = {name: place for place, name in enumerate(order)}

    def key(pair: Pair) -> tuple[int, int]:
        return rank.get(pair[0], len(rank)), rank.get(pair[1], len(rank))

    return tuple(sorted(found, key=key))


def releases(cells: Iterable[GridCell], order: Sequence[str]) -> tuple[str, ...]:
    """Return ``order``, then the releases that only the cells name."""
    return tuple(dict.fromkeys([*order, *(name for cell in cells for name in cell.pair)]))


def _route(name: str, group: list[GridCell]) -> Route:
    cells = {
        pair: tuple(sorted(here, key=lambda cell: SEVERITY.index(cell.outcome)))
        for pair, here in grouped(group, lambda cell: cell.pair).items()
    }
    explained = (cell for cell in group if cell.reason or cell.workaround)
    by_reason = grouped(explained, lambda cell: (alike(cell.reason), cell.workaround))
    notes = tuple(
        Note(number, same[0].reason, same[0].workaround, tuple(dict.fromkeys(cell.pair for cell in same)))
        for number, same in enumerate(by_reason.values(), start=1)
    )
    numbers = {pair: note.number for note in reversed(notes) for pair in note.pairs}
    return Route(name, cells, notes, numbers)
