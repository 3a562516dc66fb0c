"""The task of most jobs: run pytest in one environment on a selection of cases, in a separate folder."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import msgspec
import pytest

from harness.core.option_parsing import arguments
from harness.core.options import Options
from harness.environments import Environment, resolve_one
from harness.environments.specs import LEGACY
from harness.jobs import child, lifeline
from harness.jobs.job import NotStarted, TaskResult, Workspace
from harness.jobs.journal import digest_of
from harness.jobs.progress import start_pytest
from harness.jobs.rerun import last_error
from harness.plugin.session import ARTIFACTS
from harness.records.files import read_run

_made: dict[str, Environment] = {}
_making = threading.Lock()


class Suite(msgspec.Struct, frozen=True):
    """A selection of cases in one environment, with the environments whose files they load.

    Environments are given by name (``harness/environments``) and are made where the job runs.
    """

    environment: str
    options: Options = Options()
    """Which cases, which targets; not what depends on where it runs."""
    arguments: tuple[str, ...] = ("suites",)
    """pytest's others: paths relative to the checkout, and what is not this harness's."""
    producers: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    """Targets files, each by name and text; they are written where the job runs."""

    @property
    def store(self) -> Path:
        """Where the run keeps its artifacts."""
        return self.options.store_folder

    def perform(self, workspace: Workspace) -> TaskResult:
        """Run pytest to its end. Failing cases are findings; the job is done all the same.

        Raises:
            NotStarted: pytest left no records; has pytest's message.
            Stopped: the job was stopped, and pytest has ended.
            HarnessError: an environment cannot be made there.
        """
        clock = time.monotonic()
        here = environment(self.environment)
        workspace.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files:
            (workspace.folder / name).write_text(text)
        options = msgspec.structs.replace(
            self.options,
            folder=str(workspace.folder),
            python=here.python,
            paddle_profile=here.profile,
            producers=(*self.options.producers, *map(producer_of, map(environment, self.producers))),
            targets_file=(
                *(str(workspace.folder / name) for name, _ in self.files),
                *self.options.targets_file,
            ),
        )
        named = [*self.arguments, *arguments(options), "-p", lifeline.__name__]
        if not {"-n", "--numprocesses", "no:xdist"} & {text.partition("=")[0] for text in self.arguments}:
            named += ["-n", str(workspace.lanes)]
        process, _ = start_pytest(workspace.root, workspace.folder, named, child.variables())
        status = child.followed(process, workspace)
        return msgspec.structs.replace(_done(workspace.folder, status), seconds=time.monotonic() - clock)


def _done(folder: Path, status: int) -> TaskResult:
    records = folder / "records.jsonl"
    if not records.exists():
        if status == pytest.ExitCode.NO_TESTS_COLLECTED:
            return TaskResult(reason="no case was selected")
        if status < 0:
            return TaskResult(False, f"{child.ended_how(status)} before its first case")
        raise NotStarted(last_error((folder / "pytest.log").read_text(errors="replace")))
    run = read_run(folder)
    if run.footer is None:
        so_far = f"{len(run.records)} of {run.header.selected} cases"
        return TaskResult(False, f"{child.ended_how(status)} after {so_far}")
    try:
        keys = msgspec.json.decode((folder / ARTIFACTS).read_bytes(), type=tuple[str, ...])
    except (OSError, msgspec.MsgspecError):
        keys = ()
    return TaskResult(records=digest_of(records), artifacts=keys)


def environment(text: str) -> Environment:
    """Return the environment of that name on this machine, made if necessary; cached in this process.

    Raises:
        HarnessError: it cannot be made.
    """
    with _making:  # not everything that finds an interpreter is safe in several threads at once
        if text not in _made:
            _made[text] = resolve_one(text)
        return _made[text]


def text_of(known: Environment) -> str:
    """Return the text that names an environment in this process."""
    suffix = LEGACY if known.asked.endswith(LEGACY) else ""
    text = known.asked if known.managed else known.python + suffix
    if text.removesuffix(LEGACY).endswith(".whl") and "://" not in text:
        text = os.path.abspath(os.path.expanduser(text.removesuffix(LEGACY))) + suffix
    _made.setdefault(text, known)
    return text


def producer_of(known: Environment) -> str:
    """The value of ``--producer`` for an environment whose files are loaded."""
    return producer_text(known.name, known.python, known.profile)


def producer_text(name: str, python: str, profile: str) -> str:
    """``NAME=PYTHON``, with the profile behind it where that is not the default."""
    return f"{name}={python}" + ("" if profile == "default" else f"@{profile}")
