"""A recorded case run again: through pytest, with the options of its run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.extensions import located
from harness.core.paths import new_folder
from harness.core.types import Record
from harness.plugin.options import Options
from harness.records.files import Run, read_run

FLAGS = {"producers": "--from"}
"""Options whose flag is not their field's name."""
REPEATED = ("targets_file", "producers", "model")
"""Options given once for each value."""


def options_of(run: Run) -> Options:
    """The options the run was started with.

    Raises:
        HarnessError: they are not of this harness's kind.
    """
    try:
        return msgspec.convert({**run.header.options, "run_folder": ""}, Options)
    except msgspec.ValidationError as error:
        raise HarnessError(f"the options of {run.header.run} cannot be used again: {error}") from error


def arguments(options: Options) -> list[str]:
    """pytest arguments that give these options."""
    default = type(options)()
    found = []
    for name in default.__struct_fields__:
        value = getattr(options, name)
        if value == getattr(default, name):
            continue
        flag = FLAGS.get(name) or "--" + name.replace("_", "-")
        if name in REPEATED:
            found += [f"{flag}={file}" for file in value]
        elif isinstance(value, bool):
            found.append(flag)
        else:
            found.append(f"{flag}={','.join(value) if isinstance(value, tuple) else value}")
    return found


def run_again(run: Run, record: Record, root: Path) -> tuple[int, Record | None]:
    """Run this check alone, with the run's options: pytest's exit status, and the new record.

    Raises:
        HarnessError: pytest left no records; its own words.
    """
    folder = new_folder(root, "reruns")
    options = msgspec.structs.replace(options_of(run), run_folder=str(folder), again=True)
    return run_alone(record.nodeid, record.own_case, arguments(options), folder, root)


def run_alone(
    nodeid: str, case: str, options: list[str], folder: Path, root: Path
) -> tuple[int, Record | None]:
    """Run one check in a pytest of its own: its exit status, and the record of ``case``.

    Args:
        options: pytest arguments; ``--run-folder=folder`` is one of them.

    Raises:
        HarnessError: pytest left no records; its own words.
    """
    command = [
        sys.executable,
        "-m",
        "pytest",
        located(nodeid),
        "-q",
        # No conftest.py above an extension's suites loads it.
        "-p",
        "harness.plugin",
        "-p",
        "no:cacheprovider",
        "--color=no",
        f"--rootdir={root}",
    ]
    done = subprocess.run(
        [*command, *options], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    if not (folder / "records.jsonl").exists():
        shutil.rmtree(folder, ignore_errors=True)
        raise HarnessError(f"{case} could not be run: {last_error(done.stdout)}")
    records = {found.case: found for found in read_run(folder).records}
    return done.returncode, records.get(case)


def last_error(text: str) -> str:
    """pytest's own word on why it did not run."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pytest printed nothing"])[-1]
