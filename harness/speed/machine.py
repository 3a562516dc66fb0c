"""The state of a machine while it measures: processors, governor, load, stolen time."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

AWAKE = Path(__file__).with_name("awake.py")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


class Placement(msgspec.Struct, frozen=True):
    """Numbers of the processors for the measured processes and for this one.

    ``why``: reason where they cannot be separated. ``helpers``: a processor, kept awake, for threads of the
    measured processes in which no run is timed, such as those that free tensors; empty where there is no
    other processor.
    """

    measured: tuple[int, ...]
    orchestrator: tuple[int, ...]
    why: str = ""
    helpers: tuple[int, ...] = ()


class Conditions(msgspec.Struct, frozen=True):
    """State of the machine at one moment. Times are seconds since it started, over all processors."""

    load: float
    steal_s: float
    busy_s: float
    switches: int
    governor: str


def identity() -> str:
    """Name the processor and how many this process may use: an A/A test is valid for these."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {usable} processors"


def placement() -> Placement:
    """Choose one processor for both measured processes, and the others for this one.

    One of the others also serves the measured processes' threads in which no run is timed.
    """
    if not hasattr(os, "sched_getaffinity"):
        return Placement((), (), "this system cannot keep a process on a processor")
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return Placement(tuple(allowed), tuple(allowed), "there is one processor: this process shares it")
    return Placement((allowed[-1],), tuple(allowed[:-1]), helpers=(allowed[0],))


@contextlib.contextmanager
def apart(place: Placement) -> Iterator[None]:
    """Keep this process off the measured processor for the block, and the helpers' processor awake.

    A thread on a sleeping processor may be woken late: on a virtual machine by 0.1 ms, ten times a run, or
    not late at all, depending on the host.
    """
    if not place.orchestrator or place.orchestrator == place.measured:
        yield
        return
    before = os.sched_getaffinity(0)
    _move(place.orchestrator)
    command = [sys.executable, "-S", str(AWAKE)]
    # In a new session, so that Ctrl-C reaches only this process, which ends them.
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


def lay_out_anew(files: Iterable[str]) -> None:
    """Have the system forget its copies of these files in memory, so that the next reader gets new pages.

    How a library's pages lie in memory decides about 1 % of a short run, and lasts as long as they do: two
    copies of one build differed by that for hours. Pages that some process maps stay.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        with contextlib.suppress(OSError):
            number = os.open(file, os.O_RDONLY)
            try:
                os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(number)


def _move(cpus: Any) -> None:
    # Threads of this process that read from workers have separate affinities.
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(task), set(cpus))


def conditions() -> Conditions:
    """Read the machine's present state."""
    times = psutil.cpu_times()
    governor = GOVERNOR.read_text().strip() if GOVERNOR.exists() else ""
    return Conditions(
        load=os.getloadavg()[0],
        steal_s=float(getattr(times, "steal", 0.0)),
        busy_s=sum(times) - times.idle - float(getattr(times, "iowait", 0.0)),
        switches=psutil.cpu_stats().ctx_switches,
        governor=governor,
    )
