"""The page of all runs, ``history.html``: claims by release, what moved, trends, flaky cases."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import harness
from harness.history import page_figures
from harness.history.fleet import Fleet, RunRow, page_of
from harness.report.layout import page

MOST_DRAWN = 24
"""Most trends drawn, those with a change point first; the table has every change."""
MOST_ROWS = 200
"""Most rows of a table; `harness query` gives all."""


def render(fleet: Fleet, command: str, path: Path) -> str:
    """Return the page as text: one HTML document that needs no other file and no script.

    ``path`` is where the page will be written: runs below its folder are linked.
    """
    return page(
        "history",
        "records.jsonl",
        version=harness.__version__,
        fleet=fleet,
        command=command,
        links={run.run: quote(there) for run in fleet.runs if (there := page_of(run.folder, path))},
        drawn=[one for one in fleet.trends if len(one.points) > 2][:MOST_DRAWN],
        draw=page_figures,
        changes=[change for one in fleet.trends for change in one.changes()],
        standing=standing(fleet.newest),
        most=MOST_ROWS,
    )


def standing(newest: tuple[RunRow, ...]) -> str:
    """Summarise the newest runs in a word: ``fail``, ``incomplete`` or ``pass``."""
    if any(run.unexpected for run in newest):
        return "fail"
    return "incomplete" if not all(run.complete for run in newest) else "pass"
