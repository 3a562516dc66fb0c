"""The task that runs one of the harness's commands, in a separate process and folder."""

from __future__ import annotations

import time

import msgspec

from harness.core.errors import UsageError
from harness.core.files import write_files
from harness.jobs import child
from harness.jobs.job import NotStarted, TaskResult, Workspace

PROCESS = "harness.cli.as_job"
"""Module that runs a command as a job's process."""
SAYS = "command.log"
"""File in the job's folder with the command's output."""


class Command(msgspec.Struct, frozen=True):
    """A command that takes ``--folder``. Its verdict on Paddle is in its files, not in its exit status."""

    arguments: tuple[str, ...]
    """Name, arguments and options, which must mean the same on every machine."""
    files: tuple[tuple[str, str], ...] = ()
    """Files to put into the folder before the start, by relative path and text."""

    def perform(self, workspace: Workspace) -> TaskResult:
        """Run the command to its end.

        Raises:
            NotStarted: its arguments are invalid.
            Stopped: the job was stopped, and the command has ended.
        """
        clock = time.monotonic()
        write_files(workspace.folder, {name: text.encode() for name, text in self.files})
        workspace.folder.mkdir(parents=True, exist_ok=True)
        arguments = ["-m", PROCESS, *self.arguments, f"--folder={workspace.folder}"]
        status, last = child.run(arguments, workspace.folder / SAYS, workspace)
        if status == UsageError.exit_status:
            raise NotStarted(last)
        if status:
            return TaskResult(False, last if status > 0 else child.ended_how(status))
        return TaskResult(seconds=time.monotonic() - clock)
