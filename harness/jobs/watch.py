"""Show progress while jobs run: a line for each on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.jobs.job import Job
from harness.jobs.progress import PLAIN_EVERY_S, Follower

SAID = "said"
"""File in a job's folder whose lines are shown as they come."""
MOST_LINES = 8
"""Most jobs shown at once; a cluster runs more."""


class Watch:
    """Shows the progress of jobs from the growing records in their folders, if those are on this machine."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[counts]}"),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._all: TaskID | None = None
        self._jobs: dict[str, tuple[Follower, TaskID | None]] = {}
        self._heard: dict[str, int] = {}
        self._total = self._ended = 0
        self._said = time.monotonic()

    def __enter__(self) -> Watch:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, jobs: Sequence[Job], done: int) -> None:
        """Start the display. ``done``: number of jobs that an earlier command has finished."""
        self._total, self._ended = len(jobs), done
        if done:
            self.say(f"{done} of {len(jobs)} jobs are done already and are not run again")
        if len(jobs) > 1:
            self._all = self._progress.add_task("jobs", total=len(jobs), completed=done, counts="")

    def started(self, job: Job, folder: Path) -> None:
        """Show a job that was submitted to the backend."""
        line = None
        if len(self._jobs) < MOST_LINES:
            line = self._progress.add_task(escape(job.name), total=None, counts="")
        self._jobs[job.name] = Follower(folder), line

    def back(self, job: Job) -> None:
        """Remove a job that came back from the backend, well or not."""
        _, line = self._jobs.pop(job.name)
        if line is not None:
            self._progress.remove_task(line)

    def ended(self) -> None:
        """Count a job that has ended for good."""
        self._ended += 1
        if self._all is not None:
            self._progress.update(self._all, completed=self._ended)

    def tick(self) -> None:
        """Read new records, and show the progress."""
        plain = not self.console.is_terminal and time.monotonic() - self._said > PLAIN_EVERY_S
        if plain:
            self._said = time.monotonic()
            if self._total > 1:
                self.say(f"{self._ended} of {self._total} jobs have ended")
        for name, (follower, line) in self._jobs.items():
            if line is None:
                continue
            self._listen(name, follower.log.with_name(SAID))
            for _ in follower.news():
                pass
            total = follower.selected or None
            self._progress.update(line, total=total, completed=follower.done, counts=follower.text)
            if plain and follower.selected:
                self.say(f"{name}: {follower.done} of {follower.selected} cases: {follower.text}")

    def _listen(self, name: str, file: Path) -> None:
        try:
            said = file.read_text().splitlines()
        except OSError:
            return
        for line in said[self._heard.get(name, 0) :]:
            self.say(line)
        self._heard[name] = len(said)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self.console.print(escape(text), soft_wrap=True)
