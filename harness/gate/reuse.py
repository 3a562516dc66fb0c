"""Reuse the baseline's run of an earlier gate where nothing that decides it has changed.

The same baseline is used again by the next push, the next nightly, or after a change of the policy. Its
records would be the same, so they are kept under a hash of all that decides them: the harness and its
suites, both environments, the arguments and the machine. The candidate is always run.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.hashing import key_of, sha256
from harness.core.options import Options
from harness.environments import Environment
from harness.environments.manifest import MANIFEST
from harness.records import sources
from harness.records.files import Run, read_run

LEFT_OUT = ("logs", "pytest.log")
"""Files that are not copied with a run."""


class _Entry(msgspec.Struct):
    folder: str


def key(environments: Sequence[Environment], options: Options, arguments: Sequence[str], root: Path) -> str:
    """Hash of what decides a baseline's run; '' where that cannot be known.

    It cannot for an interpreter that the harness did not make, whose packages may change in place,
    nor for models of the user's own and other files that the options name.
    """
    if (
        options.add_model
        or options.targets_file
        or not all(environment.managed for environment in environments)
    ):
        return ""
    manifests = [Path(environment.python).parent.parent / MANIFEST for environment in environments]
    try:
        made = [sha256(path) for path in manifests]
        machine = [
            line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")
        ]
    except OSError:
        return ""
    return key_of(
        {
            "sources": sources.digest(root),
            "environments": made,
            "profiles": [environment.profile for environment in environments],
            "options": msgspec.to_builtins(options),
            "arguments": list(arguments),
            "machine": [platform.platform(), os.cpu_count(), machine[:1]],
            "digits": sorted(str(p.name) for p in (Path.home() / ".cache/paddle/dataset/mnist").glob("*.gz")),
        }
    )


def _entry(store: Path, name: str) -> Path:
    return store / "runs" / f"{name}.json"


def remember(store: Path, name: str, run: Run) -> None:
    """Remember a finished run's folder; a run that did not end, or that has faults, is not kept."""
    if not name or run.footer is None or run.damaged or run.footer.problems:
        return
    path = _entry(store, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(_Entry(str(run.folder))))
    except OSError:
        return  # the next gate runs it again


def find(store: Path, name: str, into: Path) -> Run | None:
    """Copy the kept run to ``into`` and return it; None if there is none or it is not whole any more."""
    if not name:
        return None
    try:
        folder = Path(msgspec.json.decode(_entry(store, name).read_bytes(), type=_Entry).folder)
        run = read_run(folder)
        if run.footer is None or run.damaged or len(run.records) < run.footer.collected:
            return None
        shutil.copytree(folder, into, ignore=shutil.ignore_patterns(*LEFT_OUT))
        return read_run(into)
    except (OSError, msgspec.MsgspecError, HarnessError, shutil.Error):
        shutil.rmtree(into, ignore_errors=True)
        return None
