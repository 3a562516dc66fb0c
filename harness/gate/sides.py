"""The sides of a gate: an environment to run or an earlier run, the jobs that run it, and what they made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.core.errors import HarnessError, UsageError
from harness.core.options import Options
from harness.core.paths import reports
from harness.environments import Environment, resolve_one
from harness.jobs.backend import BackendName, Settings
from harness.jobs.job import Job, JobResult
from harness.jobs.merge import merged
from harness.jobs.shares import Share, sent, shares
from harness.jobs.suites import Suite, producer_of, producer_text, text_of
from harness.records.files import Run, read_run


class Subject(msgspec.Struct, frozen=True):
    """One side: an environment to run, or an earlier run."""

    name: str
    environment: Environment | None = None
    run: Run | None = None


def subject_of(text: str, root: Path) -> Subject:
    """Return the run of that name or folder, else the environment of that name, made if necessary.

    Raises:
        UsageError: it names neither.
        HarnessError: the environment cannot be made.
    """
    for path in (Path(text), reports(root) / text):
        if (path / "records.jsonl").exists():
            run = read_run(path.resolve())
            return Subject(_name_of(run), run=run)
    try:
        environment = resolve_one(text)
    except UsageError as error:
        raise UsageError(f"{error}; or give the folder of an earlier run") from error
    return Subject(environment.name, environment)


def _name_of(run: Run) -> str:
    """Return the producer name of the run's environment in the ids of cases, or its release."""
    options = run.header.options
    for producer in options.get("producers") or ():
        name = str(producer).partition("=")[0]
        if producer == _text(name, options):
            return name
    paddle = run.header.environment.get("paddle") or {}
    name = str(paddle.get("version", run.header.run))
    return f"{name}@legacy-ir" if options.get("paddle_profile") == "legacy-ir" else name


def jobs_of(
    label: str,
    side: Subject,
    options: Options,
    arguments: tuple[str, ...],
    sides: Sequence[Subject],
    settings: Settings,
) -> list[tuple[str, Job]]:
    """Return a side's jobs with their names in its run: one, or one for each kind of machine it needs.

    Locally there is one job; cases that need another kind of machine are not run.
    """
    assert side.environment is not None
    name, found = f"{label} {side.name}", []
    local = settings.backend is BackendName.local
    everywhere, files = (options, ()) if local else sent(options)
    parts = [Share()] if local else shares(options)
    for number, share in enumerate(parts):
        folder = label if len(parts) == 1 else f"parts/{label}-{number}"
        own = f"{name} {share.name}".strip()
        narrowed = msgspec.structs.replace(everywhere, **share.narrowing)
        job = job_of(own, folder, side.environment, narrowed, arguments, sides, settings)
        work = msgspec.structs.replace(job.work, files=files)
        resources, labels = {**job.resources, **share.resources}, {**job.labels, **share.labels}
        job = msgspec.structs.replace(job, work=work, resources=resources, labels=labels)
        found.append((share.name or "on any machine", job))
    return found


def run_of(label: str, parts: Sequence[tuple[str, Job]], ends: Mapping[str, JobResult], folder: Path) -> Run:
    """Return the run that jobs have made: the only job's, or the merged runs of all, each under its name.

    Raises:
        HarnessError: no job left records; says why.
    """
    found = [(ends[job.name], folder / job.folder, name) for name, job in parts]
    if not any((path / "records.jsonl").exists() for _, path, _ in found):
        raise HarnessError(f"the run of {found[0][0].sentence}")
    return read_run(found[0][1]) if len(found) == 1 else merged(found, folder / label)


def job_of(
    name: str,
    folder: str,
    environment: Environment,
    options: Options,
    arguments: tuple[str, ...],
    sides: Sequence[Subject],
    settings: Settings,
) -> Job:
    """A run in one of the environments; each is a producer, and an earlier run's if it is still there."""
    there = earlier(sides)
    here = [
        text_of(side.environment)
        for side in sides
        if side.environment is not None and producer_of(side.environment) not in there
    ]
    options = msgspec.structs.replace(options, producers=(*options.producers, *there), folder="")
    work = Suite(text_of(environment), options, arguments, tuple(dict.fromkeys(here)))
    return settings.job(name, work, folder)


def earlier(sides: Sequence[Subject]) -> tuple[str, ...]:
    """The environments behind earlier runs, as producers, where they are still there."""
    runs = [(side.name, side.run.header.options) for side in sides if side.run and not side.environment]
    return tuple(_text(name, given) for name, given in runs if Path(str(given.get("python", ""))).exists())


def _text(name: str, given: Mapping[str, Any]) -> str:
    """The environment that a run's options name, as a producer."""
    return producer_text(name, str(given.get("python", "")), str(given.get("paddle_profile", "default")))
