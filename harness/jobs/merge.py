"""Merge the parts of one environment's run, each made by a job, into one run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.core.clock import now
from harness.core.types import Outcome, Record, RunFooter, RunHeader
from harness.jobs.job import JobResult
from harness.records.files import RecordWriter, Run, read_run
from harness.report import write_report

AREA = "jobs"
UNITED = ("models", "producers", "targets")
"""Options whose values are divided among the parts."""


def merged(parts: Sequence[tuple[JobResult, Path, str]], folder: Path) -> Run:
    """Write the parts' records into ``folder`` as one run, with its page, and return the run.

    Each part is a job's result, the folder of its records, and its name in the run. A job that failed or
    was not run becomes a record. The run has a footer if every part has one.

    Raises:
        HarnessError: the folder cannot be written.
    """
    runs = [read_run(path) for _, path, _ in parts if (path / "records.jsonl").exists()]
    lost = [_record(end, name) for end, _, name in parts if end.status != "done"]
    header = _header(runs, folder, len(lost))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "records.jsonl"
    path.unlink(missing_ok=True)  # left by a command that was killed while it wrote
    writer = RecordWriter(path)
    writer.write(header)
    for record in [*(record for run in runs for record in run.records), *lost]:
        writer.write(record)
    footers = [run.footer for run in runs if run.footer is not None]
    if footers and len(footers) == len(runs) and all(end.status != "failed" for end, *_ in parts):
        writer.write(_footer(footers, header.selected))
    writer.close()
    run = read_run(folder)
    if runs:
        write_report(run, folder / "index.html")
    return run


def _record(end: JobResult, name: str) -> Record:
    outcome: Outcome = "not-run" if end.status == "not-run" else "crash"
    return Record(case=f"{AREA}/{name}", nodeid="", area=AREA, outcome=outcome, reason=end.reason)


def _header(runs: Sequence[Run], folder: Path, lost: int) -> RunHeader:
    if not runs:
        return RunHeader(run=folder.name, started=now(), tier="", command="", selected=lost)
    first = runs[0].header
    options: dict[str, Any] = {**first.options, "folder": str(folder)}
    for name in UNITED:
        values = (run.header.options.get(name) or () for run in runs)
        options[name] = list(dict.fromkeys(itertools.chain(*values)))
    return RunHeader(
        run=folder.name,
        started=min(run.header.started for run in runs),
        tier=first.tier,
        command=first.command,
        selected=sum(run.header.selected for run in runs) + lost,
        options=options,
        environment=first.environment,
        harness=first.harness,
        claims=first.claims,
        areas={name: area for run in runs for name, area in run.header.areas.items()},
    )


def _footer(footers: Sequence[RunFooter], selected: int) -> RunFooter:
    return RunFooter(
        finished=max(footer.finished for footer in footers),
        duration_s=sum(footer.duration_s for footer in footers),
        exit_status=max(footer.exit_status for footer in footers),
        collected=selected,
        problems=tuple(dict.fromkeys(itertools.chain(*(footer.problems for footer in footers)))),
        load=_load([footer.load for footer in footers]),
    )


def _load(loads: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Add counts and lists up; of anything else keep the last value."""
    found: dict[str, Any] = {}
    for load in loads:
        for name, value in load.items():
            adds = isinstance(value, int | list) and isinstance(found.get(name), type(value))
            found[name] = found[name] + value if adds else value
    return found
