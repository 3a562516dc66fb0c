"""Which environments are removed for not being used: by their mark, and not while a session runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from filelock import FileLock

from conftest import child_environment
from harness.core.disk import DAY_S
from harness.environments import managed
from harness.environments.manifest import MANIFEST, Manifest, Recipe


def environment(root: Path, label: str, days: float = 0) -> Path:
    """A folder that says it is an environment, last used so many days ago."""
    recipe = Recipe(label, "release", label, (f"paddlepaddle=={label}",), "3.11.7")
    path = root / recipe.folder
    path.mkdir(parents=True)
    manifest = Manifest(recipe, {"paddlepaddle": label}, 2**30, "2026-01-01T00:00:00Z", 60.0)
    (path / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    then = time.time() - days * DAY_S
    os.utime(path / MANIFEST, (then, then))
    return path


def removed(root: Path) -> list[str]:
    return sorted(one.path.name for one in managed.kept(root) if managed.remove_unused(one))


def test_only_what_this_harness_made_is_kept_track_of(tmp_path: Path) -> None:
    path, target = environment(tmp_path, "3.3.1", 5), environment(tmp_path / "elsewhere", "3.3.0")
    (tmp_path / "paddle-mine-py3.11-0").mkdir()
    (tmp_path / ".part-mine").mkdir()
    (tmp_path / target.name).symlink_to(target)
    part = tmp_path / f".part-{path.name}-x1"
    part.mkdir()
    (one, leftover) = managed.kept(tmp_path)
    assert (one.path, one.kind, one.size) == (path, "environment", 2**30)
    assert time.time() - one.used == pytest.approx(5 * DAY_S, abs=60)
    assert (leftover.path, leftover.kind, leftover.used) == (part, "leftover", 0)
    assert removed(tmp_path) == sorted([part.name, path.name])
    left = sorted(entry.name for entry in tmp_path.iterdir() if entry.suffix != ".lock")
    assert left == [".part-mine", "elsewhere", target.name, "paddle-mine-py3.11-0"]
    assert (target / MANIFEST).exists(), "a link is not followed"


def test_what_is_being_made_stays(tmp_path: Path) -> None:
    (tmp_path / ".part-paddle-3.3.1-py3.11-0-x1").mkdir()
    with FileLock(tmp_path / ".paddle-3.3.1-py3.11-0.lock"):
        assert removed(tmp_path) == []
    assert removed(tmp_path) == [".part-paddle-3.3.1-py3.11-0-x1"]


USER = """
import sys
from pathlib import Path
from harness.environments import managed

managed.use(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
"""


def test_use_makes_young_and_a_running_session_keeps(tmp_path: Path) -> None:
    path = environment(tmp_path, "3.3.1", 99)
    other = environment(tmp_path, "3.3.0", 99)
    (before,) = (one for one in managed.kept(tmp_path) if one.path == path)
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(path)],
        env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert removed(tmp_path) == [other.name]
    process.communicate("end\n", timeout=30)
    assert time.time() - (path / MANIFEST).stat().st_mtime < DAY_S
    assert not managed.remove_unused(before), "used since it was looked at"
    assert removed(tmp_path) == [path.name]


def test_a_file_of_that_name_elsewhere_is_not_touched(tmp_path: Path) -> None:
    """Any interpreter's folder is asked, and ``environment.json`` may be somebody's."""
    (tmp_path / MANIFEST).write_text("{}")
    os.utime(tmp_path / MANIFEST, (1, 1))
    managed.use(tmp_path)
    assert (tmp_path / MANIFEST).stat().st_mtime == 1
