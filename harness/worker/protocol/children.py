"""Processes that a worker starts: how they ended, and the memory they take."""

from __future__ import annotations

import signal
from typing import Dict, Union


class ChildDied(RuntimeError):
    """A process that the worker had started ended instead of answering.

    For the controller that is a crash, as if the worker itself had died; ``signal`` names the signal that
    killed the process ('' where it ended by itself).
    """

    def __init__(self, what: str, status: int) -> None:
        """``status`` as `subprocess` gives it: negative for a signal."""
        self.signal = signal.Signals(-status).name if status < 0 else ""
        how = f"was killed by signal {self.signal}" if self.signal else f"ended with exit status {status}"
        super().__init__(f"{what} {how}")


def forget_peak(process: Union[int, str] = "self") -> None:
    """Reset a process's peak memory (Linux), so that the next peak covers what follows."""
    with open(f"/proc/{process}/clear_refs", "w") as file:
        file.write("5")


def memory(process: Union[int, str] = "self") -> Dict[str, float]:
    """Return a process's peak resident memory since :func:`forget_peak`, and resident memory now, in MiB."""
    with open(f"/proc/{process}/status") as file:
        lines = dict(line.split(":", 1) for line in file if line.startswith(("VmHWM", "VmRSS")))
    return {
        "peak_mib": int(lines["VmHWM"].split()[0]) / 1024,
        "now_mib": int(lines["VmRSS"].split()[0]) / 1024,
    }


def taken(process: int) -> int:
    """Return how often the system preempted a process's first thread (involuntary context switches)."""
    with open(f"/proc/{process}/status") as file:
        found = (line.split()[1] for line in file if line.startswith("nonvoluntary_ctxt_switches"))
        return int(next(found, "0"))
