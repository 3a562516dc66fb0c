"""What a process does whose speed is compared: stay on a core, warm up, run blocks and time them."""

from __future__ import annotations

import itertools
import os
import resource
import time
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from harness.worker import devices, runtimes, timing

_held: Dict[int, Tuple[int, List[np.ndarray]]] = {}
_numbers = itertools.count(1)

STEADY = 0.02
"""Share by which the medians of three warm-up blocks in a row may differ."""


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


def hold(
    runtime: str, files: Dict[str, str], model: str, options: Dict[str, Any], feed: List[np.ndarray]
) -> Dict[str, Any]:
    """Open a session and keep a feed for it: its number here, ``load_ms``, ``load_mib`` and outputs."""
    before = _resident()
    opened = runtimes.open_session(runtime, files, model, options)
    number = next(_numbers)
    _held[number] = (opened["session"], feed)
    outputs = runtimes.infer(opened["session"], [feed])[0]
    return {
        "number": number,
        "load_ms": opened["load_ms"],
        "load_mib": _resident() - before,
        "outputs": outputs,
        "describe": opened["describe"],
    }


def release(number: int) -> None:
    """Close the session; unknown numbers are fine."""
    found = _held.pop(number, None)
    if found is not None:
        runtimes.close_session(found[0])


def settle(number: int, block_s: float, budget_s: float) -> Dict[str, Any]:
    """Run until the medians of three blocks in a row agree or the budget is spent.

    Returns the runs that make a block of about ``block_s`` seconds, the last median, and whether it
    became steady.
    """
    medians: List[float] = []
    first = block(number, 1)["seconds"][0]
    runs = _runs(first, block_s)
    spent = 0.0
    while True:
        seconds = block(number, runs)["seconds"]
        spent += sum(seconds)
        medians.append(float(np.median(seconds)))
        last = medians[-3:]
        steady = len(last) == 3 and max(last) - min(last) <= STEADY * min(last)
        if steady or spent > budget_s:
            return {"runs": _runs(medians[-1], block_s), "median": medians[-1], "steady": steady}


def _runs(seconds: float, block_s: float) -> int:
    return int(min(200, max(1, round(block_s / max(seconds, 1e-7)))))


def block(number: int, runs: int, extra: float = 0.0) -> Dict[str, Any]:
    """Time ``runs`` runs: seconds of each, and how often the system took the processor away meanwhile.

    ``extra``: share of its own time that every run spends once more doing nothing of use: a slowdown
    of known size, for calibration.
    """
    session, feed = _held[number]
    opened = runtimes._sessions[session]
    if hasattr(opened, "timed"):
        return _block_elsewhere(opened, feed, runs, extra)
    run, device = timing.prepared(opened, feed), getattr(opened, "device", "cpu")
    clock = time.perf_counter
    seconds: List[float] = []
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    for _ in range(runs):
        devices.synchronize(device)
        start = clock()
        run()
        devices.synchronize(device)
        if extra:
            end = clock()
            until = end + extra * (end - start)
            while clock() < until:
                pass
        seconds.append(clock() - start)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - taken
    return {"seconds": seconds, "taken": taken}


def _block_elsewhere(opened: Any, feed: List[np.ndarray], runs: int, extra: float) -> Dict[str, Any]:
    """The same by the clock of a session that runs in another process."""
    if extra:
        raise ValueError("a slowdown can be put into sessions of this process only")
    taken = opened.taken()
    seconds, _ = opened.timed(feed, runs)
    return {"seconds": seconds, "taken": opened.taken() - taken}


def _resident() -> float:
    """Resident memory of the process, MiB."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
