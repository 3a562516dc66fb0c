"""The job that times two releases in turns: a separate process that has a machine to itself.

``python -m harness.gate.timing FOLDER`` is that process.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from harness.core.choices import default_store
from harness.core.errors import HarnessError
from harness.core.files import write_whole
from harness.gate import speed
from harness.jobs import child, lifeline
from harness.jobs.job import TaskResult, Workspace
from harness.jobs.suites import environment
from harness.jobs.watch import SAID
from harness.speed.decide import Rule
from harness.speed.session import Outcome

WORK, OUTCOME = "work.json", "outcome.json"


class Timing(msgspec.Struct, frozen=True):
    """Baseline against candidate, for at most so many minutes. Environments are given by name."""

    environments: tuple[str, str]
    rule: Rule
    minutes: float
    own_store: str = ""
    """Artifact store ('': the default of the machine that runs the job)."""

    @property
    def store(self) -> Path:
        """The artifact store."""
        return Path(self.own_store or default_store())

    def perform(self, workspace: Workspace) -> TaskResult:
        """Measure, and write the outcome into the folder.

        Raises:
            Stopped: the process was asked to stop, and has ended.
        """
        clock = time.monotonic()
        workspace.folder.mkdir(parents=True)
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
            store = str(work.store)
            outcome = speed.timed(sides, work.rule, work.minutes, store, folder, Path.cwd(), tell)
        except HarnessError as error:
            sys.exit(str(error))
    write_whole(folder / OUTCOME, msgspec.json.encode(outcome), "the outcome of the timing")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
