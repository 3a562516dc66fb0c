"""Timing inside the worker: blocks of runs of an open session, and what they cost besides time."""

from __future__ import annotations

import functools
import time
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from harness.worker import runtimes
from harness.worker.machine import devices
from harness.worker.protocol import children


def block(session: int, feed: List[np.ndarray], runs: int) -> Dict[str, Any]:
    """Time ``runs`` runs of a session with one feed: seconds of each, and the last outputs.

    A run is what a caller pays: handing the inputs over, running, fetching the outputs. The clock is
    read when the session's device has nothing left to do.
    """
    seconds, outputs = timed(runtimes._sessions[session], feed, runs)
    return {"seconds": seconds, "outputs": outputs}


def timed(opened: Any, feed: List[np.ndarray], runs: int) -> Tuple[List[float], List[np.ndarray]]:
    """Seconds of each run, and the last outputs; a session in another process has its own clock there."""
    if hasattr(opened, "timed"):
        return opened.timed(feed, runs)
    device = getattr(opened, "device", "cpu")
    run = prepared(opened, feed)
    seconds = []
    outputs: List[np.ndarray] = []
    clock = time.perf_counter
    for _ in range(runs):
        devices.synchronize(device)
        start = clock()
        outputs = run()
        devices.synchronize(device)
        seconds.append(clock() - start)
    return seconds, outputs


def prepared(opened: Any, feed: List[np.ndarray]) -> Callable[[], List[np.ndarray]]:
    """A run of the feed in a session of this process, with what can be done before the clock runs done."""
    if hasattr(opened, "prepared"):
        run: Callable[[], List[np.ndarray]] = opened.prepared(feed)
        return run
    return functools.partial(opened.infer, feed)


def paired(sessions: List[int], feed: List[np.ndarray], blocks: int, runs: int) -> List[List[float]]:
    """Median seconds of a run in each block, for each session: ``[sessions][blocks]``.

    The sessions take turns, and every block starts with another one, so that what slows the machine
    down slows them alike.
    """
    opened = [runtimes._sessions[session] for session in sessions]
    medians: List[List[float]] = [[] for _ in opened]
    for number in range(blocks):
        order = range(len(opened)) if number % 2 else reversed(range(len(opened)))
        for index in order:
            seconds, _ = timed(opened[index], feed, runs)
            medians[index].append(float(np.median(seconds)))
    return medians


def reset_peak(device: str = "cpu") -> Dict[str, float]:
    """Forget the process's peak memory so far (Linux), so that the next one is of what follows."""
    children.forget_peak()
    devices.reset_peak(device)
    return memory(device)


def memory(device: str = "cpu", session: int = 0) -> Dict[str, float]:
    """Peak resident memory since :func:`reset_peak`, and resident memory now, in MiB; the device's beside.

    Of a ``session`` that runs in another process: of that process since it was given the model, with
    ``before_mib``, what it had before.
    """
    opened: Any = runtimes._sessions.get(session)
    if hasattr(opened, "memory"):
        return dict(opened.memory())
    return {**children.memory(), **devices.memory(device)}


def clock_cost(rounds: int = 1000) -> float:
    """Seconds that reading the clock twice takes: the median over ``rounds``."""
    clock = time.perf_counter
    costs = []
    for _ in range(rounds):
        start = clock()
        costs.append(clock() - start)
    return float(np.median(costs))
