"""What commands print: lines, tables, a run's verdict, and the command line as pages show it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.records.files import Run

EXIT_OF = {"pass": 0, "fail": 1, "incomplete": 3}

out = Console(highlight=False, soft_wrap=True)


def say(text: object) -> None:
    """Print a line as it is: no markup in it is read."""
    out.print(escape(str(text)))


def table_of(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Make a table of plain texts."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def show(table: Table) -> None:
    """Print a table; it is cut to the console's width, and a file needs no such limit."""
    Console(highlight=False, width=None if out.is_terminal else 240).print(table)


def command() -> str:
    """The command as it was given."""
    return shlex.join(["harness", *sys.argv[1:]])


def conclude(run: Run, page: Path) -> NoReturn:
    """Write a run's page, print its verdict, and exit with the status that this has."""
    from harness.report import summary, write_report  # templates take a while to import

    write_report(run, page)
    verdict = summary.verdict(run)
    say(verdict.sentence)
    say(f"page: {page}")
    raise typer.Exit(EXIT_OF[verdict.status])
