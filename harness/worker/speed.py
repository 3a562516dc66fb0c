"""What a process does whose speed is compared: open a session, warm up, run blocks and time them."""

from __future__ import annotations

import itertools
import os
import resource
import time
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from harness.worker import affinity, devices, runtimes, timing

_held: Dict[int, Tuple[int, List[np.ndarray]]] = {}
_numbers = itertools.count(1)

STEADY = 0.02
"""Share of its time that a run may still gain in a block for its warm-up to count as over."""
LEAST_BLOCKS = 3
"""Of a warm-up."""


def hold(
    runtime: str,
    files: Dict[str, str],
    model: str,
    options: Dict[str, Any],
    feed: List[np.ndarray],
    helpers: Sequence[int] = (),
) -> Dict[str, Any]:
    """Open a session and keep a feed for it: its number here, ``load_ms``, ``load_mib`` and outputs.

    ``helpers``: processors for all threads but the one that runs are timed in.
    """
    before = _resident()
    opened = runtimes.open_session(runtime, files, model, options)
    number = next(_numbers)
    _held[number] = (opened["session"], feed)
    outputs = runtimes.infer(opened["session"], [feed])[0]
    if helpers:
        affinity.send_away(helpers, getattr(runtimes._sessions[opened["session"]], "pid", None))
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
    """Run until two blocks in a row were no faster than the best before them, or the budget is spent.

    Not until blocks agree: they scatter by more than a warm-up gains long after it is over. Returns the
    runs that make a block of about ``block_s`` seconds, the last median, and whether it became steady.
    """
    medians: List[float] = []
    first = block(number, 1)["seconds"][0]
    runs = _runs(first, block_s)
    spent = 0.0
    while True:
        seconds = block(number, runs)["seconds"]
        spent += sum(seconds)
        medians.append(float(np.median(seconds)))
        enough = len(medians) >= LEAST_BLOCKS
        steady = enough and min(medians[-2:]) >= (1 - STEADY) * min(medians[:-2])
        if steady or (enough and spent > budget_s):
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
    # Of this thread: a session's others take turns on their own processors.
    taken = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
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
    taken = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw - taken
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
