"""What a job is, how it ends, and what it is told of the place where it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from harness.core.errors import HarnessError
from harness.core.hashing import key_of

Status = Literal["done", "failed", "not-run"]


class NotStarted(HarnessError):
    """The work was refused before its first case: most likely what was asked for cannot be meant."""


class Stopped(HarnessError):
    """The job was told to end before it had ended by itself."""


class NodeLost(HarnessError):
    """The machine went away under the job, which is no fault of the job's."""


class Unschedulable(HarnessError):
    """No machine of the backend has what the job needs."""


class Workspace(msgspec.Struct, frozen=True):
    """Where a job runs."""

    root: Path
    """The checkout there."""
    folder: Path
    """Where the job writes; it need not exist."""
    stopped: Callable[[], bool] = bool
    """Whether the job is to end now."""


class TaskResult(msgspec.Struct, frozen=True):
    """How a work came out, as it tells itself."""

    ok: bool = True
    reason: str = ""
    """Why it did not come to its end."""
    records: str = ""
    """sha256 of its ``records.jsonl``."""
    artifacts: tuple[str, ...] = ()
    """Keys of the store's entries that it made or used."""
    where: str = ""
    """The machine."""
    seconds: float = 0.0


class Task(Protocol):
    """What a job does: frozen, so that it has a hash, and picklable, so that it can travel."""

    def perform(self, workspace: Workspace) -> TaskResult:
        """Do it, in a process of its own, writing below ``workspace.folder``.

        Raises:
            NotStarted: it was refused before its first case.
            Stopped: ``workspace.stopped()``.
            HarnessError: it cannot be done there.
        """
        ...  # pragma: no cover


class Job(msgspec.Struct, frozen=True):
    """One work, and what it needs. ``folder`` is relative to the run's, with forward slashes."""

    name: str
    work: Any
    """A :class:`Task`."""
    folder: str
    after: tuple[str, ...] = ()
    """Jobs that must have ended before, however they ended; what they made is there then."""
    resources: dict[str, float] = {}
    """What a machine must have: ``CPU`` (1 unless said), ``GPU``, and any name that a machine claims."""
    labels: dict[str, str] = {}
    """What a machine must be labelled with."""
    timing: bool = False
    """Whether it needs the machine for itself."""

    @property
    def digest(self) -> str:
        """Hash of all that decides what the job does."""
        return key_of({"work": type(self.work).__name__, **msgspec.to_builtins(self)})


class JobResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a job ended; a line of the journal."""

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
        """What is told of a job that is not done."""
        if self.status == "not-run":
            return f"{self.job} was not run: {self.reason}"
        return f"{self.job} failed {'twice' if self.attempts > 1 else 'once'}: {self.reason}"
