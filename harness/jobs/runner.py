"""Run a command's jobs: its journal, and its backend, which is opened when there is something to run."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console

from harness.core.errors import HarnessError
from harness.jobs.backend import Backend, Settings, open_backend
from harness.jobs.drive import Drive
from harness.jobs.job import Job, JobResult
from harness.jobs.journal import Journal
from harness.jobs.progress import signals_interrupt
from harness.jobs.watch import Watch


class Interrupted(HarnessError):
    """The user interrupted the command."""

    exit_status = 128 + signal.SIGINT


class Runner:
    """A context manager; if it exits without an exception, it closes the folder's journal for good.

    Args:
        store: the controller's artifact store, which receives what other machines made.
    """

    def __init__(self, settings: Settings, root: Path, folder: Path, store: Path, console: Console) -> None:
        self.settings, self.root, self.folder, self.store = settings, root, folder, store
        self.console = console
        self.journal = Journal(folder)
        self._backend: Backend | None = None

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._backend is not None:
            self._backend.close()
        self.journal.close(whole=kind is None)

    def run(self, jobs: Sequence[Job]) -> dict[str, JobResult]:
        """Run the jobs that have not finished before; return all results by name.

        Raises:
            HarnessError: the arguments are invalid, or no backend answers.
            Interrupted: the user interrupted it; the runs are closed in order first.
        """
        if not jobs:
            return {}
        if self._backend is None:
            self._backend = open_backend(self.settings, self.root, self.store)
        try:
            with signals_interrupt(), Watch(self.console) as watch:
                return Drive(jobs, self._backend, self.folder, self.journal, watch).run()
        except KeyboardInterrupt:
            self._backend.close()
            raise Interrupted(
                f"interrupted; what the runs have found is in {self.folder}: to continue, give the same "
                "command with --folder and that folder"
            ) from None
