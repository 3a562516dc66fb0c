"""Read the runs that jobs made for a gate or a matrix, and find what is missing in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from harness.core.errors import HarnessError
from harness.jobs.job import Job, JobResult
from harness.jobs.merge import merged
from harness.records.files import Run, read_run


def run_of(label: str, parts: Sequence[tuple[str, Job]], ends: Mapping[str, JobResult], folder: Path) -> Run:
    """Return the run that jobs have made: the only job's, or the merged runs of all, each under its name.

    Raises:
        HarnessError: no job left records; says why.
    """
    found = [(ends[job.name], folder / job.folder, name) for name, job in parts]
    if not any((path / "records.jsonl").exists() for _, path, _ in found):
        raise HarnessError(f"the run of {found[0][0].sentence}")
    return read_run(found[0][1]) if len(found) == 1 else merged(found, folder / label)


def faults(run: Run, name: str) -> Iterator[str]:
    """Yield what is missing in a run's records."""
    if run.footer is None:
        so_far = f"{len(run.records)} of {run.header.selected} cases"
        yield f"the run of {name} did not come to its end ({so_far})"
    if run.damaged:
        yield f"{run.damaged} lines of the run of {name} cannot be read"
