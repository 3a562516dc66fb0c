"""What is kept on disk between runs: its size, when a run last used it, whether one uses it now.

*Used* is the modification time of one small file, set at each use. *In use* is a shared lock on a file,
which the operating system frees when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import msgspec

DAY_S = 24 * 60 * 60


class Kept(msgspec.Struct, frozen=True):
    """One thing that can be removed: a folder or a file."""

    path: Path
    kind: Literal["artifact", "environment", "failure", "leftover"]
    """``failure``: that a recipe failed; ``leftover``: what a killed process left half-made."""
    size: int
    """Bytes."""
    used: float
    """When a run last used it, in seconds since the epoch; 0 for a leftover."""


def hold(path: Path) -> IO[bytes]:
    """Declare a file in use until the returned one is closed: a shared lock. Waits for :func:`unheld`.

    Raises:
        OSError: it is not there.
    """
    file = path.open("rb")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


@contextmanager
def unheld(path: Path) -> Iterator[bool]:
    """Whether no process holds the file; if so, none can until the block ends.

    Raises:
        OSError: it is not there.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except OSError:
            free = False
        yield free


def size(path: Path, seen: set[tuple[int, int]]) -> int:
    """Bytes of a file, or of the files below a folder; a file with hard links counts once.

    Args:
        seen: device and inode of the files with hard links that were counted before; it grows.
    """
    if path.is_symlink() or not path.is_dir():
        return _size(path.lstat(), seen)
    total, folders = 0, [str(path)]
    while folders:
        with os.scandir(folders.pop()) as found:
            for entry in found:  # no Path for each: an environment has 20,000 files
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    total += _size(entry.stat(follow_symlinks=False), seen)
    return total


def _size(stat: os.stat_result, seen: set[tuple[int, int]]) -> int:
    if stat.st_nlink > 1:
        if (stat.st_dev, stat.st_ino) in seen:
            return 0
        seen.add((stat.st_dev, stat.st_ino))
    return stat.st_size


def shown(size: float) -> str:
    """A number of bytes for people: ``1.2 GiB``, ``3 MiB``."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**29 else f"{size / 2**20:.0f} MiB"


def to_remove(kept: Iterable[Kept], now: float, days: float, most: float) -> list[Kept]:
    """What was not used for so many days, then what was not used for longest until the rest fits.

    Args:
        now: seconds since the epoch.
        most: bytes that the rest may take.
    """
    by_use = sorted(kept, key=lambda one: one.used)
    left = sum(one.size for one in by_use)
    going = []
    for one in by_use:
        if now - one.used >= days * DAY_S or left > most:
            going.append(one)
            left -= one.size
    return going
