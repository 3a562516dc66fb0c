"""Two releases timed in turns, as a job: a process of its own, on a machine that it has for itself.

As a module (``python -m harness.gate.timing FOLDER``) it is that process.
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
    """Baseline against candidate, for so many minutes at most. Environments are texts that name them."""

    environments: tuple[str, str]
    rule: Rule
    minutes: float
    own_store: str = ""
    """Where artifacts are kept ('': where that machine keeps them)."""

    @property
    def store(self) -> Path:
        """Where artifacts are kept."""
        return Path(self.own_store or default_store())

    def perform(self, workspace: Workspace) -> TaskResult:
        """Measure, and leave the outcome in the folder.

        Raises:
            Stopped: it was told to end, and has.
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
    """What a timing job has left.

    Raises:
        HarnessError: nothing that can be read.
    """
    try:
        return msgspec.json.decode((folder / OUTCOME).read_bytes(), type=Outcome)
    except (OSError, msgspec.MsgspecError) as error:
        raise HarnessError(f"the timing in {folder} left no outcome: {error}") from error


def main(folder: Path) -> None:
    """The process. A HarnessError is one sentence and status 1."""
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
