"""A run and a case of it found by name, and the case run again through pytest with the run's options."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.errors import HarnessError
from harness.records import Run, read_run
from harness.types import Record

if TYPE_CHECKING:
    from harness.options import Options

ROOT = Path(__file__).resolve().parent.parent
"""The checkout that this is imported from."""
RUNS = "reports"
MOST_CANDIDATES = 8
FLAGS = {"producers": "--from"}
"""Options whose flag is not their field's name."""
REPEATED = ("targets_file", "producers", "model")
"""Options given once for each value."""


def project_root(start: Path | None = None) -> Path:
    """The folder with ``suites/``: here or above, else the checkout the harness is imported from.

    Raises:
        HarnessError: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, ROOT):
        if (folder / "suites").is_dir():
            return folder
    raise HarnessError(f"no suites/ folder in {here} or above it: run this in the project's folder")


def new_folder(root: Path, *parts: str) -> Path:
    """A name for a new folder below ``reports/``."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return root.joinpath(RUNS, *parts, f"{stamp}-{os.getpid()}")


def open_run(name: str, root: Path) -> Run:
    """The run of that name: a folder, its ``records.jsonl``, or a name below ``reports/``.

    Raises:
        HarnessError: there is none; the newest there are.
    """
    for path in (Path(name), root / RUNS / name):
        if path.exists():
            return read_run(path.resolve())
    runs = sorted(
        path.parent.name for path in (root / RUNS).glob("*/records.jsonl") if path.parent.name != "latest"
    )
    there = f"the newest are {', '.join(runs[-3:])}" if runs else f"{root / RUNS} holds none yet"
    raise HarnessError(f"no run {name}: {there}")


def find_case(run: Run, wanted: str) -> Record:
    """The record whose case id is ``wanted``, or the only one that contains it.

    Raises:
        HarnessError: none or several do; which.
    """
    records = {record.case: record for record in run.records}
    if wanted in records:
        return records[wanted]
    found = [case for case in records if wanted in case]
    if len(found) == 1:
        return records[found[0]]
    if not found:
        raise HarnessError(
            f"no case of {run.header.run} contains {wanted!r}: see `harness report {run.header.run}`"
        )
    more = f" and {len(found) - MOST_CANDIDATES} more" if len(found) > MOST_CANDIDATES else ""
    raise HarnessError(f"{wanted!r} is in {len(found)} cases: {', '.join(found[:MOST_CANDIDATES])}{more}")


def options_of(run: Run) -> Options:
    """The options the run was started with.

    Raises:
        HarnessError: they are not of this harness's kind.
    """
    from harness.options import Options  # models and workers: what only finds a run does without

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
    command = [sys.executable, "-m", "pytest", nodeid, "-q", "-p", "no:cacheprovider", "--color=no"]
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
