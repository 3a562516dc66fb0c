"""The interface of a backend, which runs jobs, and the choice of one."""

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

    def expect(self, jobs: int) -> None:
        """Learn how many jobs are to be run now: what their machine has is divided among them."""
        ...  # pragma: no cover

    def submit(self, job: Job, folder: Path, artifacts: Sequence[str]) -> Future[TaskResult]:
        """Run the job as soon as there is room; its files are in ``folder`` when the future is done.

        ``artifacts``: keys of store entries that earlier jobs made or used, made available to this one.
        The future raises :class:`~harness.jobs.job.Unschedulable` where no machine has what the job needs,
        :class:`~harness.jobs.job.NodeLost` where the machine went away, else what the task raises.
        """
        ...  # pragma: no cover

    def look(self) -> None:
        """Poll the machines, about once a second; fail jobs that no machine can run any more."""
        ...  # pragma: no cover

    def stop(self) -> None:
        """Ask every job to end now; do not start those that wait for room."""
        ...  # pragma: no cover

    def close(self) -> None:
        """Wait for jobs that still run, and release the machines."""
        ...  # pragma: no cover


class BackendName(StrEnum):
    """Names of the backends."""

    local = "local"
    ray = "ray"


class Settings(msgspec.Struct, frozen=True):
    """The backend, and what every job needs in addition to its own requirements."""

    backend: BackendName = BackendName.local
    address: str = ""
    """Address of the Ray cluster: ``HOST:PORT`` or ``auto``; '' starts one on this machine."""
    at_once: int = AT_ONCE
    """Jobs at the same time; on Ray, its scheduler decides."""
    resources: dict[str, float] = {}
    labels: dict[str, str] = {}

    def job(self, name: str, work: Task, folder: str, after: tuple[str, ...] = ()) -> Job:
        """Return a job with the requirements of every job."""
        return Job(name, work, folder, after, self.resources, self.labels)


def parsed_resources(text: str) -> dict[str, float]:
    """Parse ``GPU=1,kunlun=0.5`` into a mapping; a name alone means 1.

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
            raise UsageError(f"--resources {part}: write NAME=NUMBER, as in GPU=1,kunlun=1")
    return found


def parsed_labels(text: str) -> dict[str, str]:
    """Parse ``machine=quiet,zone=b`` into a mapping.

    Raises:
        UsageError: a part is not NAME=VALUE.
    """
    parts = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    for name, _, value in parts:
        if not name or not value:
            raise UsageError(f"--labels {text}: write NAME=VALUE, as in machine=quiet")
    return {name: value for name, _, value in parts}


def must_be_installed(backend: BackendName) -> None:
    """Check that the backend's packages are installed.

    Raises:
        UsageError: they are not.
    """
    if backend is BackendName.ray:
        from harness.jobs import ray

        ray.must_be_installed()


def open_backend(settings: Settings, root: Path, store: Path) -> Backend:
    """Open the backend of these settings; ``store`` is the controller's artifact store.

    Raises:
        UsageError: Ray is not installed.
        HarnessError: no cluster answers.
    """
    if settings.backend is BackendName.local:
        from harness.jobs.local import Local

        return Local(root, settings.at_once)
    from harness.jobs.ray import OnRay  # imports Ray, which only this backend needs

    return OnRay(root, store, settings.address)
