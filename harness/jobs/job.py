"""A job, its result, and the workspace in which it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from harness.core.errors import HarnessError
from harness.core.hashing import key_of

Status = Literal["done", "failed", "not-run"]


class NotStarted(HarnessError):
    """The task was refused before its first case, most likely because of invalid arguments."""


class Stopped(HarnessError):
    """The job was stopped before it had ended by itself."""


class NodeLost(HarnessError):
    """The job's machine went away, which is not the job's fault."""


class Unschedulable(HarnessError):
    """No machine of the backend has what the job needs."""


class Workspace(msgspec.Struct, frozen=True):
    """The folders of a running job, and whether to stop."""

    root: Path
    """Checkout on the machine that runs the job."""
    folder: Path
    """Folder in which the job writes; it need not exist."""
    stopped: Callable[[], bool] = bool
    """Whether the job must end now."""
    lanes: int = 1
    """In how many processes it may run cases side by side."""


class TaskResult(msgspec.Struct, frozen=True):
    """A task's result, as the task itself reports it."""

    ok: bool = True
    reason: str = ""
    """Why the task did not reach its end."""
    records: str = ""
    """sha256 of the run's ``records.jsonl``."""
    artifacts: tuple[str, ...] = ()
    """Keys of store entries that the task made or used."""
    where: str = ""
    """The machine."""
    seconds: float = 0.0


class Task(Protocol):
    """What a job does: frozen, so that it has a hash, and picklable, so that it can be sent."""

    def perform(self, workspace: Workspace) -> TaskResult:
        """Run the task in a separate process that writes below ``workspace.folder``.

        Raises:
            NotStarted: it was refused before its first case.
            Stopped: ``workspace.stopped()`` became true.
            HarnessError: it cannot be run there.
        """
        ...  # pragma: no cover


class Job(msgspec.Struct, frozen=True):
    """One task, and what it needs. ``folder`` is relative to the run's folder, with forward slashes."""

    name: str
    work: Any
    """A :class:`Task`."""
    folder: str
    after: tuple[str, ...] = ()
    """Jobs that must have ended before, well or not; their artifacts are available to this one."""
    resources: dict[str, float] = {}
    """Amounts that a machine must have: ``CPU`` (default 1), ``GPU``, or any name that a machine declares."""
    labels: dict[str, str] = {}
    """Labels that a machine must have."""
    timing: bool = False
    """Whether the job needs the machine to itself."""

    @property
    def digest(self) -> str:
        """Return a hash of all that decides what the job does."""
        return key_of({"work": type(self.work).__name__, **msgspec.to_builtins(self)})


class JobResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Result of a job; a line of the journal."""

    job: str
    digest: str
    status: Status
    attempts: int = 0
    reason: str = ""
    records: str = ""
    artifacts: tuple[str, ...] = ()
    where: str = ""
    seconds: float = 0.0

    @property
    def sentence(self) -> str:
        """Message about a job that is not done."""
        if self.status == "not-run":
            return f"{self.job} was not run: {self.reason}"
        return f"{self.job} failed {'twice' if self.attempts > 1 else 'once'}: {self.reason}"
