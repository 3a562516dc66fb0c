"""The runs behind a gate or a matrix: made by jobs, whole or not, and where they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.jobs.job import End, Job
from harness.jobs.journal import JOURNAL, is_open
from harness.jobs.merge import merged
from harness.records import Run, read_run
from harness.rerun import RUNS


def run_of(label: str, parts: Sequence[tuple[str, Job]], ends: Mapping[str, End], folder: Path) -> Run:
    """The run that jobs have made, each called by its name in it: the only job's own, or all of theirs.

    Raises:
        HarnessError: no job left records; why.
    """
    found = [(ends[job.name], folder / job.folder, name) for name, job in parts]
    if not any((path / "records.jsonl").exists() for _, path, _ in found):
        raise HarnessError(f"the run of {found[0][0].sentence}")
    return read_run(found[0][1]) if len(found) == 1 else merged(found, folder / label)


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
