"""What a process does whose speed is compared: open a session, warm up, and run in turns with another."""

from __future__ import annotations

import functools
import itertools
import os
import resource
import time
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np

from harness.worker import runtimes
from harness.worker.checks import timing
from harness.worker.machine import affinity, devices

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
    least of the blocks' medians (``seconds`` of a run), and whether it became ``steady``.
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
            return {"seconds": min(medians), "steady": steady}


def _runs(seconds: float, block_s: float) -> int:
    return int(min(200, max(1, round(block_s / max(seconds, 1e-7)))))


def block(number: int, runs: int) -> Dict[str, Any]:
    """Time ``runs`` runs: ``seconds`` of each, and ``taken``: how often the system took the processor."""
    seconds, taken = _timed(number)(runs, 0.0, False)
    return {"seconds": seconds, "taken": taken}


def turns(
    number: int, mine: int, order: Sequence[Tuple[int, float]], runs: int, receive: str, give: str
) -> Dict[str, Any]:
    """Run when it is this side's turn, and hand over to the other side's process without a third one.

    ``order``: of every turn whose it is, and the share of its own time that each of its runs spends once
    more doing nothing of use, for calibration. Both sides spend it, so that either finds the processor as
    the other does (vector units that have rested, for one); only the candidate's clock counts it.
    ``receive`` and ``give`` are named pipes; a byte in one is the turn. Returns the median ``seconds`` of
    each own turn and from how many of them the system took the processor (``taken``): of those until
    then, where the other side has ended, which is told of there.
    """
    found: List[List[float]] = []
    taken = 0
    # Opening waits for the other side, which has to open to read what this one opens to write.
    opening = ((give, os.O_WRONLY), (receive, os.O_RDONLY))
    ends = {path: os.open(path, how) for path, how in (opening if mine == 0 else opening[::-1])}
    try:
        timed = _timed(number)
        for turn, (whose, extra) in enumerate(order):
            if whose != mine:
                continue
            if turn and order[turn - 1][0] != mine and not os.read(ends[receive], 1):
                break
            seconds, interrupted = timed(runs, extra, mine == 1)
            if turn + 1 < len(order) and order[turn + 1][0] != mine:
                os.write(ends[give], b".")
            found.append(seconds)
            taken += interrupted > 0
    except BrokenPipeError:
        pass
    finally:
        for end in ends.values():
            os.close(end)
    return {"seconds": np.median(found, axis=1).tolist() if found else [], "taken": taken}


def _timed(number: int) -> Callable[[int, float, bool], Tuple[List[float], int]]:
    """Seconds of each of so many runs, and how often the system took the processor from them.

    The function's arguments: runs, extra (see :func:`turns`), and whether the seconds contain it.
    """
    session, feed = _held[number]
    opened = runtimes._sessions[session]
    if hasattr(opened, "timed"):
        return functools.partial(_timed_elsewhere, opened, feed)
    run, device = timing.prepared(opened, feed), getattr(opened, "device", "cpu")
    clock = time.perf_counter

    def timed(runs: int, extra: float, counted: bool) -> Tuple[List[float], int]:
        seconds: List[float] = []
        # Of this thread: a session's others take turns on their own processors.
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
        for _ in range(runs):
            devices.synchronize(device)
            start = clock()
            run()
            devices.synchronize(device)
            end = clock()
            if extra:
                until = end + extra * (end - start)
                while clock() < until:
                    pass
            seconds.append((clock() if counted else end) - start)
        return seconds, resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw - before

    return timed


def _timed_elsewhere(
    opened: Any, feed: List[np.ndarray], runs: int, extra: float, counted: bool
) -> Tuple[List[float], int]:
    """The same by the clock of a session that runs in another process."""
    if extra:
        raise ValueError("a slowdown can be put into sessions of this process only")
    before = opened.taken()
    seconds, _ = opened.timed(feed, runs)
    return seconds, opened.taken() - before


def _resident() -> float:
    """Resident memory of the process, MiB."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
