"""Memory of a process whose speed is compared: how its allocator behaves, and which libraries it maps."""

from __future__ import annotations

import ctypes
import os
from typing import List

LIBRARY_BYTES = 1 << 20
"""Smaller libraries are not listed."""
_MMAP_MAX, _TRIM_THRESHOLD = -4, -1
"""Parameters of glibc's ``mallopt`` (malloc.h)."""
_MOST = 2**31 - 1


def keep() -> bool:
    """Have glibc keep freed memory; return whether it does. Child processes do the same.

    Otherwise a session returns its memory to the system after every run and faults it in again, or does
    not, depending on how its heap happens to lie: the same run takes 2.3 or 3.4 ms.
    """
    os.environ.update({"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(_MOST)})
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False  # another C library
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _MOST))


def libraries() -> List[str]:
    """Return the paths of the shared libraries that this process has mapped."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        paths = {line.split(maxsplit=5)[-1].rstrip("\n") for line in file if ".so" in line}
    return sorted(path for path in paths if os.path.isfile(path) and os.path.getsize(path) >= LIBRARY_BYTES)


def resident() -> float:
    """Return the resident memory of this process, MiB."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
