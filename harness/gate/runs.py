"""The runs behind a gate or a matrix: made by jobs, whole or not, and where they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.jobs.job import Job
from harness.jobs.journal import JOURNAL, is_open
from harness.jobs.runner import Runner
from harness.records import Run, read_run
from harness.rerun import RUNS


def run_all(runner: Runner, jobs: Sequence[Job]) -> list[Run]:
    """Run every job; their runs in order.

    Raises:
        HarnessError: a run left no records, or no machine has what it needs.
        Interrupted: the user ended it; the runs are closed in order first.
    """
    ends = runner.run(jobs)
    for job in jobs:
        if not (runner.folder / job.folder / "records.jsonl").exists():
            raise HarnessError(f"the run of {ends[job.name].sentence}")
    return [read_run(runner.folder / job.folder) for job in jobs]


def faults(run: Run, name: str) -> Iterator[str]:
    """What keeps a run's records from being whole."""
    if run.footer is None:
        so_far = f"{len(run.records)} of {run.header.selected} cases"
        yield f"the run of {name} did not come to its end ({so_far})"
    if run.damaged:
        yield f"{run.damaged} lines of the run of {name} cannot be read"


def slug(name: str) -> str:
    """A name as a part of a folder's."""
    return re.sub(r"[^\w.@-]+", "-", name)


def new_folder(given: str, root: Path, kind: str, label: str) -> Path:
    """The folder asked for, made; or ``reports/<kind>/<time>-<label>``.

    One whose jobs were left unfinished is gone on with.

    Raises:
        UsageError: it already holds records.
        HarnessError: it cannot be made.
    """
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = Path(given).absolute() if given else root / RUNS / kind / "-".join(filter(None, [stamp, label]))
    held = (folder / JOURNAL).exists() or (folder.is_dir() and any(folder.glob("*/records.jsonl")))
    if held and not is_open(folder):
        raise UsageError(f"{folder} already holds runs: name another folder with --folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(
            f"the folder {folder} cannot be made ({error.strerror}): name another with --folder"
        ) from error
    return folder
