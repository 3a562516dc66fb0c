"""What a machine was doing while it measured: processors, governor, load, time taken away."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

AWAKE = Path(__file__).with_name("awake.py")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


class Placement(msgspec.Struct, frozen=True):
    """Where the measured processes run and where this one does: processor numbers.

    ``why`` says what is missing where they cannot be kept apart. ``helpers``: for threads of the
    measured processes that no run is timed in, such as those that free tensors, one that is kept awake;
    none where there is no other processor.
    """

    measured: tuple[int, ...]
    orchestrator: tuple[int, ...]
    why: str = ""
    helpers: tuple[int, ...] = ()


class Conditions(msgspec.Struct, frozen=True):
    """A moment of the machine. Times are seconds since it started, over all processors."""

    load: float
    steal_s: float
    busy_s: float
    switches: int
    governor: str


def identity() -> str:
    """Processor and how many this process may use: what a calibration holds for."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {usable} processors"


def placement() -> Placement:
    """One processor for both measured processes, the others for this one, one of them for their threads."""
    if not hasattr(os, "sched_getaffinity"):
        return Placement((), (), "this system cannot keep a process on a processor")
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return Placement(tuple(allowed), tuple(allowed), "there is one processor: this process shares it")
    return Placement((allowed[-1],), tuple(allowed[:-1]), helpers=(allowed[0],))


@contextlib.contextmanager
def apart(place: Placement) -> Iterator[None]:
    """Keep this process off the measured processor for the block, and the helpers' processor awake.

    A thread that waits on a processor which has gone to sleep is woken late: on a virtual machine by
    0.1 ms, ten times a run, or not at all late, as the host happens to have it.
    """
    if not place.orchestrator or place.orchestrator == place.measured:
        yield
        return
    before = os.sched_getaffinity(0)
    _move(place.orchestrator)
    command = [sys.executable, "-S", str(AWAKE)]
    # In a session of their own: Ctrl-C is for this process, which ends them.
    spinning = [
        subprocess.Popen([*command, str(cpu), str(os.getpid())], start_new_session=True)
        for cpu in place.helpers
    ]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
        _move(before)


def _move(cpus: Any) -> None:
    # Threads that read from workers are of this process, and each has an affinity of its own.
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(task), set(cpus))


def conditions() -> Conditions:
    """The machine now."""
    times = psutil.cpu_times()
    governor = GOVERNOR.read_text().strip() if GOVERNOR.exists() else ""
    return Conditions(
        load=os.getloadavg()[0],
        steal_s=float(getattr(times, "steal", 0.0)),
        busy_s=sum(times) - times.idle - float(getattr(times, "iowait", 0.0)),
        switches=psutil.cpu_stats().ctx_switches,
        governor=governor,
    )
