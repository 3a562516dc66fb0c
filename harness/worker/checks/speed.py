"""Calls of a process whose speed is compared: open a session, warm up, and run in turns with another."""

from __future__ import annotations

import functools
import glob
import itertools
import json
import os
import resource
import tempfile
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np

from harness.worker import runtimes
from harness.worker.checks import timing
from harness.worker.machine import affinity, memory

_held: Dict[int, Tuple[int, List[np.ndarray]]] = {}
_numbers = itertools.count(1)

STEADY = 0.02
"""The warm-up is over when a block makes a run faster by less than this share."""
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
    """Open a session and keep a feed for it; return its number, ``load_ms``, ``load_mib`` and outputs.

    ``helpers``: processors for all threads except the one in which runs are timed.
    """
    before = memory.resident()
    opened = runtimes.open_session(runtime, files, model, options)
    number = next(_numbers)
    _held[number] = (opened["session"], feed)
    outputs = runtimes.infer(opened["session"], [feed])[0]
    if helpers:
        affinity.send_away(helpers, getattr(runtimes._sessions[opened["session"]], "pid", None))
    return {
        "number": number,
        "load_ms": opened["load_ms"],
        "load_mib": memory.resident() - before,
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

    It does not wait until blocks agree: long after the warm-up they scatter by more than it gained. Returns
    the smallest median of a block (``seconds`` of a run), and whether it became ``steady``.
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
    """Time ``runs`` runs; return ``seconds`` of each, and ``taken``: how often they were preempted."""
    seconds, taken = _timed(number)(runs, 0.0, False)
    return {"seconds": seconds, "taken": taken}


def turns(
    number: int, mine: int, order: Sequence[Tuple[int, float]], runs: int, receive: str, give: str
) -> Dict[str, Any]:
    """Run when it is this side's turn, and hand over to the other side's process without a third one.

    ``order``: for every turn, the side, and a slowdown as a share of a run's time, for the A/A test. Each run
    spins for that share after its work. Both sides spin, so that each finds the processor in the same state
    (for example with rested vector units); only the candidate's clock counts it. ``receive`` and ``give`` are
    named pipes; a byte in one passes the turn. Returns the median ``seconds`` of each turn of this side, and
    in how many of them it was preempted (``taken``). If the other side ends, only the turns
    until then are returned; the other process reports why.
    """
    found: List[List[float]] = []
    taken = 0
    # Opening waits for the other side, which has to open the same pipe at its other end.
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


def operators(number: int, runs: int) -> Dict[str, List[float]]:
    """Profile ``runs`` runs with Paddle's profiler; return seconds and calls in one run of each operator.

    Names are the profiler's. Empty for a session that runs in another process, or that runs no operator of
    Paddle. Of an operator that runs equally often in every run, the seconds are the median over the runs.
    """
    from paddle import profiler

    session, feed = _held[number]
    opened = runtimes._sessions[session]
    if hasattr(opened, "timed"):
        return {}
    run = timing.timer(opened, feed)
    with tempfile.TemporaryDirectory(prefix="paddle-profile-") as folder:
        traced = profiler.Profiler(
            targets=[profiler.ProfilerTarget.CPU], on_trace_ready=profiler.export_chrome_tracing(folder)
        )
        traced.start()
        run(runs, 0.0, False)
        traced.stop()
        with open(glob.glob(os.path.join(folder, "*.json"))[0], encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]
    spent: Dict[str, List[float]] = {}
    for event in sorted(events, key=lambda event: event.get("ts", 0)):
        if event.get("ph") == "X" and event.get("cat") == "Operator":
            # The exporter writes the duration behind the name: conv2d[1.2 ms].
            spent.setdefault(event["name"].partition("[")[0], []).append(event["dur"] * 1e-6)
    return {name: [_in_one_run(seconds, runs), len(seconds) / runs] for name, seconds in spent.items()}


def _in_one_run(seconds: List[float], runs: int) -> float:
    if len(seconds) % runs:
        return sum(seconds) / runs
    return float(np.median(np.sum(np.reshape(seconds, (runs, -1)), axis=1)))


def _timed(number: int) -> Callable[[int, float, bool], Tuple[List[float], int]]:
    """Return a function that times runs: it gives the seconds of each, and how often they were preempted.

    Its arguments: runs, extra (the slowdown of :func:`turns`), and whether the seconds include it.
    """
    session, feed = _held[number]
    opened = runtimes._sessions[session]
    if hasattr(opened, "timed"):
        return functools.partial(_timed_in_other_process, opened, feed)
    run = timing.timer(opened, feed)

    def timed(runs: int, extra: float, counted: bool) -> Tuple[List[float], int]:
        # Of this thread only: the session's other threads have other processors.
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
        seconds, _ = run(runs, extra, counted)
        return seconds, resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw - before

    return timed


def _timed_in_other_process(
    opened: Any, feed: List[np.ndarray], runs: int, extra: float, counted: bool
) -> Tuple[List[float], int]:
    """Do the same by the clock of a session that runs in another process."""
    if extra:
        raise ValueError("a slowdown can be put into sessions of this process only")
    before = opened.taken()
    seconds, _ = opened.timed(feed, runs)
    return seconds, opened.taken() - before
