"""`harness query`, `harness history` and `harness merge`: options and output."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape

from harness.cli.options import Html
from harness.cli.output import command, conclude, out, say, show, table_of
from harness.core.containers import count
from harness.core.errors import UsageError
from harness.core.option_parsing import names_of
from harness.core.paths import project_root, reports
from harness.history.data import History, Narrowed, open_history
from harness.history.merge import Duplicates
from harness.records.finding import open_run

said = Console(highlight=False, soft_wrap=True, stderr=True)

Folders = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FOLDER…]", help="Folders of runs (default: reports/).", show_default=False),
]


Shown = Literal["runs", "moved", "claims", "changes", "latencies", "flaky", "first-failures", "slowest"]
"""Views that `harness history` can print."""

PRINTED: dict[Shown, str] = {
    "runs": (
        "SELECT run, started, release, profile, host, cases, passed, unexpected, known, not_run FROM runs"
        " ORDER BY started DESC, run"
    ),
    "moved": (
        "SELECT case_id, release, host, before, outcome AS now, cause, run FROM latest"
        " WHERE before <> outcome ORDER BY standing = 'known', started DESC, case_id"
    ),
    "claims": (
        "SELECT claim, release, profile, verdict, before, passed, cases, unexpected, broke, mended"
        " FROM claim_state"
    ),
    "changes": (
        "SELECT case_id, host, release, run, round(100 * change, 1) AS per_cent, before_us, after_us,"
        " runs_before, runs_after, differs FROM changes ORDER BY abs(change) DESC"
    ),
    "latencies": ("SELECT case_id, release, host, run, median_us, low_us, high_us FROM latencies"),
    "flaky": "SELECT case_id, release, host, flips, failed, runs, outcomes, failed_run, cause FROM flaky",
    "first-failures": (
        "SELECT case_id, release, host, first_run, passed_before, failed, runs, now, cause"
        " FROM first_failures WHERE standing <> 'known'"
    ),
    "slowest": "SELECT case_id, release, host, median_s, longest_s, runs FROM slowest LIMIT 50",
}
OVERVIEW: tuple[Shown, ...] = ("moved", "changes", "flaky", "first-failures")
"""Views printed by default: those that may need attention."""
MOST_PRINTED = 10
"""Most rows of each; the page, and a view printed alone, have more."""
MOST_TEXT = 100


def query(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SQL [FOLDER…]",
            help="A query in DuckDB's SQL, and folders of runs.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", help="Format of the rows.")
    ] = "table",
    list_: Annotated[bool, typer.Option("--list", help="List views and columns.")] = False,
) -> None:
    """Query all runs under some folders in SQL."""
    given = list(arguments or ())
    if list_:
        _list(_open(list(map(Path, given))))
        return
    if not given:
        raise UsageError("no query: give one in SQL, or --list to see views and columns")
    sql, *folders = given
    history = _open(list(map(Path, folders)))
    _tell(history)
    if re.search(r"\bchanges\b", sql, re.IGNORECASE):
        _add_changes(history)
    names, rows = history.query(sql)
    if form == "json":
        print(
            json.dumps([dict(zip(names, row, strict=True)) for row in rows], default=str, ensure_ascii=False)
        )
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([names, *rows])
    else:
        _print(names, rows)


def history(
    folders: Folders = None,
    view: Annotated[Shown | None, typer.Option(help="Print only this view, in full.")] = None,
    model: Annotated[str, typer.Option(metavar="NAME[,…]", help="Only these models.")] = "",
    target: Annotated[str, typer.Option(metavar="NAME[,…]", help="Only these targets.")] = "",
    release: Annotated[str, typer.Option(metavar="VERSION[,…]", help="Only these releases.")] = "",
    case: Annotated[
        str, typer.Option(metavar="TEXT", help="Only cases with this in their id; * matches anything.")
    ] = "",
    html: Html = "",
) -> None:
    """Show over all runs what changed, what is flaky, where latency changed; and write a page."""
    narrowed = Narrowed(names_of(model), names_of(target), names_of(release), case)
    found = _open(folders or [], narrowed)
    _tell(found)
    if view is not None:
        if view == "changes":
            _add_changes(found)
        _print(*found.query(PRINTED[view]))
    if view is None or html:
        first = found.folders[0]
        page = Path(html) if html else (first if first.is_dir() else first.parent) / "history.html"
        _overview(found, page, quiet=view is not None)


def merge(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]RUN…", help="Runs by folder or name, with the name of their machine."),
    ],
    folder: Annotated[str, typer.Option("--folder", metavar="PATH", help="Where the one run goes.")],
    duplicates: Annotated[
        Duplicates, typer.Option(help="What to do with a case that one machine ran twice.")
    ] = Duplicates.refuse,
) -> None:
    """Merge runs of several machines into one, with its page. Status: 0 pass, 1 fail, 3 incomplete."""
    from harness.history import merge as merging

    root = project_root()
    found = []
    for text in runs:
        name, given, path = text.partition("=")
        named = bool(given) and not Path(text).exists()
        found.append((name if named else "", open_run(path if named else text, root)))
    merged = merging.merge(merging.parts(found), Path(folder), duplicates, command())
    conclude(merged, merged.folder / "index.html")


def _open(folders: Sequence[Path], narrowed: Narrowed | None = None) -> History:
    return open_history(folders or [reports(project_root())], narrowed)


def _tell(found: History) -> None:
    for sentence in found.skipped.sentences():
        said.print(escape(f"note: {sentence}"))


def _add_changes(found: History) -> None:
    from harness.history.changes import add_changes

    add_changes(found)


def _overview(found: History, path: Path, quiet: bool) -> None:
    # Matplotlib takes half a second to import, and a view printed alone does not need it.
    from harness.history import page
    from harness.history.fleet import look
    from harness.report.layout import write_page

    _add_changes(found)
    fleet = look(found)
    if not quiet:
        sizes = (len(fleet.runs), "run"), (len(fleet.releases), "release"), (len(fleet.hosts), "machine")
        runs, releases, hosts = (count(*size) for size in sizes)
        say(f"{runs} of {releases} on {hosts}")
        for shown in OVERVIEW:
            names, rows = found.query(PRINTED[shown])
            out.print(f"\n[bold]{shown}[/bold]: {len(rows) or 'none'}")
            if rows:
                _print(names, rows[:MOST_PRINTED])
            if len(rows) > MOST_PRINTED:
                out.print(f"and {len(rows) - MOST_PRINTED} more: --view {shown}")
    say(f"page: {write_page(page.render(fleet, command(), path), path)}")


def _list(found: History) -> None:
    columns = {view.name: found.query(f"SELECT * FROM {view.name} LIMIT 0")[0] for view in found.views}
    rows = ((view.name, view.meaning, ", ".join(columns[view.name])) for view in found.views)
    show(table_of(("view", "what a row is", "columns"), rows))


def _print(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    show(table_of(names, (map(_text, row) for row in rows)))
    if not rows:
        said.print("no rows")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    text = str(value)
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
