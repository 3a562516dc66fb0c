"""What runs jobs: the interface, and which backend a command asked for."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from harness.core.choices import AT_ONCE
from harness.core.errors import UsageError
from harness.jobs.job import Job, Task, TaskResult


class Backend(Protocol):
    """Runs jobs wherever it has room for them."""

    def submit(self, job: Job, folder: Path, artifacts: Sequence[str]) -> Future[TaskResult]:
        """Run the job as soon as there is room; what it writes is in ``folder`` when the future is done.

        ``artifacts``: keys of the store's entries that the jobs before it made or used, which it finds.
        The future raises :class:`~harness.jobs.job.Unschedulable` where no machine has what the job needs,
        :class:`~harness.jobs.job.NodeLost` where the machine went away, else what the work raises.
        """
        ...  # pragma: no cover

    def look(self) -> None:
        """Called about once a second: what changed among the machines, and whom that leaves without one."""
        ...  # pragma: no cover

    def stop(self) -> None:
        """Tell every job to end now; what waits for room is not begun."""
        ...  # pragma: no cover

    def close(self) -> None:
        """Wait for what still runs, and let go of the machines."""
        ...  # pragma: no cover


class BackendName(StrEnum):
    """What runs jobs."""

    local = "local"
    ray = "ray"


class Settings(msgspec.Struct, frozen=True):
    """Which backend, and what every job needs beside what it says itself."""

    backend: BackendName = BackendName.local
    address: str = ""
    """Of the Ray cluster: ``HOST:PORT`` or ``auto``; '' starts one on this machine."""
    at_once: int = AT_ONCE
    """Jobs at the same time; on Ray its own scheduler decides."""
    resources: dict[str, float] = {}
    labels: dict[str, str] = {}

    def job(self, name: str, work: Task, folder: str, after: tuple[str, ...] = ()) -> Job:
        """A job that needs what every job does."""
        return Job(name, work, folder, after, self.resources, self.labels)


def parsed_resources(text: str) -> dict[str, float]:
    """``GPU=1,kunlun=0.5`` as a mapping; a name alone means 1.

    Raises:
        UsageError: an amount is not a number above 0.
    """
    found: dict[str, float] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, amount = part.partition("=")
        try:
            found[name.strip()] = float(amount or 1)
        except ValueError:
            found[name.strip()] = 0.0
        if not name.strip() or not found[name.strip()] > 0:
            raise UsageError(f"--resources {part}: write it as in GPU=1,kunlun=1")
    return found


def parsed_labels(text: str) -> dict[str, str]:
    """``machine=quiet,zone=b`` as a mapping.

    Raises:
        UsageError: a part is no NAME=VALUE.
    """
    parts = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    for name, _, value in parts:
        if not name or not value:
            raise UsageError(f"--labels {text}: write it as in machine=quiet")
    return {name: value for name, _, value in parts}


def must_be_installed(backend: BackendName) -> None:
    """Raises a UsageError where what the backend needs is not installed."""
    if backend is BackendName.ray:
        from harness.jobs import ray

        ray.must_be_installed()


def open_backend(settings: Settings, root: Path, store: Path) -> Backend:
    """The backend that was asked for. ``store`` is this side's.

    Raises:
        UsageError: Ray is not installed.
        HarnessError: no cluster answers.
    """
    if settings.backend is BackendName.local:
        from harness.jobs.local import Local

        return Local(root, settings.at_once)
    from harness.jobs.ray import OnRay  # imports Ray, which only this backend needs

    return OnRay(root, store, settings.address)
