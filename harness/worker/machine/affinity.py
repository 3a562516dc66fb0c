"""On which processors a process's threads run; imports nothing that would start some."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import List, Optional, Sequence


def pin(cpus: Sequence[int]) -> List[int]:
    """Keep this process and its future threads on these processors; those it then has.

    Raises:
        OSError: the system refuses.
        AttributeError: it knows no such thing.
    """
    # Threads that an engine made at import are of this process too.
    for task in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(task), set(cpus))
    return sorted(os.sched_getaffinity(0))


def threads() -> List[List[int]]:
    """The processors of each thread of this process."""
    return [sorted(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")]


def send_away(cpus: Sequence[int], process: Optional[int] = None) -> None:
    """Keep all threads but the calling one, or of another process all but its first, on these processors.

    A session's threads start on the processor of the thread that opens it, and are timed with it: the
    predictor of Paddle 3.x has one that frees tensors, woken several times a run, which spins while it
    waits. On the same processor that is up to half of what a short run takes.
    """
    kept = process or threading.get_native_id()
    for task in os.listdir(f"/proc/{process or 'self'}/task"):
        if int(task) != kept:
            with contextlib.suppress(OSError):  # it has ended, or the system refuses: the spread tells
                os.sched_setaffinity(int(task), set(cpus))
