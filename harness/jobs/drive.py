"""Submit jobs to a backend in the order of their dependencies, and write their results to the journal."""

from __future__ import annotations

import contextlib
import os
import queue
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from pathlib import Path

import msgspec

from harness.jobs.backend import Backend
from harness.jobs.job import Job, JobResult, NodeLost, NotStarted, Status, Stopped, TaskResult, Unschedulable
from harness.jobs.journal import Journal
from harness.jobs.watch import Watch

TRIES = 2
"""Most attempts of a job that fails or is killed."""
MOST_LOST = 5
"""Machines that one job may lose before it counts as failed."""
LOOK_S = 1.0
EARLIER = "attempts"
"""Folder for the files of earlier attempts."""


class Drive:
    """Runs jobs, each when those that it comes after have ended."""

    def __init__(
        self, jobs: Sequence[Job], backend: Backend, folder: Path, journal: Journal, watch: Watch
    ) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.backend, self.folder, self.journal, self.watch = backend, folder, journal, watch
        self.ends: dict[str, JobResult] = {}
        self.ready: deque[Job] = deque()
        self.missing = {job.name: len(job.after) for job in jobs}
        self.followers: dict[str, list[Job]] = {}
        self.going: dict[Future[TaskResult], Job] = {}
        self.came: queue.SimpleQueue[Future[TaskResult]] = queue.SimpleQueue()
        self.tries = dict.fromkeys(self.jobs, 0)
        self.looked = time.monotonic()
        self.lost = dict.fromkeys(self.jobs, 0)
        for job in jobs:
            for name in job.after:
                self.followers.setdefault(name, []).append(job)

    def run(self) -> dict[str, JobResult]:
        """Run every job that the journal does not hold as done; return all results by name.

        Whatever is raised, running jobs are stopped first.

        Raises:
            NotStarted: a job was refused before its first case and none has ended yet: invalid arguments.
            HarnessError: the journal cannot be written.
            KeyboardInterrupt: the user interrupted it.
        """
        done = [self.journal.finished(job, self.folder / job.folder) for job in self.jobs.values()]
        self.watch.begin(list(self.jobs.values()), sum(end is not None for end in done))
        self.backend.expect(sum(end is None for end in done))
        self.ready.extend(job for job in self.jobs.values() if not job.after)
        for end in done:
            if end is not None:
                self._settle(end)
        try:
            while self.ready or self.going:
                while self.ready:
                    job = self.ready.popleft()
                    if job.name not in self.ends:
                        self._submit(job)
                self._wait()
        except BaseException:
            self.backend.stop()
            raise
        return {name: self.ends[name] for name in self.jobs}

    def _submit(self, job: Job) -> None:
        where = self.folder / job.folder
        set_aside(where, self.folder)
        self.tries[job.name] += 1
        self.journal.begun(job.name, self.tries[job.name])
        made = dict.fromkeys(key for name in job.after for key in self.ends[name].artifacts)
        future = self.backend.submit(job, where, tuple(made))
        self.going[future] = job
        self.watch.started(job, where)
        future.add_done_callback(self.came.put)

    def _wait(self) -> None:
        """Wait for the next job that ends; poll the backend every second."""
        with contextlib.suppress(queue.Empty):
            future = self.came.get(timeout=LOOK_S)
            self._back(self.going.pop(future), future)
        if time.monotonic() - self.looked >= LOOK_S:
            self.looked = time.monotonic()
            self.backend.look()
            self.watch.tick()

    def _back(self, job: Job, future: Future[TaskResult]) -> None:
        self.watch.back(job)
        try:
            done = future.result()
        except (Stopped, CancelledError) as error:
            raise KeyboardInterrupt from error
        except Unschedulable as error:
            self._end(job, "not-run", TaskResult(False, str(error)))
            return
        except NodeLost as error:
            self.lost[job.name] += 1
            self.tries[job.name] -= 1
            if self.lost[job.name] <= MOST_LOST:
                self.watch.say(f"{job.name}: {error}; running it on another machine")
                self.ready.append(job)
                return
            done = TaskResult(False, str(error))
        except NotStarted as error:
            if not any(end.status == "done" for end in self.ends.values()):
                raise NotStarted(f"the run of {job.name} did not start: {error}") from error
            done = TaskResult(False, str(error))
        except Exception as error:  # whatever a task raises is the job's result
            done = TaskResult(False, f"{error}" or type(error).__name__)
        if done.ok:
            self._end(job, "done", done)
        elif self.tries[job.name] < TRIES and self.lost[job.name] <= MOST_LOST:
            self.watch.say(f"{job.name}: {done.reason}; once more")
            self.ready.append(job)
        else:
            self._end(job, "failed", done)

    def _end(self, job: Job, status: Status, done: TaskResult) -> None:
        fields = msgspec.structs.asdict(done)
        del fields["ok"]
        end = JobResult(job.name, job.digest, status, self.tries[job.name], **fields)
        self.journal.ended(end)
        self._settle(end)
        self.watch.ended()
        if status != "done":
            self.watch.say(end.sentence)

    def _settle(self, end: JobResult) -> None:
        self.ends[end.job] = end
        for job in self.followers.get(end.job, ()):
            self.missing[job.name] -= 1
            if not self.missing[job.name]:
                self.ready.append(job)


def set_aside(where: Path, folder: Path) -> None:
    """Move the files of an unfinished attempt away, so that the next one starts with an empty folder."""
    if not where.exists():
        return
    earlier = folder / EARLIER
    earlier.mkdir(exist_ok=True)
    number = 1
    while (earlier / f"{where.name}.{number}").exists():
        number += 1
    os.rename(where, earlier / f"{where.name}.{number}")
