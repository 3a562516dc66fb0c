"""The runs behind a gate or a matrix: made by jobs, whole or not, and where they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.core.errors import HarnessError
from harness.jobs.job import Job, JobResult
from harness.jobs.merge import merged
from harness.records.files import Run, read_run


def run_of(label: str, parts: Sequence[tuple[str, Job]], ends: Mapping[str, JobResult], folder: Path) -> Run:
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
