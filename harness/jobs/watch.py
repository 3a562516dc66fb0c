"""Show progress while jobs run: a line for each on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.core.types import BAD_OUTCOMES, OUTCOMES
from harness.jobs.job import Job
from harness.plugin.recording import RUNNING

SAID = "said"
"""File in a job's folder whose lines are shown as they come."""
PLAIN_EVERY_S = 20.0
"""Seconds between two lines of progress when the output goes to a file."""
OUTCOME_WORD = re.compile(r" (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
MOST_LINES = 8
"""Most jobs shown at once; a cluster runs more."""


class Follower:
    """Reads a growing ``records.jsonl`` and the pytest log next to it."""

    def __init__(self, folder: Path) -> None:
        self.records = folder / "records.jsonl"
        self.log = folder / "pytest.log"
        self.selected = 0
        self.counts: Counter[str] = Counter()
        self.read = 0

    def news(self) -> Iterator[dict[str, Any]]:
        """Yield the cases finished since the last call."""
        try:
            with self.records.open("rb") as file:
                file.seek(self.read)
                data = file.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self.read += len(whole)
        for text in whole.splitlines():
            line = msgspec.json.decode(text)
            if line["kind"] == "run":
                self.selected = int(line.get("selected", 0))
            elif line["kind"] == "case":
                self.counts[line["outcome"]] += 1
                yield line

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    @property
    def text(self) -> str:
        return ", ".join(f"{self.counts[o]} {o}" for o in OUTCOMES if self.counts[o]) or "starting"

    def current(self) -> str:
        """Name of the case that pytest has started and not finished, from the log's last line."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 2000))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        if RUNNING in text:  # in lanes; a line every few seconds
            return text.rpartition(RUNNING)[2].partition("\n")[0]
        last = text.rpartition("\n")[2]
        # "suites/test_area.py::test_check[a-b] ", and no outcome behind it yet.
        if "::" not in last or OUTCOME_WORD.search(last):
            return ""
        return last.partition("::")[0].rpartition("/")[2] + "::" + last.partition("::")[2].strip()


class Watch:
    """Shows progress from the growing records in folders: those of jobs, if they are on this machine.

    ``alone``: of one run, with its current case, and a line for each unexpected result.
    """

    def __init__(self, console: Console, alone: bool = False) -> None:
        self.console, self.alone = console, alone
        columns = (
            *(() if alone else (TextColumn("{task.description}"),)),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[counts]}"),
            *((TextColumn("[dim]{task.fields[current]}"),) if alone else ()),
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
            self._all = self._progress.add_task(
                "jobs", total=len(jobs), completed=done, counts="", current=""
            )

    def started(self, job: Job, folder: Path) -> None:
        """Show a job that was submitted to the backend."""
        self.follow(job.name, Follower(folder))

    def follow(self, name: str, follower: Follower) -> None:
        """Show what has this name, unless there are :data:`MOST_LINES` lines already."""
        line = None
        if len(self._jobs) < MOST_LINES:
            line = self._progress.add_task(escape(name), total=None, counts="", current="")
        self._jobs[name] = follower, line

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
            for record in follower.news():
                if self.alone and _unexpected(record):
                    self.say(_line(record))
            self._progress.update(
                line,
                total=follower.selected or None,
                completed=follower.done,
                counts=follower.text,
                current=escape(follower.current()) if self.alone else "",
            )
            if plain and (follower.selected or self.alone):
                head = f"{name}: " if name else ""
                self.say(f"{head}{follower.done} of {follower.selected} cases: {follower.text}")

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


def _unexpected(record: dict[str, Any]) -> bool:
    return bool(record.get("unexpected")) or (
        record["outcome"] in BAD_OUTCOMES and not record.get("expected_failure")
    )


def _line(record: dict[str, Any]) -> str:
    return f"{record['outcome']:>8}  {record['case']}: {record.get('unexpected') or record.get('reason', '')}"
