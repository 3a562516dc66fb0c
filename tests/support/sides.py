"""Two sides of one Paddle, for tests that time real processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.cli.speed import works_of
from harness.plugin.options import Options
from harness.plugin.session import RunSession
from harness.speed.measure import Side, Work

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def two_sides(python: str, folder: Path, **options: Any) -> Iterator[tuple[Work, list[Side]]]:
    """LeNet at batch 1 on the predictor, and two sides to time it on; ``options`` are `Options`'s."""
    session = RunSession(Options(python=python, run_folder=str(folder), **options), ROOT, ROOT / "suites")
    labs = [session.lab, session.open_lab(python, "default", "logs/candidate")]
    try:
        work = works_of("lenet:1", session, "predictor")[0]
        yield work, [Side(name, lab) for name, lab in zip(("a", "b"), labs, strict=True)]
    finally:
        for lab in labs:
            lab.pool.close()
