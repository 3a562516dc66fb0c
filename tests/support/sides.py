"""Two sides of one Paddle, for tests that time real processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.cli.speed import works_of
from harness.core.options import Options
from harness.plugin.session import RunSession
from harness.speed.measure import Side, Workload

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def two_sides(python: str, folder: Path, **options: Any) -> Iterator[tuple[Workload, list[Side]]]:
    """LeNet at batch 1 on the predictor, and two sides to time it on; ``options`` are `Options`'s."""
    session = RunSession(Options(python=python, folder=str(folder), **options), ROOT, ROOT / "suites")
    executors = [session.executor, session.open_executor(python, "default", "logs/candidate")]
    try:
        work = works_of("lenet:1", session, "predictor")[0]
        yield work, [Side(name, executor) for name, executor in zip(("a", "b"), executors, strict=True)]
    finally:
        for executor in executors:
            executor.pool.close()
