"""Several runs of the suites at once, each in an environment of its own, followed to their ends."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.environments import Environment
from harness.errors import HarnessError, UsageError
from harness.progress import (
    PLAIN_EVERY_S,
    POLL_S,
    Follower,
    end_pytest,
    signals_interrupt,
    start_pytest,
)
from harness.records import Run, read_run
from harness.rerun import RUNS, last_error

AT_ONCE = 2
"""Runs at the same time: conformance does not mind company, and a run keeps about one core busy."""


class Interrupted(HarnessError):
    """The user ended it."""

    exit_status = 128 + signal.SIGINT


class Job(msgspec.Struct, frozen=True):
    """One run: where it is written, in which environment, with which pytest arguments."""

    name: str
    folder: Path
    environment: Environment
    arguments: tuple[str, ...]


class _Child:
    def __init__(self, root: Path, job: Job) -> None:
        self.job = job
        named = (
            f"--run-folder={job.folder}",
            f"--python={job.environment.python}",
            f"--profile={job.environment.profile}",
        )
        self.process: subprocess.Popen[bytes]
        self.follower: Follower
        self.process, self.follower = start_pytest(root, job.folder, [*job.arguments, *named])


def run_all(root: Path, jobs: Sequence[Job], console: Console) -> list[Run]:
    """Run every job, at most :data:`AT_ONCE` at a time; their runs in order.

    Raises:
        HarnessError: a run left no records; pytest's own word on why.
        Interrupted: the user ended it; the runs are closed in order first.
    """
    waiting = list(jobs)
    going: list[_Child] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    with (
        signals_interrupt(),
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        tasks: dict[str, TaskID] = {}
        said = time.monotonic()
        try:
            while waiting or going:
                while waiting and len(going) < AT_ONCE:
                    child = _Child(root, waiting.pop(0))
                    going.append(child)
                    tasks[child.job.name] = progress.add_task(child.job.name, total=None, counts="starting")
                time.sleep(POLL_S)
                for child in list(going):
                    ended = child.process.poll() is not None
                    for _ in child.follower.news():
                        pass
                    progress.update(
                        tasks[child.job.name],
                        total=child.follower.selected or None,
                        completed=child.follower.done,
                        counts=child.follower.text,
                    )
                    if ended:
                        going.remove(child)
                        _must_have_run(child)
                if not console.is_terminal and time.monotonic() - said > PLAIN_EVERY_S:
                    said = time.monotonic()
                    for child in going:
                        follower = child.follower
                        told = f"{follower.done} of {follower.selected} cases: {follower.text}"
                        console.print(f"{child.job.name}: {told}", soft_wrap=True)
        except BaseException as error:
            for child in going:
                end_pytest(child.process)
            if isinstance(error, KeyboardInterrupt):
                folder = jobs[0].folder.parent
                raise Interrupted(f"interrupted; what the runs had found is in {folder}") from None
            raise
    return [read_run(job.folder) for job in jobs]


def _must_have_run(child: _Child) -> None:
    if (child.job.folder / "records.jsonl").exists():
        return
    words = last_error(child.follower.log.read_text(errors="replace"))
    raise HarnessError(f"the run of {child.job.name} did not start: {words}")


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

    Raises:
        UsageError: it already holds records.
        HarnessError: it cannot be made.
    """
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = Path(given).absolute() if given else root / RUNS / kind / "-".join(filter(None, [stamp, label]))
    if folder.is_dir() and any(folder.glob("*/records.jsonl")):
        raise UsageError(f"{folder} already holds runs: name another folder with --folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(
            f"the folder {folder} cannot be made ({error.strerror}): name another with --folder"
        ) from error
    return folder
