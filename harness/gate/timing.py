"""The job that times two releases in turns: a separate process that has a machine to itself.

``python -m harness.gate.timing FOLDER`` is that process.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.files import write_whole
from harness.core.options import Options
from harness.gate import speed
from harness.jobs import child, lifeline
from harness.jobs.job import TaskResult, Workspace
from harness.jobs.suites import environment
from harness.jobs.watch import SAID
from harness.speed.session import Outcome, Rules

WORK, OUTCOME = "work.json", "outcome.json"


class Timing(msgspec.Struct, frozen=True):
    """Baseline against candidate, for at most so many minutes. Environments are given by name."""

    environments: tuple[str, str]
    rules: Rules
    minutes: float
    options: Options = Options()
    """Which models, which targets, and the artifact store."""
    files: tuple[tuple[str, str], ...] = ()
    """Targets files, each by name and text; they are written where the job runs."""

    @property
    def store(self) -> Path:
        """The artifact store."""
        return self.options.store_folder

    def perform(self, workspace: Workspace) -> TaskResult:
        """Measure, and write the outcome into the folder.

        Raises:
            Stopped: the process was asked to stop, and has ended.
        """
        clock = time.monotonic()
        workspace.folder.mkdir(parents=True)
        for name, text in self.files:
            (workspace.folder / name).write_text(text)
        write_whole(workspace.folder / WORK, msgspec.json.encode(self), "the timing job")
        arguments = ["-m", __name__, str(workspace.folder)]
        status, last = child.run(arguments, workspace.folder / "timing.log", workspace)
        if status:
            return TaskResult(False, last)
        return TaskResult(seconds=time.monotonic() - clock)


def outcome_in(folder: Path) -> Outcome:
    """Read the outcome of a timing job.

    Raises:
        HarnessError: there is none that can be read.
    """
    try:
        return msgspec.json.decode((folder / OUTCOME).read_bytes(), type=Outcome)
    except (OSError, msgspec.MsgspecError) as error:
        raise HarnessError(f"the timing in {folder} left no outcome: {error}") from error


def main(folder: Path) -> None:
    """Run the job's process. A HarnessError prints one sentence and gives exit status 1."""
    lifeline.hold()
    work = msgspec.json.decode((folder / WORK).read_bytes(), type=Timing)
    with (folder / SAID).open("a") as said:

        def tell(text: str) -> None:
            said.write(f"speed, {text}\n")
            said.flush()

        try:
            sides = [environment(text) for text in work.environments]
            options = msgspec.structs.replace(
                work.options,
                folder=str(folder),
                targets_file=(*(str(folder / name) for name, _ in work.files), *work.options.targets_file),
            )
            outcome = speed.timed(sides, work.rules, work.minutes, options, Path.cwd(), tell)
        except HarnessError as error:
            sys.exit(str(error))
    write_whole(folder / OUTCOME, msgspec.json.encode(outcome), "the outcome of the timing")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
