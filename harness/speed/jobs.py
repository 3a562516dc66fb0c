"""A/A tests as jobs: one for each release, with a machine to itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from harness.core.paths import slug
from harness.jobs.backend import Settings
from harness.jobs.command import Command
from harness.jobs.job import Job, JobResult
from harness.jobs.named import Named, named
from harness.jobs.runner import Runner


def jobs_of(found: Sequence[Named], options: Sequence[str], settings: Settings) -> list[Job]:
    """Return a timing job for each environment, in a folder of the same name."""
    jobs = [
        settings.job(f"aa-test {one.name}", Command(("aa-test", one.text, *options)), slug(one.name))
        for one in found
    ]
    return [msgspec.structs.replace(job, timing=True) for job in jobs]


def aa_tests(
    texts: Sequence[str],
    options: Sequence[str],
    settings: Settings,
    root: Path,
    folder: Path,
    store: Path,
    console: Console,
) -> list[tuple[JobResult, Path]]:
    """Run each environment's A/A test; return how it ended, and its folder.

    Args:
        texts: names of the environments.
        options: options of the command, the same for each.

    Raises:
        Interrupted: the user interrupted it.
        HarnessError: an environment cannot be made, or no backend answers.
    """
    jobs = jobs_of(named(texts, settings.backend), options, settings)
    with Runner(settings, root, folder, store, console) as runner:
        ends = runner.run(jobs)
    return [(ends[job.name], folder / job.folder) for job in jobs]
