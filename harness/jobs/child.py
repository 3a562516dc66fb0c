"""A task's process: it ends when the job is stopped, or when its parent process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.jobs.job import Stopped, Workspace
from harness.jobs.lifeline import PARENT
from harness.jobs.progress import POLL_S, end_pytest, start


def variables() -> dict[str, str]:
    """Return the environment variables by which the process watches its parent."""
    return {PARENT: str(os.getpid())}


def run(arguments: Sequence[str], log: Path, workspace: Workspace) -> tuple[int, str]:
    """Run a Python process of a work in the checkout to its end; its exit status, and its last line.

    What it prints goes into ``log``; where it prints nothing, the line says how it ended.

    Raises:
        Stopped: the job was told to end.
    """
    process = start([sys.executable, *arguments], workspace.root, log, variables())
    status = followed(process, workspace)
    said = log.read_text(errors="replace").strip().splitlines() or [ended_how(status)]
    return status, said[-1]


def followed(child: subprocess.Popen[bytes], workspace: Workspace) -> int:
    """Wait for the process and return its exit status; end it in order if the job is stopped.

    Raises:
        Stopped: the job was stopped.
    """
    try:
        while True:
            try:
                return child.wait(POLL_S)
            except subprocess.TimeoutExpired:
                if workspace.stopped():
                    raise Stopped(f"the process in {workspace.folder} was stopped") from None
    except BaseException:
        end_pytest(child)
        raise


def ended_how(status: int) -> str:
    """Describe an exit status: ``killed by SIGKILL``, ``ended with status 2``."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
