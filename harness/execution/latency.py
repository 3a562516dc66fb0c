"""Latency of an open session, measured by the worker's clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.core import statistics
from harness.execution.executor import Feed
from harness.pool.workers import Worker

BLOCK = 25
"""Runs per call into the worker: enough to make the call's cost small, few enough to stop in time."""


class WorkerClock:
    """A timer for pytest-benchmark that advances by what the worker measured, and by nothing else."""

    __name__ = "worker_clock"
    __qualname__ = "worker_clock"

    def __init__(self) -> None:
        self.total = 0.0

    def __call__(self) -> float:
        return self.total


worker_clock = WorkerClock()


class TimedSession:
    """One session of a target, timed run by run.

    Args:
        worker: process that holds the session.
        session: its number there.
        feed: the inputs of every run.
        deadline: seconds for each call of the worker.
    """

    def __init__(self, worker: Worker, session: int, feed: Feed, deadline: float) -> None:
        self.worker = worker
        self.session = session
        self.feed = feed
        self.deadline = deadline
        self.seconds: list[float] = []
        self.outputs: Feed = []
        self._waiting: Iterator[float] = iter(())

    def warm_up(self, budget_s: float) -> float:
        """Run until two blocks in a row have similar medians, or ``budget_s`` is spent.

        Returns:
            Seconds of one run, the median of the last block.
        """
        spent, before = 0.0, None
        while True:
            block = self._block(5)
            spent += sum(block)
            median = float(np.median(block))
            if spent > budget_s or (before is not None and abs(median - before) < 0.1 * before):
                return median
            before = median

    def run(self) -> None:
        """Advance the worker's clock by the next measured run."""
        seconds = next(self._waiting, None)
        if seconds is None:
            self._waiting = iter(self._block(BLOCK))
            seconds = next(self._waiting)
        self.seconds.append(seconds)
        worker_clock.total += seconds

    def _block(self, runs: int) -> list[float]:
        result: dict[str, Any] = self.worker.call(
            "checks.timing.block", self.deadline, session=self.session, feed=self.feed, runs=runs
        )
        self.outputs = result["outputs"]
        return list(result["seconds"])


def rounds_for(seconds: float, budget_s: float) -> int:
    """Return how many runs to time: what the budget allows, at least 30, at most what the p99 needs."""
    enough = statistics.samples_needed(0.99)
    return int(min(enough, max(30, budget_s / max(seconds, 1e-9))))


def summarize(seconds: list[float], batch: int) -> dict[str, Any]:
    """Compute the median with its 99 % interval, throughput, and percentiles if there are enough samples."""
    values = np.asarray(seconds) * 1e6
    low, high = statistics.median_interval(values.tolist())
    median = float(np.median(values))
    summary: dict[str, Any] = {
        "samples": len(values),
        "median_us": median,
        "median_low_us": low,
        "median_high_us": high,
        "throughput_per_s": batch * 1e6 / median,
    }
    for name, quantile in (("p95", 0.95), ("p99", 0.99)):
        needed = statistics.samples_needed(quantile)
        enough = len(values) >= needed
        summary[f"{name}_us"] = float(np.quantile(values, quantile)) if enough else None
        if not enough:
            summary[f"{name}_reason"] = f"{len(values)} samples, {needed} needed"
    return summary
