"""Read the runs under some folders as tables of an embedded database.

Nothing is imported or kept: each call reads every ``records.jsonl`` again, with only the columns that
the views need. A line that is cut off or is not a record is counted and left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from harness.core.containers import count
from harness.core.errors import HarnessError, UsageError
from harness.history import schema
from harness.history.views import CHANGES, View
from harness.history.views import views as view_list

if TYPE_CHECKING:
    import duckdb

Row = TypeVar("Row", bound=msgspec.Struct)

RECORDS = "records.jsonl"
LEFT_OUT = ("logs", "__pycache__", "node_modules")
"""Folders that are not searched: they hold no run, and may hold many files."""
JOURNAL, EARLIER, PARTS = "jobs.jsonl", "attempts", "parts"
"""The journal in a folder of jobs, and its folders of unfinished attempts and of parts of runs
(``harness/jobs``)."""


class Narrowed(msgspec.Struct, frozen=True):
    """Which cases to read; empty: all. ``case`` is a part of the id, or a pattern with ``*``."""

    models: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    case: str = ""

    def where(self) -> tuple[str, list[Any]]:
        """Return a condition on ``cases``, and its parameters."""
        parts, values = ["true"], list[Any]()
        for column, wanted in (("model", self.models), ("target", self.targets), ("release", self.releases)):
            if wanted:
                parts.append(f"list_contains(?, {column})")
                values.append(list(wanted))
        if self.case:
            text = self.case.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
            parts.append(r"(case_id LIKE ? ESCAPE '\')")
            values.append(text.replace("*", "%") if "*" in text else f"%{text}%")
        return " AND ".join(parts), values


class Skipped(msgspec.Struct, frozen=True):
    """What was found but is not in the tables."""

    damaged: int = 0
    """Lines that are not a record, for example cut off when a run was killed."""
    newer: int = 0
    """Lines of a newer harness."""
    headless: tuple[str, ...] = ()
    """Files without a run's header."""
    copies: int = 0
    """Runs that are in another folder too, like a gate's reused baseline."""
    merged: int = 0
    """Cases of merged runs whose original runs are also there."""

    def sentences(self) -> Iterator[str]:
        if self.damaged:
            yield f"{count(self.damaged, 'line')} could not be read (a run that is killed may cut its last)"
        if self.newer:
            yield f"{count(self.newer, 'line')} of a newer harness left out: update the harness"
        if self.headless:
            more = f" and {len(self.headless) - 3} more" if len(self.headless) > 3 else ""
            yield f"no run header in {', '.join(self.headless[:3])}{more}: left out"
        if self.copies:
            yield f"{count(self.copies, 'copy', 'copies')} of runs counted once"
        if self.merged:
            yield f"{count(self.merged, 'case')} of merged runs counted in their original runs"


class History(msgspec.Struct, frozen=True):
    """An open database over runs; see :mod:`harness.history.views` for what can be asked."""

    db: duckdb.DuckDBPyConnection
    folders: tuple[Path, ...]
    skipped: Skipped
    views: tuple[View, ...]

    def query(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a query; return the names of the columns, and the rows.

        Raises:
            UsageError: the database rejects it, with the database's message.
        """
        import duckdb

        try:
            done = self.db.execute(sql)
            if done is None:
                raise UsageError("the query is empty: `harness query --list` shows what can be asked")
            return [column[0] for column in done.description or ()], done.fetchall()
        except duckdb.Error as error:
            raise UsageError(_sentence(str(error))) from error

    def table(self, source: str) -> tuple[dict[str, Any], ...]:
        """Return the rows of a view by their columns; ``source`` is that of :meth:`rows`."""
        names, rows = self.query(f"FROM {source}")
        return tuple(dict(zip(names, row, strict=True)) for row in rows)

    def rows(self, kind: type[Row], source: str) -> tuple[Row, ...]:
        """Return the rows of a view as ``kind``, whose fields are named like its columns.

        ``source``: the view's name, and what may follow it: ``WHERE``, ``ORDER BY``, ``LIMIT``.
        """
        names = kind.__struct_fields__
        _, rows = self.query(f"SELECT {', '.join(names)} FROM {source}")
        return tuple(msgspec.convert(dict(zip(names, row, strict=True)), kind) for row in rows)


def engine() -> Any:
    """Return the module ``duckdb``.

    Raises:
        HarnessError: it is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise HarnessError(
            "the history is read with DuckDB, which is not installed here: "
            "`pip install duckdb ruptures` in the environment of the harness"
        ) from error
    return duckdb


def files_under(folders: Sequence[Path]) -> list[Path]:
    """Find every ``records.jsonl`` below these folders. Links such as ``latest`` are not followed.

    Of runs that jobs made, only the whole ones count; their parts count where a killed command did not
    merge them.

    Raises:
        UsageError: a folder is missing, or none holds a run.
    """
    found: dict[Path, None] = {}
    for given in folders:
        if not given.exists():
            raise UsageError(f"there is no {given}: name folders that hold runs")
        start = given.resolve()
        if start.is_file():
            found[start] = None
            continue
        for here, below, names in os.walk(start):
            below[:] = sorted(name for name in below if name not in LEFT_OUT and name[0] != ".")
            if JOURNAL in names:
                whole = any(Path(here, name, RECORDS).exists() for name in below)
                below[:] = [name for name in below if name != EARLIER and not (whole and name == PARTS)]
            if RECORDS in names:
                found[Path(here, RECORDS)] = None
    if not found:
        raise UsageError(f"no run in {', '.join(map(str, folders))}: give folders that contain {RECORDS}")
    return list(found)


def open_history(folders: Sequence[Path], narrowed: Narrowed | None = None) -> History:
    """Read all runs below these folders.

    ``narrowed``: which cases to read; they are then put into a table once, for many queries. Without it,
    each query reads what it needs.

    Raises:
        HarnessError: DuckDB is not installed, or cannot read a file.
        UsageError: a folder is missing, or none holds a run.
    """
    duckdb = engine()
    files = files_under(folders)
    db = duckdb.connect(":memory:")
    try:
        return _load(db, tuple(folders), files, narrowed)
    except duckdb.Error as error:
        raise HarnessError(f"the runs cannot be read: {_sentence(str(error))}") from error


def _load(
    db: duckdb.DuckDBPyConnection, folders: tuple[Path, ...], files: list[Path], narrowed: Narrowed | None
) -> History:
    names = _names(files)
    db.execute(
        "CREATE TEMP TABLE _files AS SELECT unnest(?) AS file, unnest(?) AS run, unnest(?) AS folder",
        [[str(file) for file in files], names, [str(file.parent) for file in files]],
    )
    for statement in schema.lines(files):
        db.execute(statement)
    db.execute(schema.RUNS)
    db.execute(CHANGES.sql)
    (any_merged,) = _counts(db, "SELECT count(*) FROM _runs WHERE merged")
    (merged,) = _counts(db, schema.MERGED) if any_merged else (0,)
    if narrowed is None:
        db.execute(schema.CASES.format(form="VIEW", where="true"))
    else:
        where, values = narrowed.where()
        db.execute(schema.CASES.format(form="TABLE", where=where), values)
    bad, newer = _counts(db, schema.DAMAGED)
    (runs,) = _counts(db, "SELECT count(*) FROM _runs")
    headless = db.execute(schema.HEADLESS).fetchall()
    skipped = Skipped(
        damaged=bad,
        newer=newer,
        headless=tuple(name for (name,) in headless),
        copies=len(files) - len(headless) - runs,
        merged=merged,
    )
    views = tuple(view_list(files))
    for view in views:
        db.execute(f"CREATE TEMP VIEW {view.name} AS {view.sql}")
    return History(db, folders, skipped, (*views, CHANGES))


def _names(files: Sequence[Path]) -> list[str]:
    """Name each run by its folder, relative to the folder that all have in common."""
    folders = [file.parent for file in files]
    common = Path(os.path.commonpath([folder.parent for folder in folders]))
    return [folder.relative_to(common).as_posix() for folder in folders]


def _counts(db: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, ...]:
    return tuple(int(number or 0) for number in db.execute(sql).fetchone() or ())


def _sentence(message: str) -> str:
    """Return the database's message as one line, without its excerpt of the query."""
    head = message.split("\n\nLINE ")[0]
    return " ".join(head.split())
