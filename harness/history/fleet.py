"""The content of the history's page: query results as frozen types, in reading order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.core.containers import grouped
from harness.history.changes import Series, release_order, series
from harness.history.data import History

Verdict = Literal["holds", "broken", "not run"]
Cells = dict[str, Any]
"""A row of a view by its columns, see :mod:`harness.history.views`."""


class _Released(msgspec.Struct, frozen=True, kw_only=True):
    """Which Paddle."""

    release: str | None
    profile: str

    @property
    def label(self) -> str:
        return label(self.release, self.profile)


class RunRow(_Released, frozen=True, kw_only=True):
    """One run in numbers."""

    run: str
    folder: str
    started: datetime | None
    host: str | None
    cpu: str | None
    tier: str | None
    complete: bool
    duration_s: float | None
    cases: int
    passed: int
    unexpected: int
    known: int
    not_run: int
    merged: bool


class ClaimCell(_Released, frozen=True, kw_only=True):
    """A claim on a release (and a target), by the newest record of each of its cases."""

    claim: str
    verdict: Verdict
    before: Verdict | None
    cases: int
    passed: int
    unexpected: int
    mended: int
    broke: int
    hosts: int


class TargetCell(ClaimCell, frozen=True, kw_only=True):
    """The same on one target."""

    target: str


class ClaimRow(msgspec.Struct, frozen=True):
    """One claim; cells by release, and by target and release."""

    id: str
    sentence: str
    cells: dict[str, ClaimCell]
    targets: dict[str, dict[str, ClaimCell]]

    @property
    def moved(self) -> bool:
        return any(cell.before not in (None, cell.verdict) for cell in self.cells.values())


class Fleet(msgspec.Struct, frozen=True):
    """Everything on the page. ``releases`` are labels: a release, and its profile where not default."""

    folders: tuple[str, ...]
    notes: tuple[str, ...]
    runs: tuple[RunRow, ...]
    """Newest first."""
    newest: tuple[RunRow, ...]
    """The newest run of every release, profile and host, without reruns of a few cases."""
    releases: tuple[str, ...]
    moved: tuple[Cells, ...]
    """Cases whose newest outcome is not that of the run before."""
    claims: tuple[ClaimRow, ...]
    trends: tuple[Series, ...]
    """Series of latencies, those with a change point first."""
    flaky: tuple[Cells, ...]
    """Cases whose outcome changed with nothing else changed.

    One flip may come from a change that is not recorded; with more, the case is flaky.
    """
    first_failures: tuple[Cells, ...]
    """The first run in which a case failed, and the run before it in which it had passed."""
    slowest: tuple[Cells, ...]
    """How long the checks of cases take."""
    hosts: tuple[str, ...]


def label(release: str | None, profile: str) -> str:
    """Return release and profile as text: ``3.3.1``, or ``3.3.1 legacy-ir``."""
    return " ".join(filter(None, (release or "no release", profile if profile != "default" else "")))


def look(history: History) -> Fleet:
    """Run all queries for the page.

    Raises:
        HarnessError: `ruptures` is not installed.
    """
    runs = history.rows(RunRow, "runs ORDER BY started DESC, run")
    names = sorted({(run.release, run.profile) for run in runs}, key=lambda n: (release_order(n[0]), n[1]))
    moved = history.table(
        "latest WHERE before IS NOT NULL AND before <> outcome "
        "ORDER BY standing = 'known', outcome IN ('pass', 'not-run'), started DESC, case_id",
    )
    return Fleet(
        folders=tuple(map(str, history.folders)),
        notes=tuple(history.skipped.sentences()),
        runs=runs,
        newest=tuple(sorted(newest(runs), key=lambda run: (release_order(run.release), run.profile))),
        releases=tuple(label(*name) for name in names),
        moved=moved,
        claims=claims(history),
        trends=tuple(sorted(series(history), key=lambda one: not one.starts)),
        flaky=history.table("flaky"),
        first_failures=history.table("first_failures WHERE standing <> 'known'"),
        slowest=history.table("slowest LIMIT 20"),
        hosts=tuple(host for (host,) in history.query("SELECT DISTINCT host FROM cases ORDER BY host")[1]),
    )


def newest(runs: Iterable[RunRow]) -> Iterator[RunRow]:
    """Yield the newest run of every release, profile and host; ``runs`` come newest first.

    A rerun of a few cases does not count: a run needs a tenth of the cases of the largest one.
    """
    for group in grouped(runs, lambda run: (run.release, run.profile, run.host)).values():
        most = max(run.cases for run in group)
        yield next(run for run in group if 10 * run.cases >= most)


def claims(history: History) -> tuple[ClaimRow, ...]:
    """Return every claim that a case names, sorted by id, with its newest sentence."""
    _, newest_sentences = history.query(
        "SELECT key, arg_max(value, started) FROM (SELECT started, unnest(map_entries(try_cast(claims AS"
        " MAP(VARCHAR, VARCHAR))), recursive := true) FROM _runs) GROUP BY key"
    )
    sentences = dict(newest_sentences)
    cells = grouped(history.rows(ClaimCell, "claim_state"), lambda cell: cell.claim)
    by_target = grouped(history.rows(TargetCell, "claim_targets"), lambda cell: (cell.claim, cell.target))
    targets: dict[str, dict[str, dict[str, ClaimCell]]] = {claim: {} for claim in cells}
    for (claim, target), here in by_target.items():
        targets[claim][target] = {cell.label: cell for cell in here}
    return tuple(
        ClaimRow(claim, sentences.get(claim, ""), {cell.label: cell for cell in own}, targets[claim])
        for claim, own in cells.items()
    )


def page_of(folder: str, page: Path) -> str:
    """Return the address of a run's page relative to ``page``; '' where it has none or is elsewhere."""
    there = Path(folder, "index.html")
    below = page.resolve().parent
    return there.relative_to(below).as_posix() if there.is_relative_to(below) and there.exists() else ""
