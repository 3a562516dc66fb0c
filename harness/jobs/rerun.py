"""Run a recorded case again, through pytest and with the options of its run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.extensions import located
from harness.core.option_parsing import arguments
from harness.core.options import Options
from harness.core.paths import INSTALLED, ROOT, new_folder
from harness.core.types import Record
from harness.records.files import Run, read_run


def options_of(run: Run) -> Options:
    """Return the options with which the run was started.

    Raises:
        HarnessError: this harness does not know them.
    """
    try:
        return msgspec.convert({**run.header.options, "folder": ""}, Options)
    except msgspec.ValidationError as error:
        raise HarnessError(f"the options of {run.header.run} cannot be used again: {error}") from error


def run_again(run: Run, record: Record, root: Path) -> tuple[int, Record | None]:
    """Run this check alone, with the run's options; return pytest's exit status and the new record.

    Raises:
        HarnessError: pytest left no records; has pytest's message.
    """
    folder = new_folder(root, "reruns")
    options = msgspec.structs.replace(options_of(run), folder=str(folder), retry_failed=True)
    return run_alone(record.nodeid, record.own_case, options, root)


def run_alone(
    nodeid: str, case: str, options: Options, root: Path, more: Sequence[str] = ()
) -> tuple[int, Record | None]:
    """Run one check in a pytest of its own, in the options' folder: its exit status, and the case's record.

    Args:
        more: pytest's other arguments.

    Raises:
        HarnessError: pytest left no records; has pytest's message.
    """
    folder = Path(options.folder)
    command = pytest_command(root, located(nodeid), "-q", *more, *arguments(options))
    done = subprocess.run(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if not (folder / "records.jsonl").exists():
        shutil.rmtree(folder, ignore_errors=True)
        raise HarnessError(f"{case} could not be run: {last_error(done.stdout)}")
    records = {found.case: found for found in read_run(folder).records}
    return done.returncode, records.get(case)


def pytest_command(root: Path, *arguments: str) -> list[str]:
    """The command for suites that lie in ``root``: installed ones heed no project around them."""
    # No conftest.py above an extension's suites loads the plugin.
    command = [sys.executable, "-m", "pytest", "-p", "harness.plugin", "-p", "no:cacheprovider"]
    command += ["--color=no", f"--rootdir={root}"]
    if INSTALLED and root == ROOT:
        command += [f"--config-file={os.devnull}", f"--confcutdir={root}"]
    return [*command, *arguments]


def last_error(text: str) -> str:
    """Return pytest's message on why it did not run."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # Of arguments that it does not know pytest says so behind its usage, in another way.
    errors = [
        line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ") and "usage:" not in line
    ] or [line.partition(": error: ")[2] for line in lines if ": error: " in line]
    return (errors or lines or ["pytest printed nothing"])[-1]
