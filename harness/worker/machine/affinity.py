"""On which processors a process's threads run; imports nothing that starts threads."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import List, Optional, Sequence


def pin(cpus: Sequence[int]) -> List[int]:
    """Keep this process and its future threads on these processors; return the processors it then has.

    Raises:
        OSError: the system refuses.
        AttributeError: the system has no such call.
    """
    # Threads that an engine started at import belong to this process too.
    for task in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(task), set(cpus))
    return sorted(os.sched_getaffinity(0))


def threads() -> List[List[int]]:
    """Return the processors of each thread of this process."""
    return [sorted(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")]


def send_away(cpus: Sequence[int], process: Optional[int] = None) -> None:
    """Keep all threads except the calling one (in another process: except its first) on these processors.

    A session's threads start on the processor of the thread that opens it, and are timed with it: the
    predictor of Paddle 3.x has a thread that frees tensors. It wakes several times a run and spins while
    it waits. On the same processor that takes up to half of a short run's time.
    """
    kept = process or threading.get_native_id()
    for task in os.listdir(f"/proc/{process or 'self'}/task"):
        if int(task) != kept:
            with contextlib.suppress(OSError):  # it has ended, or the system refuses: the spread shows it
                os.sched_setaffinity(int(task), set(cpus))
