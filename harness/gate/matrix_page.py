"""The matrix's page, ``matrix.html``: which pairs work, and at which releases a format stops working."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.core.containers import grouped
from harness.core.types import BAD_OUTCOMES, Outcome
from harness.gate.causes import alike
from harness.gate.result import GridCell, MatrixResult
from harness.gate.routes import Pair, releases, routes
from harness.report.layout import page
from harness.report.summary import SEVERITY


class PairTotal(msgspec.Struct, frozen=True):
    """Files of one release loaded in one release, all routes together."""

    worst: Outcome
    routes: int
    working: int
    """Routes on which cases were run and all of them passed."""
    formats: int = 0
    """Kinds of files; each can be loaded by one or more routes, and one that works is enough."""
    readable: int = 0
    """Kinds of files with at least one route that works."""

    @property
    def works(self) -> bool:
        return self.working == self.routes

    @property
    def usable(self) -> bool:
        """Whether every kind of file has a route that works."""
        return self.formats > 0 and self.readable == self.formats


class CrossVersion(msgspec.Struct, frozen=True):
    """A pair of release ranges between which a route fails: these producers' files in these consumers."""

    producers: str
    consumers: str
    own: bool
    """Whether every release fails on its own files too, so that crossing releases is not the cause."""
    outcome: Outcome
    reason: str
    workaround: str


class RouteTotal(msgspec.Struct, frozen=True):
    name: str
    working: int
    of: int
    crossings: tuple[CrossVersion, ...]


class Group(msgspec.Struct, frozen=True):
    """Pairs of one kind: files older than the release that loads them, of the same release, or newer."""

    name: str
    meaning: str
    working: int
    usable: int
    of: int


class Advice(msgspec.Struct, frozen=True):
    """A workaround, and the routes that need it."""

    text: str
    routes: tuple[str, ...]
    cells: int


def render_matrix(result: MatrixResult) -> str:
    """Return the page as text: one HTML document that needs no other file and no script."""
    order = releases(result.cells, result.releases)
    totals = pair_totals(result.cells)
    return page(
        "matrix",
        "matrix.json",
        version=result.harness,
        result=result,
        releases=order,
        totals=totals,
        working=sum(total.works for total in totals.values()),
        usable=sum(total.usable for total in totals.values()),
        groups=pair_groups(totals, order),
        summaries=route_totals(result),
        advice=advice(result.cells),
        routes=routes(result.cells),
    )


def pair_totals(cells: Iterable[GridCell]) -> dict[Pair, PairTotal]:
    return {pair: _pair_total(group) for pair, group in grouped(cells, lambda cell: cell.pair).items()}


def pair_groups(totals: dict[Pair, PairTotal], order: Sequence[str]) -> tuple[Group, ...]:
    """Return upgrades, own files and rollbacks, each with how many pairs work for every route."""
    rank = {name: place for place, name in enumerate(order)}
    names = (
        ("upgrade", "older files in a newer release"),
        ("own files", "a release's own files"),
        ("rollback", "newer files in an older release"),
    )
    found: list[Group] = []
    for sign, (name, meaning) in zip((-1, 0, 1), names, strict=True):
        here = [t for (a, b), t in totals.items() if (rank[a] > rank[b]) - (rank[a] < rank[b]) == sign]
        works, usable = sum(total.works for total in here), sum(total.usable for total in here)
        found.append(Group(name, meaning, works, usable, len(here)))
    return tuple(found)


def route_totals(result: MatrixResult) -> tuple[RouteTotal, ...]:
    """Return each route with the releases between which it fails, the one that fails most often first."""
    order = releases(result.cells, result.releases)
    groups = grouped(result.cells, lambda cell: cell.route)
    rows = [
        RouteTotal(name, sum(map(_passes, cells)), len(cells), tuple(_crossings(cells, order)))
        for name, cells in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: row.working - row.of))


def advice(cells: Iterable[GridCell]) -> tuple[Advice, ...]:
    """What to do instead, the most often needed first."""
    groups = grouped((cell for cell in cells if cell.workaround), lambda cell: cell.workaround)
    rows = [
        Advice(text, tuple(dict.fromkeys(cell.route for cell in group)), len(group))
        for text, group in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: -row.cells))


def spans(names: Iterable[str], order: Sequence[str]) -> str:
    """Return names as text, with neighbours in ``order`` as a range: ``2.6.2, 3.1.0–3.2.2``."""
    wanted = set(names)
    runs: list[list[str]] = []
    previous = -2
    for place, name in enumerate(order):
        if name in wanted:
            if place == previous + 1:
                runs[-1].append(name)
            else:
                runs.append([name])
            previous = place
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def _passes(cell: GridCell) -> bool:
    return cell.outcome == "pass" and cell.passed > 0


def _pair_total(group: list[GridCell]) -> PairTotal:
    worst = min((cell.outcome for cell in group), key=SEVERITY.index)
    by_route = grouped(group, lambda cell: cell.route)
    works = {route: all(map(_passes, cells)) for route, cells in by_route.items()}
    formats: dict[str, bool] = {}
    for route, good in works.items():
        if all(cell.outcome == "not-run" for cell in by_route[route]):
            continue  # there were no files of this kind
        # The same network exported in legacy IR serves the same purpose.
        kind = route.split(" → ")[0].removeprefix("legacy_")
        formats[kind] = formats.get(kind, False) or good
    return PairTotal(worst, len(by_route), sum(works.values()), len(formats), sum(formats.values()))


def _crossings(cells: list[GridCell], order: Sequence[str]) -> Iterable[CrossVersion]:
    """Failing cells of one cause, as rectangles of producers by consumers."""
    bad = (cell for cell in cells if cell.outcome in BAD_OUTCOMES)
    causes = grouped(bad, lambda cell: (cell.outcome, alike(cell.reason), cell.workaround))
    for (outcome, _, instead), group in causes.items():
        by_producer = grouped(group, lambda cell: cell.producer)
        consumers = {name: frozenset(cell.consumer for cell in here) for name, here in by_producer.items()}
        for loaders, producers in grouped(consumers, consumers.__getitem__).items():
            own = all(producer in loaders for producer in producers)
            yield CrossVersion(
                spans(producers, order), spans(loaders, order), own, outcome, group[0].reason, instead
            )
