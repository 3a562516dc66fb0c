"""Works of a few milliseconds, in processes of their own, that write down when they ran."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import HarnessError
from harness.jobs.job import Done, NotStarted, Place, Stopped


@dataclass(frozen=True)
class Shell:
    """A shell script, in the job's folder; its status and signal are how it came out."""

    script: str

    def perform(self, place: Place) -> Done:
        place.folder.mkdir(parents=True)
        child = subprocess.Popen(["sh", "-c", self.script], cwd=place.folder)
        while True:
            try:
                status = child.wait(0.02)
                break
            except subprocess.TimeoutExpired:
                if place.stopped():
                    child.kill()
                    raise Stopped("told to end") from None
        if status < 0:
            return Done(False, f"killed by {signal.Signals(-status).name}")
        return Done(status == 0, "" if status == 0 else f"status {status}")


def noted(log: Path, name: str, seconds: float = 0.0) -> Shell:
    """Writes ``begin name`` and ``end name``, so many seconds apart."""
    return Shell(f"echo begin {name} >> {log}; sleep {seconds}; echo end {name} >> {log}")


@dataclass(frozen=True)
class Refused:
    """Raises this, before its first case or when it cannot go on."""

    message: str
    begun: bool = True

    def perform(self, place: Place) -> Done:
        raise (HarnessError if self.begun else NotStarted)(self.message)
