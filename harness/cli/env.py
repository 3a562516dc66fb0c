"""`harness env`: list, make and remove environments with Paddle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from harness import environments
from harness.cli.options import AsJson
from harness.cli.output import out, say, show
from harness.core.errors import HarnessError, UsageError
from harness.environments import engines, inventory, managed
from harness.environments.manifest import entries

app = typer.Typer(
    name="env",
    help="Environments with Paddle: a release, a range, a wheel, an index of nightly builds.",
    no_args_is_help=True,
)

STYLE = {"made": "green", "not made": "dim", "outdated": "yellow", "broken": "red"}

Folder = Annotated[
    str,
    typer.Option(
        metavar="PATH", help="Folder of environments (default: $HARNESS_ENVIRONMENTS or the user's cache)."
    ),
]


def _folder(given: str) -> Path:
    return Path(given).absolute() if given else environments.default_folder()


@app.command("list")
def list_(folder: Folder = "", as_json: AsJson = False) -> None:
    """The known releases and what is made of them, and other environments that were made."""
    root = _folder(folder)
    rows = inventory.rows(root)
    if as_json:
        print(json.dumps(msgspec.to_builtins(rows), indent=2, ensure_ascii=False))
        return
    table = Table("release", "python", "profiles", "", "MiB", "path", "", box=None, pad_edge=False)
    for row in rows:
        size = f"{row.size / 2**20:.0f}" if row.size else ""
        state = f"[{STYLE[row.status]}]{row.status}"
        table.add_row(
            escape(row.name),
            row.python,
            ", ".join(row.profiles),
            state,
            size,
            escape(row.path),
            escape(row.note),
        )
    show(table)
    total = sum(row.size for row in rows)
    out.print(
        escape(f"{total / 2**30:.1f} GiB in {root}; much of it shared with uv's cache") if total else root
    )


@app.command("make")
def make(
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC…", help="3.3.1, 3.0.0..3.3.1, all, a wheel, an engine, …")
    ],
    folder: Folder = "",
    check: Annotated[
        bool, typer.Option("--check", help="Import Paddle in existing ones, and compare every file.")
    ] = False,
) -> None:
    """Make environments that are missing or broken, and print the interpreter of each."""
    wanted = [spec for text in specs for spec in engines.named(text) or environments.parse(text)]
    failed: list[HarnessError] = []
    for end in environments.make_each(wanted, _folder(folder), _say, check):
        if isinstance(end, HarnessError):
            failed.append(end)
            continue
        how = f"made in {end.seconds:.0f} s" if end.made else "there" + (" and sound" if check else "")
        note = f" ({end.note})" if end.note else ""
        say(f"{end.name:<12} {how}: {end.python}{note}")
    for error in failed[:-1]:
        _say(str(error))
    if failed:
        raise failed[-1]


def _say(line: str) -> None:
    typer.echo(line, err=True)


@app.command("remove")
def remove(
    specs: Annotated[
        list[str] | None, typer.Argument(metavar="[SPEC…]", help="As for make, or a path that list shows.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were made.")] = False,
    folder: Folder = "",
) -> None:
    """Remove environments that this harness made, and nothing else."""
    root = _folder(folder)
    if bool(specs) == everything:
        raise UsageError("name the environments to remove, or give --all")
    paths = [path for path, _ in entries(root)] if everything else inventory.removable(specs or (), root)
    for path in paths:
        managed.remove(path)
        say(f"removed {path}")
    if everything:
        managed.sweep(root)
    if not paths:
        say(f"no such environment in {root}")
