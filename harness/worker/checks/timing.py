"""Timing inside the worker: blocks of runs of an open session, and the memory they take."""

from __future__ import annotations

import functools
import time
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from harness.worker import runtimes
from harness.worker.machine import devices
from harness.worker.protocol import children


def block(session: int, feed: List[np.ndarray], runs: int) -> Dict[str, Any]:
    """Time ``runs`` runs of a session with one feed; return seconds of each, and the last outputs.

    A run includes what a caller pays for: passing the inputs, running, fetching the outputs. The clock is
    read when the session's device is idle.
    """
    seconds, outputs = timed(runtimes._sessions[session], feed, runs)
    return {"seconds": seconds, "outputs": outputs}


def timed(opened: Any, feed: List[np.ndarray], runs: int) -> Tuple[List[float], List[np.ndarray]]:
    """Return seconds of each run, and the last outputs; a session in another process is timed there."""
    if hasattr(opened, "timed"):
        return opened.timed(feed, runs)
    return timer(opened, feed)(runs)


def timer(opened: Any, feed: List[np.ndarray]) -> Callable[..., Tuple[List[float], List[np.ndarray]]]:
    """Return a function that times runs of a session of this process, and returns the last outputs too.

    Its arguments: the number of runs; ``extra``, the share of a run's time for which each spins after its
    work; and whether the seconds include that (``counted``). What can be prepared before the clock starts is
    done here.
    """
    run = opened.prepared(feed) if hasattr(opened, "prepared") else functools.partial(opened.infer, feed)
    device, clock = getattr(opened, "device", "cpu"), time.perf_counter

    def timed(runs: int, extra: float = 0.0, counted: bool = False) -> Tuple[List[float], List[np.ndarray]]:
        seconds: List[float] = []
        outputs: List[np.ndarray] = []
        for _ in range(runs):
            devices.synchronize(device)
            start = clock()
            outputs = run()
            devices.synchronize(device)
            end = clock()
            if extra:
                until = end + extra * (end - start)
                while clock() < until:
                    pass
            seconds.append((clock() if counted else end) - start)
        return seconds, outputs

    return timed


def paired(sessions: List[int], feed: List[np.ndarray], blocks: int, runs: int) -> List[List[float]]:
    """Return the median seconds of a run in each block, for each session: ``[sessions][blocks]``.

    The sessions take turns, and each block starts with a different one, so that a slow spell of the
    machine affects all of them.
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
    """Reset the process's peak memory (Linux), so that the next peak covers what follows."""
    children.forget_peak()
    devices.reset_peak(device)
    return memory(device)


def memory(device: str = "cpu", session: int = 0) -> Dict[str, float]:
    """Return peak resident memory since :func:`reset_peak`, and memory now, in MiB, and the device's memory.

    For a ``session`` in another process: that process's memory since it got the model, and ``before_mib``,
    its memory before.
    """
    opened: Any = runtimes._sessions.get(session)
    if hasattr(opened, "memory"):
        return dict(opened.memory())
    return {**children.memory(), **devices.memory(device)}


def clock_cost(rounds: int = 1000) -> float:
    """Return the seconds that reading the clock twice takes: the median over ``rounds``."""
    clock = time.perf_counter
    costs = []
    for _ in range(rounds):
        start = clock()
        costs.append(clock() - start)
    return float(np.median(costs))
