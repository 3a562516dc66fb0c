"""Two sides of one Paddle, for tests that time real processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.sides import Sides

from harness.options import Options
from harness.session import RunSession
from harness.speed.commands import works_of
from harness.speed.measure import Side, Work

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sides(python: str, tmp_path: Path) -> Iterator[Sides]:
    """Opens LeNet at batch 1 on the predictor for two sides; takes what `Options` takes, closes both."""
    with contextlib.ExitStack() as closing:

        def opened(**options: Any) -> tuple[Work, list[Side]]:
            given = Options(python=python, run_folder=str(tmp_path), **options)
            session = RunSession(given, ROOT, ROOT / "suites")
            labs = [session.lab, session.open_lab(python, "default", "logs/candidate")]
            for lab in labs:
                closing.callback(lab.pool.close)
            work = works_of("lenet:1", session, "predictor")[0]
            return work, [Side(name, lab) for name, lab in zip(("a", "b"), labs, strict=True)]

        yield opened
