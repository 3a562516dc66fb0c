"""A run in lanes says what the same run in one process says, whatever other plugins do to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from conftest import child_environment
from harness.core.types import Record
from harness.records.files import Run, read_run

pytestmark = pytest.mark.slow

Project = Callable[[dict[str, str]], Path]

CHECKS = """
import os

import pytest


@pytest.fixture(autouse=True)
def process(case):
    case.measures["process"] = os.getpid()


@pytest.mark.parametrize("model", ["lenet", "conv_bn", "two_inputs", "transformer"])
@pytest.mark.parametrize("number", [1, 2])
def test_beside(case, executor, model, number):
    case.exact("value", executor.pool.call("checks.selftest.echo", value=number), number)


@pytest.mark.timing
def test_alone(case):
    case.exact("value", 1, 1)


def test_timed(case, benchmark):
    case.exact("value", benchmark(int), 0)


def test_known(case):
    case.exact("value", 1, 2)


def test_wrong(case):
    case.exact("value", 1, 3)
"""
KNOWN = '[[failure]]\ncase = "area/known"\npaddle = ">=2"\noutcome = "fail"\nmatch = "1"\nreason = "known"\n'


@pytest.fixture(scope="module")
def checks(project: Project) -> Path:
    return project(
        {
            "suites/test_area.py": CHECKS,
            "suites/known_failures.toml": KNOWN,
            "pytest.ini": "[pytest]\naddopts = -p no:hypothesispytest -p no:randomly\n",
        }
    )


def run(folder: Path, name: str, *arguments: str) -> tuple[int, str, Run]:
    """Run the suites; exit status, what pytest printed, and the run."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "suites", f"--folder={name}", *arguments],
        cwd=folder,
        env=child_environment(),
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr, read_run(folder / name)


def compared(record: Record) -> tuple[str, str, str, str, str]:
    return record.case, record.outcome, record.digest, record.expected_failure, record.reason


def test_lanes_find_what_one_process_finds(checks: Path) -> None:
    status, said, one = run(checks, "one", "-n", "0")
    lanes_status, lanes_said, lanes = run(checks, "two", "-n", "2", "--benchmark-json=two.json")
    assert (status, lanes_status) == (1, 1)
    assert sorted(map(compared, one.records)) == sorted(map(compared, lanes.records))
    assert said.split("page:")[0].splitlines()[-1] == lanes_said.split("page:")[0].splitlines()[-1]
    assert lanes.complete
    assert (checks / "two" / "records.jsonl").read_text().count('"kind":"run"') == 1
    processes = {record.case: record.measures["process"] for record in lanes.records}
    alone = processes.pop("area/alone")
    assert processes.pop("area/timed") == alone
    assert len(set(processes.values())) == 2
    assert alone not in processes.values()
    assert [record.case for record in lanes.records[-2:]] == ["area/alone", "area/timed"]
    for model in (
        "lenet",
        "conv_bn",
        "two_inputs",
        "transformer",
    ):  # a model's cases share what was made for it
        assert processes[f"area/beside[1-{model}]"] == processes[f"area/beside[2-{model}]"]
    timed = msgspec.json.decode((checks / "two.json").read_bytes())
    assert [entry["name"] for entry in timed["benchmarks"]] == ["test_timed"]
    assert timed["harness"]["status"] == "fail"


@pytest.mark.parametrize("lanes", ["0", "2"])
def test_stopped_run_is_incomplete(checks: Path, lanes: str) -> None:
    status, said, found = run(checks, f"stopped-{lanes}", "-n", lanes, "-x")
    assert status == 1
    assert "Incomplete" in said
    assert not found.complete
    assert len(found.records) < found.header.selected


@pytest.mark.parametrize("lanes", ["0", "2"])
def test_selection_is_what_is_judged(checks: Path, lanes: str) -> None:
    status, _, found = run(checks, f"selected-{lanes}", "-n", lanes, "-k", "beside or known")
    assert status == 0
    assert len(found.records) == found.header.selected == 9
    status, _, found = run(checks, f"failed-{lanes}", "-n", lanes, "-k", "wrong or alone")
    assert (status, len(found.records)) == (1, 2)
    status, said, found = run(checks, f"last-{lanes}", "-n", lanes, "--lf")
    assert status == 1
    assert [record.case for record in found.records] == ["area/wrong"]
    assert found.header.selected == 1, said


@pytest.mark.parametrize("lanes", ["0", "2"])
def test_random_order_changes_nothing(checks: Path, lanes: str) -> None:
    status, said, found = run(checks, f"random-{lanes}", "-n", lanes, "-p", "pytest_randomly")
    assert "--randomly-seed" in said
    assert status == 1
    assert found.complete
    assert len(found.records) == 12


NOW_AND_THEN = """
from pathlib import Path


def test_now_and_then(case, tmp_path_factory):
    mark = Path("mark-" + NAME)
    first = not mark.exists()
    mark.touch()
    case.exact("value", int(first), 0)


def test_right(case):
    case.exact("value", 1, 1)
"""


@pytest.mark.parametrize("lanes", ["0", "2"])
def test_failure_that_passes_when_repeated_is_a_failure(project: Project, lanes: str) -> None:
    folder = project({"suites/test_area.py": f"NAME = {lanes!r}\n{NOW_AND_THEN}"})
    status, _, found = run(folder, "again", "-n", lanes, "--reruns", "2")
    assert status == 1
    outcomes = {record.case: record for record in found.records}
    assert found.complete
    assert len(found.records) == 2
    assert outcomes["area/right"].outcome == "pass"
    assert outcomes["area/now_and_then"].outcome == "fail"
    assert outcomes["area/now_and_then"].notes == ("when it was run again: pass",)


HANGS = """
import os
import time


def test_hangs(case):
    case.exact("value", 1, 1)
    time.sleep(120)


def test_leaves(case):
    if os.environ.get("PYTEST_XDIST_WORKER"):
        os._exit(3)


def test_right(case):
    case.exact("value", 1, 1)
"""


@pytest.mark.parametrize(("lanes", "method"), [("0", "signal"), ("2", "signal"), ("2", "thread")])
def test_case_that_another_plugin_ends_is_not_counted_as_good(
    project: Project, lanes: str, method: str
) -> None:
    folder = project({"suites/test_area.py": HANGS})
    status, said, found = run(folder, "timeout", "-n", lanes, "--timeout", "5", "--timeout-method", method)
    assert status == 1, said
    outcomes = {record.case: (record.outcome, record.reason) for record in found.records}
    assert outcomes["area/hangs"][0] == "error"
    assert outcomes["area/right"] == ("pass", "")
    # In one process it does not leave, and compares nothing.
    assert outcomes["area/leaves"][0] == ("fail" if lanes == "0" else "error")
    assert found.complete
    assert ("ended" in outcomes["area/hangs"][1]) is (method == "thread")


@pytest.mark.parametrize("lanes", ["0", "2"])
def test_error_in_collection_runs_nothing(project: Project, lanes: str) -> None:
    right = "def test_right(case):\n    case.exact('value', 1, 1)\n"
    folder = project({"suites/test_area.py": right, "suites/test_broken.py": "import no_such_module\n"})
    status, said, found = run(folder, "broken", "-n", lanes)
    assert status == pytest.ExitCode.INTERRUPTED
    assert "1 error during collection" in said
    assert not found.records
    assert not found.complete


def test_processes_of_another_kind_are_refused(checks: Path) -> None:
    for arguments in (["--tx", "popen"], ["-n", "2", "--dist", "each"]):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "suites", *arguments],
            cwd=checks,
            env={**os.environ, **child_environment()},
            capture_output=True,
            text=True,
        )
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert done.stderr.strip().count("\n") == 0
        assert "give -n N" in done.stderr or "--dist=each" in done.stderr
