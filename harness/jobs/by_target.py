"""Measure one release target by target: each is a job and a separate run, with a machine to itself.

`harness compare` takes the folder that holds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console

from harness.core.errors import UsageError
from harness.core.options import Options
from harness.core.paths import slug
from harness.jobs.backend import Settings
from harness.jobs.job import Job, JobResult
from harness.jobs.journal import new_folder
from harness.jobs.named import Named, named
from harness.jobs.runner import Runner
from harness.jobs.shares import apart, sent
from harness.jobs.suites import Suite
from harness.records.files import Run, read_run
from harness.report import summary

TIMED = "test_latency.py"
"""The suite whose cases are timed."""


class Measured(msgspec.Struct, frozen=True):
    """One job: its target, how it ended, and its run, if it left one."""

    name: str
    end: JobResult
    run: Run | None


def run(
    text: str, options: Options, arguments: Sequence[str], settings: Settings, root: Path
) -> tuple[list[Measured], Path]:
    """The cases that options and arguments choose, each target in ``<folder>/<target>/``; and the folder.

    Args:
        text: names the environment.
        arguments: pytest's others: paths, and what is not this harness's.

    Returns:
        The jobs' results, and the folder.

    Raises:
        UsageError: there is no such environment, or an argument is valid on this machine only.
        HarnessError: a targets file cannot be read, a target is not known, or no backend answers.
        Interrupted: the user interrupted it.
    """
    if any(argument.startswith("--benchmark-json") for argument in arguments):
        raise UsageError("--benchmark-json is for one run: leave it out, or leave out --backend")
    (environment,) = named([text], settings.backend)
    jobs = jobs_of(environment, options, arguments, settings, root)
    where = new_folder(options.folder, root, "", "by-target")
    with Runner(settings, root, where, options.store_folder, Console(highlight=False)) as runner:
        ends = runner.run(list(jobs.values()))
    runs = {name: where / job.folder for name, job in jobs.items()}
    found = {name: read_run(path) for name, path in runs.items() if (path / "records.jsonl").exists()}
    return [Measured(name, ends[job.name], found.get(name)) for name, job in jobs.items()], where


def sentences(found: Sequence[Measured]) -> Iterator[str]:
    """Yield a line for each target: its run's verdict, or why there is no run."""
    for one in found:
        if one.end.status != "done":
            yield one.end.sentence
        elif one.run is None:
            yield f"{one.name}: {one.end.reason}"
        else:
            yield f"{one.name}: {summary.verdict(one.run).sentence}"


def status(found: Sequence[Measured]) -> Literal["pass", "fail", "incomplete"]:
    """Summarise all runs: fail if one fails, incomplete if a job failed or nothing ran."""
    verdicts = {summary.verdict(one.run).status for one in found if one.run is not None}
    if "fail" in verdicts:
        return "fail"
    failed = any(one.end.status == "failed" for one in found)
    return "incomplete" if failed or not verdicts or "incomplete" in verdicts else "pass"


def jobs_of(
    environment: Named, options: Options, arguments: Sequence[str], settings: Settings, root: Path
) -> dict[str, Job]:
    """By target. Those with cases that are timed are timing jobs."""
    everywhere, files = sent(options)
    kept = tuple(_portable(arguments, root))
    timing = any(not argument.startswith("-") and _is_timed(argument) for argument in kept)
    jobs = {}
    for share in apart(options):
        own = msgspec.structs.replace(everywhere, **share.narrowing)
        work = Suite(environment.text, own, kept, files=files)
        name = f"{environment.name}, {share.name}"
        jobs[share.name] = msgspec.structs.replace(
            settings.job(name, work, slug(share.name)),
            resources={**settings.resources, **share.resources},
            labels={**settings.labels, **share.labels},
            timing=timing,
        )
    return jobs


def _is_timed(path: str) -> bool:
    file = path.partition("::")[0]
    return not file.endswith(".py") or Path(file).name == TIMED


def _portable(arguments: Sequence[str], root: Path) -> Iterator[str]:
    """Yield the arguments with paths relative to the checkout, which may be elsewhere on another machine."""
    for argument in arguments:
        if argument.startswith("-") or not Path(argument).is_absolute():
            yield argument
        elif Path(argument).is_relative_to(root):
            yield str(Path(argument).relative_to(root))
        else:
            raise UsageError(f"{argument} is outside the checkout {root}: a job can read only what is inside")
