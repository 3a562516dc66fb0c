"""What of a store is removed, and what stays: by last use, by size, and while a session runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import child_environment
from harness.artifacts import pruning
from harness.artifacts.failure_cache import FailureCache
from harness.artifacts.store import IN_USE, Store
from harness.core.disk import DAY_S, Kept, shown, size, to_remove
from harness.core.errors import UsageError
from harness.core.types import RemoteFailure
from harness.pool.workers import RemoteError

DAYS = 30


def write(folder: Path) -> Mapping[str, Any]:
    (folder / "weights").write_bytes(bytes(1000))
    return {}


def artifact(root: Path, name: str, days: float = 0) -> Path:
    """An artifact that was last used so many days ago."""
    path = Store(root).get_or_make({"recipe": name}, write).path
    then = time.time() - days * DAY_S
    os.utime(path / "manifest.json", (then, then))
    return path


def prune(root: Path, days: float = DAYS, most: float = float("inf")) -> list[str]:
    """Kinds of what was removed."""
    going = to_remove(pruning.kept(root), time.time(), days, most)
    return [one.kind for one in pruning.remove(root, going)]


def left(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.name != IN_USE)


def test_what_was_not_used_for_so_long_goes(tmp_path: Path) -> None:
    old, new = artifact(tmp_path, "old", 31), artifact(tmp_path, "new", 29)
    assert prune(tmp_path) == ["artifact"]
    assert not old.exists()
    assert left(tmp_path) == [new, new.with_suffix(".lock")], "the lock of what is gone goes too"
    assert prune(tmp_path) == []


def test_use_makes_young(tmp_path: Path) -> None:
    path = artifact(tmp_path, "old", 31)
    assert Store(tmp_path).get_or_make({"recipe": "old"}, write).path == path
    assert prune(tmp_path) == []
    assert path.is_dir()


def test_least_recently_used_goes_until_the_rest_fits(tmp_path: Path) -> None:
    paths = [artifact(tmp_path, f"model {days}", days) for days in (1, 3, 2)]
    total = sum(one.size for one in pruning.kept(tmp_path))
    assert prune(tmp_path, most=total) == []
    assert prune(tmp_path, most=total - 1) == ["artifact"]
    assert [path.exists() for path in paths] == [True, False, True]
    assert prune(tmp_path, most=0) == ["artifact"] * 2


def test_failures_age_and_leftovers_go_at_once(tmp_path: Path) -> None:
    kept = artifact(tmp_path, "kept")
    notes = FailureCache(tmp_path)
    end = RemoteError("recipes.produce", RemoteFailure("TypeError", "no", "Traceback …", "", "log"))
    for key, days in (("a" * 32, 31), ("b" * 32, 29)):
        notes.note(key, end)
        then = time.time() - days * DAY_S
        os.utime(tmp_path / f"{key}.failed", (then, then))
    part = tmp_path / f"{'c' * 32}.part-x1"
    part.mkdir()
    (part / "half").write_text("half")
    (tmp_path / f".{'d' * 32}.failed.x1").write_text("{")
    assert sorted(prune(tmp_path)) == ["failure", "leftover", "leftover"]
    assert left(tmp_path) == sorted([kept, kept.with_suffix(".lock"), tmp_path / f"{'b' * 32}.failed"])


SESSION = """
import pathlib, sys
from harness.artifacts.store import Store

def make(folder):
    if sys.argv[2] == "making":
        print("ready", flush=True)
        sys.stdin.readline()
    return {}

store = Store(pathlib.Path(sys.argv[1]))
store.get_or_make({"recipe": sys.argv[2]}, make)
print("ready", flush=True)
sys.stdin.readline()
"""


def session(root: Path, recipe: str) -> subprocess.Popen[str]:
    """Another process that uses, or is making, an artifact until a line is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", SESSION, str(root), recipe],
        env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_running_session_keeps_what_it_uses_and_nothing_else(tmp_path: Path) -> None:
    mine, other = artifact(tmp_path, "used", 31), artifact(tmp_path, "other", 1)
    process = session(tmp_path, "used")
    kept = pruning.kept(tmp_path)
    assert prune(tmp_path, days=0) == ["artifact"]
    assert (mine.exists(), other.exists()) == (True, False)
    assert mine.with_suffix(".lock").exists(), "a session may wait for it"
    process.communicate("end\n", timeout=30)
    assert process.returncode == 0
    old = [one for one in kept if one.path == mine]
    os.utime(mine / "manifest.json")
    assert pruning.remove(tmp_path, old) == [], "used again since it was looked at"
    assert "artifact" in prune(tmp_path, days=0)
    assert not mine.exists()


def test_a_killed_session_keeps_nothing(tmp_path: Path) -> None:
    process = session(tmp_path, "used")
    process.kill()
    process.wait()
    assert "artifact" in prune(tmp_path, days=0)
    assert left(tmp_path) == []


def test_what_is_being_made_stays(tmp_path: Path) -> None:
    process = session(tmp_path, "making")
    assert [one.kind for one in pruning.kept(tmp_path)] == ["leftover"]
    assert prune(tmp_path, days=0) == []
    process.communicate("go on\nend\n", timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["notes.txt", "0123456789abcdef0123456789abcdef"])
def test_a_folder_that_is_no_store_is_refused(tmp_path: Path, name: str) -> None:
    """A folder of 32 hexadecimal digits is in many caches."""
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="is not a store of this harness"):
        pruning.kept(tmp_path)
    assert (tmp_path / name).is_dir()
    assert pruning.kept(tmp_path / name) == [], "an empty folder has nothing to remove"


def test_other_files_in_a_store_stay_and_links_are_not_followed(tmp_path: Path) -> None:
    root, target = tmp_path / "store", artifact(tmp_path / "elsewhere", "target", 99)
    artifact(root, "old", 99)
    (root / "notes.txt").write_text("")
    (root / target.name).symlink_to(target)
    assert prune(root, days=0) == ["artifact"]
    assert left(root) == sorted([root / "notes.txt", root / target.name])
    assert (target / "weights").exists()


def test_a_hard_link_counts_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "one").write_bytes(bytes(5000))
    os.link(tmp_path / "one", tmp_path / "deep" / "two")
    (tmp_path / "deep" / "three").write_bytes(bytes(70))
    (tmp_path / "link").symlink_to("one")
    assert size(tmp_path, set()) == 5000 + 70 + len("one")


def test_sizes_are_in_bytes_and_days_in_days() -> None:
    kept = [Kept(Path(str(day)), "artifact", 10, -day * DAY_S) for day in range(5)]
    assert [one.path.name for one in to_remove(kept, 0, 3, 100)] == ["4", "3"]
    assert [one.path.name for one in to_remove(kept, 0, 99, 20)] == ["4", "3", "2"]
    assert [shown(size) for size in (0, 3 * 2**20, 2**29, 2**40)] == [
        "0 MiB",
        "3 MiB",
        "0.5 GiB",
        "1024.0 GiB",
    ]
