"""Works of a few milliseconds, in processes of their own, that write down when they ran."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import HarnessError
from harness.jobs.job import NotStarted, Stopped, TaskResult, Workspace


@dataclass(frozen=True)
class Shell:
    """A shell script, in the job's folder; its status and signal are how it came out."""

    script: str

    def perform(self, workspace: Workspace) -> TaskResult:
        workspace.folder.mkdir(parents=True)
        child = subprocess.Popen(["sh", "-c", self.script], cwd=workspace.folder)
        while True:
            try:
                status = child.wait(0.02)
                break
            except subprocess.TimeoutExpired:
                if workspace.stopped():
                    child.kill()
                    raise Stopped("told to end") from None
        if status < 0:
            return TaskResult(False, f"killed by {signal.Signals(-status).name}")
        return TaskResult(status == 0, "" if status == 0 else f"status {status}")


def noted(log: Path, name: str, seconds: float = 0.0) -> Shell:
    """Writes ``begin name`` and ``end name``, so many seconds apart."""
    return Shell(f"echo begin {name} >> {log}; sleep {seconds}; echo end {name} >> {log}")


@dataclass(frozen=True)
class Refused:
    """Raises this, before its first case or when it cannot go on."""

    message: str
    begun: bool = True

    def perform(self, workspace: Workspace) -> TaskResult:
        raise (HarnessError if self.begun else NotStarted)(self.message)
