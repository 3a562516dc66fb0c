"""The work of jobs that are one of the harness's own commands, in a process and a folder of its own."""

from __future__ import annotations

import time

import msgspec

from harness.core.errors import UsageError
from harness.jobs import child
from harness.jobs.job import NotStarted, TaskResult, Workspace

PROCESS = "harness.cli.as_job"
"""Module that runs a command as a job's process."""
SAYS = "command.log"
"""File in the job's folder with all that the command printed."""


class Command(msgspec.Struct, frozen=True):
    """A command that takes ``--folder``. What it says of Paddle is in its files, not in its status."""

    arguments: tuple[str, ...]
    """Its name, arguments and options, which mean the same on every machine."""
    files: tuple[tuple[str, str], ...] = ()
    """What lies in the folder before it begins, by relative path and text."""

    def perform(self, workspace: Workspace) -> TaskResult:
        """Run it to its end.

        Raises:
            NotStarted: what it was asked for cannot be meant.
            Stopped: it was told to end, and has.
        """
        clock = time.monotonic()
        for name, text in self.files:
            path = workspace.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        workspace.folder.mkdir(parents=True, exist_ok=True)
        arguments = ["-m", PROCESS, *self.arguments, f"--folder={workspace.folder}"]
        status, last = child.run(arguments, workspace.folder / SAYS, workspace)
        if status == UsageError.exit_status:
            raise NotStarted(last)
        if status:
            return TaskResult(False, last if status > 0 else child.ended_how(status))
        return TaskResult(seconds=time.monotonic() - clock)
