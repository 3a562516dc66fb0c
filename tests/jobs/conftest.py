"""A run's folder, a log that jobs write into, and the local backend."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from harness.jobs.backend import Backend
from harness.jobs.drive import Drive
from harness.jobs.job import Job, JobResult
from harness.jobs.journal import Journal
from harness.jobs.local import Local
from harness.jobs.watch import Watch


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Local]:
    backend = Local(tmp_path, at_once=3)
    yield backend
    backend.close()


def run(jobs: Sequence[Job], backend: Backend, folder: Path) -> dict[str, JobResult]:
    journal = Journal(folder)
    try:
        with Watch(Console(file=io.StringIO())) as watch:
            return Drive(jobs, backend, folder, journal, watch).run()
    finally:
        journal.close(whole=False)
