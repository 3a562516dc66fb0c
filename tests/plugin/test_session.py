"""A run's session: what it cannot be opened with, which entries apply to it, what a killed one leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from conftest import Command, child_environment
from harness.core.choices import default_store
from harness.core.errors import HarnessError
from harness.core.options import Options
from harness.plugin.session import RunSession
from harness.records.files import read_run

Project = Callable[[dict[str, str]], Path]


@pytest.mark.parametrize(
    ("options", "applies"),
    [({}, False), ({"tier": "full"}, True), ({"models": ("lenet",)}, True), ({"targets": ("jit",)}, True)],
)
def test_full_tier_entries_apply_where_cases_of_that_tier_run(
    tmp_path: Path, python: str, options: dict[str, Any], applies: bool
) -> None:
    suites = tmp_path / "suites"
    suites.mkdir()
    entry = (
        '[[failure]]\ncase = "area/check*"\npaddle = ">=2"\noutcome = "error"\nmatch = "x"\nreason = "y"\n'
    )
    (suites / "known_failures.toml").write_text(entry + 'tier = "full"\n')
    choice = Options(store=default_store(), python=python, folder=str(tmp_path / "run"), **options)
    session = RunSession(choice, tmp_path, suites)
    assert bool(session.known.entries) is applies
    session.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"python": "/no/such/python"}, "/no/such/python is not an interpreter"),
        ({"dataset": "/no/such/folder"}, "the dataset folder /no/such/folder lacks train-images"),
        ({"targets_file": ("/no/such.toml",)}, "cannot read the targets file /no/such.toml"),
        ({"store": "/proc/store"}, "the store /proc/store cannot be written"),
    ],
)
def test_what_a_lab_cannot_be_made_of_is_one_sentence(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    """The plugin prints these as it prints the ones above."""
    choice = Options(**{"store": default_store(), "folder": str(tmp_path / "run"), **options})
    session = RunSession(choice, tmp_path, tmp_path / "suites")
    with pytest.raises(HarnessError) as refusal:
        session.executor  # noqa: B018
    session.close()
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


# Interrupted

SLOW = """
import time


def test_first(case):
    case.exact("value", 1, 1)


def test_second(case, executor):
    case.exact("value", executor.pool.call("checks.selftest.echo", value=1), 1)


def test_third(case):
    case.exact("value", 1, 1)
    time.sleep(60)


def test_fourth(case):
    case.exact("value", 1, 1)
"""


def test_killed_run_keeps_its_records_and_its_workers_end(project: Project, command: Command) -> None:
    folder = project({"suites/test_slow.py": SLOW})
    child = subprocess.Popen(
        [sys.executable, "-m", "pytest", "suites", "-q", "--folder=run"],
        cwd=folder,
        env=child_environment(),
        stdout=subprocess.DEVNULL,
    )
    try:
        path = folder / "run" / "records.jsonl"
        end = time.monotonic() + 60
        while not (path.exists() and path.read_text().count("\n") == 3) and time.monotonic() < end:
            time.sleep(0.05)
        workers = psutil.Process(child.pid).children(recursive=True)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    run = read_run(folder / "run")
    assert [record.case for record in run.records] == ["slow/first", "slow/second"]
    assert not run.complete
    done = command(folder, "harness.cli", "report", "run")
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("Incomplete: the run was interrupted after 2 cases")
    assert (folder / "run" / "index.html").is_file()
    assert workers
    assert not psutil.wait_procs(workers, timeout=10)[1]
