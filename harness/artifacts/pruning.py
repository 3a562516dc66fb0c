"""What of a store can be removed: artifacts, remembered failures, and what killed processes left.

An artifact was used when its ``manifest.json`` was last modified: the store sets that time at each use.
A remembered failure counts from when it was met. While sessions use the store, everything that was used
since the first of them began stays.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from filelock import FileLock

from harness.artifacts.store import IN_USE, Manifest
from harness.core.disk import Kept, size, unheld
from harness.core.errors import HarnessError, UsageError

ENTRY = re.compile(r"\.?([0-9a-f]{32})(\.part-\w+|\.failed(?:\.\w+)?)?")
"""Names in a store but for locks: an artifact, one being made or removed, a remembered failure."""


def kept(root: Path) -> list[Kept]:
    """Everything in the store ``root`` that can be removed; nothing if the folder is missing or empty.

    Raises:
        UsageError: the folder is not a store.
        HarnessError: it cannot be read.
    """
    try:
        names = sorted(os.listdir(root)) if root.exists() else []
        if names and IN_USE not in names and not any(_is_artifact(root / name) for name in names):
            raise UsageError(f"{root} is not a store of this harness, so nothing in it is removed: name one")
        return list(_kept(root, names))
    except OSError as error:
        raise HarnessError(f"the store {root} cannot be read ({error.strerror}): name another one") from error


def _kept(root: Path, names: Iterable[str]) -> Iterator[Kept]:
    seen: set[tuple[int, int]] = set()
    for name in names:
        match = ENTRY.fullmatch(name)
        path = root / name
        if match is None or path.is_symlink():
            continue
        try:
            if match[2] is None:
                yield Kept(path, "artifact", size(path, seen), _used(path))
            elif match[2] == ".failed":
                yield Kept(path, "failure", size(path, seen), _used(path))
            else:
                yield Kept(path, "leftover", size(path, seen), 0)
        except FileNotFoundError:
            continue  # a session finished or removed it meanwhile


def _is_artifact(path: Path) -> bool:
    try:
        manifest = msgspec.json.decode((path / "manifest.json").read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return False
    return manifest.key == path.name


def _used(path: Path) -> float:
    """Seconds since the epoch; of a damaged artifact, which has no manifest, the folder's own time."""
    manifest = path / "manifest.json"
    return (manifest if manifest.exists() else path).stat().st_mtime


def remove(root: Path, going: Iterable[Kept]) -> list[Kept]:
    """Remove these from the store ``root``; what was, without what a running session uses.

    Raises:
        HarnessError: one of them cannot be removed.
    """
    lock = root / IN_USE
    try:
        lock.open("ab").close()
        with unheld(lock) as free:
            since = float("inf") if free else lock.stat().st_mtime
            removed = [one for one in going if one.used < since and _remove(root, one)]
            if free:  # a session that begins now waits, so no lock of these is waited for
                for path in root.glob("*.lock"):
                    if path.name != IN_USE and not path.with_suffix("").exists():
                        path.unlink()
        return removed
    except OSError as error:
        raise HarnessError(f"cannot remove from the store {root} ({error}): remove it by hand") from error


def _remove(root: Path, one: Kept) -> bool:
    """Remove one under the lock of its key; False if it is being made, was used again, or is gone."""
    match = ENTRY.fullmatch(one.path.name)
    assert match is not None
    try:
        with FileLock(root / f"{match[1]}.lock", timeout=0):
            if one.used and _used(one.path) != one.used:
                return False
            if one.path.is_dir():
                # Out of sight in one step: half an artifact would look like a damaged one.
                gone = tempfile.mkdtemp(prefix=f"{match[1]}.part-", dir=root)
                os.replace(one.path, gone)
                shutil.rmtree(gone)
            else:
                one.path.unlink()
    except (TimeoutError, FileNotFoundError):
        return False
    return True
