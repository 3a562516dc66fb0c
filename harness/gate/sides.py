"""The sides of a gate: an environment to run, or the run it left; and the jobs that make their runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.core.errors import UsageError
from harness.core.paths import reports
from harness.environments import Environment, resolve_one
from harness.jobs.backend import BackendName, Settings
from harness.jobs.job import Job
from harness.jobs.shares import sent, shares
from harness.jobs.suites import Suite, text_of
from harness.records.files import Run, read_run

LATENCY_BUDGET_S = "0.05"
"""A gate only shows latencies, so it takes less time for each than a run of its own."""


class Subject(msgspec.Struct, frozen=True):
    """One side: an environment to run, or the run it left earlier."""

    name: str
    environment: Environment | None = None
    run: Run | None = None


def subject_of(text: str, root: Path) -> Subject:
    """The run of that name or folder, else the environment that the text names, made if need be.

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
    """What files of the environment behind a run are called where they crossed, or its release."""
    options = run.header.options
    own = _with_profile(str(options.get("python", "")), str(options.get("profile", "default")))
    for producer in options.get("producers") or ():
        name, _, where = str(producer).partition("=")
        if where == own:
            return name
    paddle = run.header.environment.get("paddle") or {}
    name = str(paddle.get("version", run.header.run))
    return f"{name}@legacy-ir" if options.get("profile") == "legacy-ir" else name


def jobs_of(
    label: str, side: Subject, arguments: tuple[str, ...], sides: Sequence[Subject], settings: Settings
) -> list[tuple[str, Job]]:
    """A side's jobs and what they are called in its run: one, or one for each kind of machine it needs.

    On this machine there is one kind, and what it has not is a case that is not run.
    """
    assert side.environment is not None
    name = f"{label} {side.name}"
    if settings.backend is BackendName.local:
        return [("", job_of(name, label, side.environment, arguments, sides, settings))]
    found = []
    kept, files = sent(arguments)
    parts = shares(arguments)
    for number, share in enumerate(parts):
        folder = label if len(parts) == 1 else f"parts/{label}-{number}"
        own = f"{name} {share.name}".strip()
        job = job_of(own, folder, side.environment, (*kept, *share.arguments), sides, settings)
        work = msgspec.structs.replace(job.work, files=files)
        resources, labels = {**job.resources, **share.resources}, {**job.labels, **share.labels}
        job = msgspec.structs.replace(job, work=work, resources=resources, labels=labels)
        found.append((share.name or "on any machine", job))
    return found


def job_of(
    name: str,
    folder: str,
    environment: Environment,
    arguments: tuple[str, ...],
    sides: Sequence[Subject],
    settings: Settings,
) -> Job:
    """A run in one of the environments; each is a producer, and an earlier run's if it is still there."""
    there = list(filter(None, (_from(side) for side in sides if side.environment is None)))
    here = [
        text_of(side.environment)
        for side in sides
        if side.environment is not None and _from(side) not in there
    ]
    work = Suite(text_of(environment), (*arguments, *there), tuple(dict.fromkeys(here)))
    return settings.job(name, work, folder)


def options_of(arguments: Sequence[str]) -> tuple[str, ...]:
    """A side's pytest arguments, of those that were given."""
    given = list(arguments)
    if not any(not argument.startswith("-") for argument in given):
        given.insert(0, "suites")
    # The full tier is asked for by somebody who has the time.
    brief = () if "--tier=full" in given else ("--brief", f"--latency-budget={LATENCY_BUDGET_S}")
    return (*given, *brief)


def arguments_of(arguments: Sequence[str], sides: Sequence[Subject]) -> tuple[str, ...]:
    """All that decides what a side's run does."""
    return (*options_of(arguments), *dict.fromkeys(filter(None, map(_from, sides))))


def _from(side: Subject) -> str:
    found = _producer(side)
    return f"--from={found[0]}={found[1]}" if found else ""


def _producer(side: Subject) -> tuple[str, str] | None:
    """Name and interpreter of the environment whose files cross; an earlier run's if it is still there."""
    if side.environment is not None:
        return side.name, _with_profile(side.environment.python, side.environment.profile)
    assert side.run is not None
    options = side.run.header.options
    python = str(options.get("python", ""))
    if not Path(python).exists():
        return None
    return side.name, _with_profile(python, str(options.get("profile", "default")))


def _with_profile(python: str, profile: str) -> str:
    return python if profile == "default" else f"{python}@{profile}"
