"""Jobs on this machine: a few at a time, and a timing job alone."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from harness.jobs.job import Job, Stopped, TaskResult, Unschedulable, Workspace


class Local:
    """The default backend. Tasks start separate processes, so threads are enough to wait for them.

    Args:
        at_once: jobs at the same time; a timing job always runs alone.
    """

    def __init__(self, root: Path, at_once: int) -> None:
        self._root = root
        self._at_once = self._sharing = at_once
        self._pool = ThreadPoolExecutor(at_once, "job")
        self._machine = Machine()
        self._stop = threading.Event()

    def expect(self, jobs: int) -> None:
        self._sharing = max(1, min(self._at_once, jobs))

    def submit(self, job: Job, folder: Path, artifacts: Sequence[str]) -> Future[TaskResult]:
        lacking = _lacking(job)
        if lacking:
            nowhere: Future[TaskResult] = Future()
            nowhere.set_exception(
                Unschedulable(f"this machine has no {lacking}; use --backend ray to find a node that has it")
            )
            return nowhere
        return self._pool.submit(self._run, job, folder)

    def look(self) -> None:
        """Do nothing: this machine does not change."""

    def _run(self, job: Job, folder: Path) -> TaskResult:
        with self._machine.alone() if job.timing else self._machine.shared():
            if self._stop.is_set():
                raise Stopped(f"{job.name} was not begun")
            lanes = max(1, len(os.sched_getaffinity(0)) // self._sharing)
            workspace = Workspace(self._root, folder, self._stop.is_set, lanes)
            done: TaskResult = job.work.perform(workspace)
            return msgspec.structs.replace(done, where=socket.gethostname())

    def stop(self) -> None:
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _lacking(job: Job) -> str:
    has = {"CPU": float(os.cpu_count() or 1), "GPU": float(len(list(Path("/dev").glob("nvidia[0-9]*"))))}
    lacking = [name for name, amount in job.resources.items() if amount > has.get(name, 0.0)]
    return ", ".join([*lacking, *(f"label {name}={value}" for name, value in job.labels.items())])


class Machine:
    """Read-write lock that prefers the exclusive holder."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._alone = False
        self._wanting = 0

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with others, but never with an exclusive holder."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._wanting)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock exclusively."""
        with self._changed:
            self._wanting += 1
            self._changed.wait_for(lambda: not self._alone and not self._sharing)
            self._wanting -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
