"""The page of several runs side by side, ``comparison.html``."""

from __future__ import annotations

from pathlib import Path

import harness
from harness.comparison import Column, Comparison
from harness.report.layout import templates, write_page

FACTS = ("paddle", "cpu", "host", "device", "precision", "threads")
"""What is said of a column where columns differ in it."""


def render(found: Comparison, command: str) -> str:
    """The whole page as text: one HTML document that needs no other file, and no script."""
    differing = [name for name in FACTS if len({getattr(column, name) for column in found.columns}) > 1]
    runs = {column.run for column in found.columns}

    def label(column: Column) -> str:
        return column.name if len(runs) == 1 else f"{column.name} ({column.run})"

    return (
        templates(whole="comparison.json")
        .get_template("comparison.html.j2")
        .render(
            version=harness.__version__,
            found=found,
            command=command,
            differing=differing,
            alike={name: getattr(found.columns[0], name) for name in FACTS if name not in differing},
            label=label,
            timed=[
                place for place in range(len(found.columns)) if any(row.cells[place] for row in found.rows)
            ],
            priced=any(column.price for column in found.columns),
        )
    )


def write(found: Comparison, command: str, path: Path) -> Path:
    """Write the page to ``path`` in one step; ``path``.

    Raises:
        HarnessError: the folder is missing or unwritable, or the disk is full.
    """
    return write_page(render(found, command), path)
