"""`harness prune`: free the disk of artifacts and environments that no run uses any more."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from harness.artifacts import pruning
from harness.cli.output import say
from harness.core.choices import GIB, default_store
from harness.core.disk import DAY_S, Kept, shown, to_remove
from harness.core.errors import UsageError
from harness.environments import default_folder, managed

NOUNS = {
    "artifact": ("artifact", "artifacts"),
    "environment": ("environment", "environments"),
    "failure": ("remembered failure", "remembered failures"),
    "leftover": ("leftover of an interrupted run", "leftovers of interrupted runs"),
}


def prune(
    older_than: Annotated[
        float, typer.Option(min=0, metavar="DAYS", help="Remove what no run has used for so long.")
    ] = 30.0,
    keep_size: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="GIB", help="Then remove the least recently used until so much is left at most."
        ),
    ] = None,
    environments: Annotated[
        bool, typer.Option(help="Whether environments are removed too ($HARNESS_ENVIRONMENTS).")
    ] = True,
    store: Annotated[
        str, typer.Option(metavar="PATH", help="The store (default: $HARNESS_STORE or the user's cache).")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove artifacts and environments that no run has used for 30 days, and what was left half-made.

    What a running session uses stays.
    """
    root, folder = Path(store or default_store()).absolute(), default_folder()
    if store and not root.is_dir():
        raise UsageError(f"there is no store in {root}: name the folder of one")
    stored = pruning.kept(root)
    made = managed.kept(folder) if environments else []
    most = float("inf") if keep_size is None else keep_size * GIB
    going = to_remove([*stored, *made], time.time(), older_than, most)
    for one in going:
        if one.kind == "environment":
            days = (time.time() - one.used) / DAY_S
            say(f"{one.path.name}: {shown(one.size)}, unused for {days:.0f} days")
    places = f"{root} and {folder}" if environments else str(root)
    if dry_run:
        say(f"would remove {_counted(going)} from {places}")
        return
    gone = pruning.remove(root, [one for one in going if one in stored]) if stored else []
    gone += [one for one in going if one not in stored and managed.remove_unused(one)]
    say(f"removed {_counted(gone)} from {places}")
    if len(gone) < len(going):
        say(f"kept {len(going) - len(gone)} that a running session uses")


def _counted(kept: list[Kept]) -> str:
    """``3 artifacts, 1 environment (1.2 GiB)``."""
    if not kept:
        return "nothing"
    numbers = Counter(one.kind for one in kept)
    text = ", ".join(f"{number} {NOUNS[kind][number > 1]}" for kind, number in numbers.items())
    return f"{text} ({shown(sum(one.size for one in kept))})"
