"""A work's process: it ends when it is told to, and with who started it."""

from __future__ import annotations

import os
import signal
import subprocess

from harness.jobs.job import Stopped, Workspace
from harness.jobs.lifeline import PARENT
from harness.jobs.progress import POLL_S, end_pytest


def variables() -> dict[str, str]:
    """What the process is to have in its environment, for its lifeline."""
    return {PARENT: str(os.getpid())}


def followed(child: subprocess.Popen[bytes], workspace: Workspace) -> int:
    """Its exit status, once it has ended; it is ended in order if the job is told to end.

    Raises:
        Stopped: the job was told to end.
    """
    try:
        while True:
            try:
                return child.wait(POLL_S)
            except subprocess.TimeoutExpired:
                if workspace.stopped():
                    raise Stopped(f"the process in {workspace.folder} was told to end") from None
    except BaseException:
        end_pytest(child)
        raise


def ended_how(status: int) -> str:
    """``killed by SIGKILL``, ``ended with status 2``."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
