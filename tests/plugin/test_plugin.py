"""The plugin, run for real in small projects: outcomes, known failures, records, exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from conftest import Command
from harness.core.types import Record
from harness.records.files import Run, read_run
from harness.report import summary

Project = Callable[[dict[str, str]], Path]

SUITE = '''
"""An area with one check for every way to end."""

import numpy as np
import pytest

CLAIM = pytest.mark.claims("000-save")


@CLAIM
def test_passes(case, executor):
    """Echoes are equal."""
    case.bitwise("echo", executor.pool.call("checks.selftest.echo", value=np.arange(6.0)), np.arange(6.0))
    case.measures["n"] = 6
    case.notes.append("a note")


def test_fails(case):
    case.exact("fine", 1, 1)
    case.bitwise("zeros", np.zeros(3), np.array([0.0, 1.0, 0.0]))


def test_fails_an_assertion(case):
    case.exact("fine", 1, 1)
    assert 1 == 2, "one is not two"


def test_raises_there(case, executor):
    text = "C++ stack\\nError Message Summary:\\n------\\nInvalidArgument: bad"
    executor.pool.call("checks.selftest.fail", kind="ValueError", message=text)


def test_raises_here(case):
    raise KeyError("near")


@pytest.fixture
def broken_setup():
    raise RuntimeError("no set-up")


def test_setup_raises(case, broken_setup):
    case.exact("never", 1, 1)


def test_crashes(case, executor):
    executor.pool.call("checks.selftest.segfault", text="the last words")


def test_after_the_crash(case, executor):
    case.exact("alive", executor.pool.call("checks.selftest.echo", value="yes"), "yes")


def test_hangs(case, executor):
    executor.pool.call("checks.selftest.hang", deadline=1.0)


def test_after_the_hang(case, executor):
    case.exact("alive", executor.pool.call("checks.selftest.echo", value="yes"), "yes")


def test_is_not_run(case):
    pytest.skip("no such hardware")


def test_compares_nothing(case):
    pass


def test_compares_no_element(case):
    case.bitwise("empty", np.zeros((0, 2)), np.zeros((0, 2)), empty_ok=True)


def test_uses_no_case():
    return


def test_known_failure(case):
    case.exact("value", 1, 2)


def test_known_crash(case, executor):
    executor.pool.call("checks.selftest.segfault", text="known words")


def test_known_but_passes(case):
    case.exact("value", 1, 1)


def test_known_but_another_message(case):
    case.exact("value", 1, 2)


def test_known_but_another_outcome(case):
    raise ValueError("value")


def test_known_but_not_run(case):
    pytest.skip("no such hardware")


@pytest.mark.parametrize("number", [1, 2])
def test_numbers(case, number):
    case.exact("number", number, 1)


@pytest.mark.full
def test_in_the_full_tier_only(case):
    case.exact("value", 1, 1)


def test_timed(case, benchmark):
    case.exact("sum", benchmark.pedantic(sum, args=([1, 2],), rounds=3), 3)
'''


def known(case: str, outcome: str, match: str, paddle: str = ">=2", reason: str = "for a reason") -> str:
    fields = {
        "case": case,
        "outcome": outcome,
        "match": match,
        "paddle": paddle,
        "reason": reason,
        "issue": "#1",
    }
    return "[[failure]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())


KNOWN = "".join(
    [
        known("area/known_failure", "fail", "1 of 1 comparisons failed"),
        known("area/known_crash", "crash", "known words"),
        known("area/known_but_passes", "fail", "value"),
        known("area/known_but_another_message", "fail", "some other words"),
        known("area/known_but_another_outcome", "fail", "value"),
        known("area/known_but_not_run", "fail", "value"),
        known("area/numbers[2]", "fail", "number"),
        known("area/no_such_case*", "fail", "x"),
        known("area/of_another_release*", "fail", "x", paddle="<2"),
    ]
)


@pytest.fixture(scope="module")
def folder(project: Project) -> Path:
    return project(
        {
            "suites/test_area.py": SUITE,
            "suites/known_failures.toml": KNOWN,
            "tests/test_outside.py": "def test_outside():\n    assert [1] == [1]\n",
        }
    )


@pytest.fixture(scope="module")
def done(folder: Path, command: Command) -> subprocess.CompletedProcess[str]:
    return command(folder, "pytest", "suites", "-q", "--benchmark-json=reports/bench.json")


@pytest.fixture(scope="module")
def run(folder: Path, done: subprocess.CompletedProcess[str]) -> Run:
    assert (folder / "reports" / "latest").is_symlink(), done.stdout + done.stderr
    return read_run(folder / "reports" / "latest")


@pytest.fixture(scope="module")
def records(run: Run) -> dict[str, Record]:
    return {record.case.removeprefix("area/"): record for record in run.records}


@pytest.mark.parametrize(
    ("case", "outcome", "reason"),
    [
        ("passes", "pass", ""),
        ("fails", "fail", "1 of 2 comparisons failed; zeros: 1 of 3 elements differ; worst at [1]"),
        ("fails_an_assertion", "fail", "one is not two"),
        ("raises_there", "error", "ValueError: InvalidArgument: bad"),
        ("raises_here", "error", "KeyError: 'near'"),
        ("setup_raises", "error", "RuntimeError: no set-up"),
        ("crashes", "crash", "SIGSEGV: killed by signal SIGSEGV"),
        ("after_the_crash", "pass", ""),
        ("hangs", "timeout", "deadline: no answer in 1 s"),
        ("after_the_hang", "pass", ""),
        ("is_not_run", "not-run", "no such hardware"),
        ("compares_nothing", "fail", "the check compared nothing, which is no pass"),
        ("compares_no_element", "fail", "the check compared no element"),
        ("uses_no_case", "fail", "the check uses no `case`, so it compared nothing"),
        ("numbers[1]", "pass", ""),
        ("timed", "pass", ""),
    ],
)
def test_outcomes(records: dict[str, Record], case: str, outcome: str, reason: str) -> None:
    record = records[case]
    assert record.outcome == outcome
    assert record.reason.startswith(reason)
    assert bool(record.reason) is bool(reason)
    assert (record.expected_failure, record.unexpected) == ("", "")


@pytest.mark.parametrize(
    ("case", "outcome", "departure"),
    [
        ("known_failure", "fail", ""),
        ("known_crash", "crash", ""),
        ("numbers[2]", "fail", ""),
        ("known_but_passes", "pass", "expected fail, but it passes now"),
        ("known_but_another_message", "fail", "failed with another message than 'some other words'"),
        ("known_but_another_outcome", "error", "expected fail, got error"),
    ],
)
def test_known_failures(records: dict[str, Record], case: str, outcome: str, departure: str) -> None:
    record = records[case]
    assert record.outcome == outcome
    assert record.unexpected.startswith(departure)
    assert bool(record.unexpected) is bool(departure)
    assert record.expected_failure == "for a reason"
    assert record.issue == "#1"


def test_every_case_is_recorded_once_and_nothing_else(run: Run, records: dict[str, Record]) -> None:
    checks = SUITE.count("\ndef test_") + 1  # two numbers
    assert len(run.records) == len(records) == checks - 1, "all but the full tier's"
    assert run.header.selected == len(records)
    assert run.footer is not None
    assert run.footer.collected == len(records)


def test_known_failure_without_a_case_is_a_problem_of_the_run(run: Run) -> None:
    assert run.footer is not None
    assert len(run.footer.problems) == 1
    assert "area/no_such_case*" in run.footer.problems[0]


def test_details_of_records(records: dict[str, Record]) -> None:
    passed, crashed, raised = records["passes"], records["crashes"], records["raises_there"]
    assert passed.title == "Echoes are equal."
    assert passed.claims == ("000-save",)
    assert (passed.comparisons, passed.elements, passed.measures, passed.notes) == (
        1,
        6,
        {"n": 6},
        ("a note",),
    )
    assert passed.nodeid == "suites/test_area.py::test_passes"
    assert passed.started.endswith("Z")
    assert passed.duration_s > 0
    assert crashed.failure is not None
    assert crashed.failure.signal == "SIGSEGV"
    assert "Segmentation fault" in crashed.failure.log_tail
    assert raised.failure is not None
    assert "selftest.py" in raised.failure.traceback
    assert records["fails"].details[0].worst.startswith("[1]")


def test_exit_status_verdict_and_terminal(done: subprocess.CompletedProcess[str], run: Run) -> None:
    assert done.returncode == 1
    verdict = summary.verdict(run)
    assert verdict.status == "fail"
    assert verdict.sentence in done.stdout
    assert "known failure: expected fail, but it passes now" in done.stdout
    assert "Traceback" not in done.stderr


def test_files_of_a_run(folder: Path, run: Run) -> None:
    assert {"records.jsonl", "index.html", "junit.xml", "logs"} <= {
        path.name for path in run.folder.iterdir()
    }
    assert "area/crashes" in (run.folder / "index.html").read_text()
    assert "the last words" in "".join(log.read_text() for log in (run.folder / "logs").iterdir())


def test_benchmark_json_tells_the_environment_under_test(folder: Path, run: Run) -> None:
    data = json.loads((folder / "reports" / "bench.json").read_text())
    assert [entry["name"] for entry in data["benchmarks"]] == ["test_timed"]
    assert data["machine_info"]["environment_under_test"]["paddle"] == run.header.environment["paddle"]
    assert data["harness"]["run"] == run.header.run
    assert data["harness"]["outcomes"] == summary.outcome_counts(run)
    assert json.loads((run.folder / "benchmark.json").read_text()) == data


def test_header_tells_options_and_environment(run: Run) -> None:
    assert run.header.options["python"] == sys.executable
    assert run.header.environment["paddle"]["version"]
    assert run.header.environment["dataset"]["train"] > 0
    assert run.header.harness["packages"]["pytest"] == pytest.__version__
    assert len(run.header.harness["source"]) == 64
    assert "000-save" in run.header.claims


def test_no_paddle_in_the_process_of_pytest(folder: Path, run: Run) -> None:
    assert (folder / "paddle_modules.txt").read_text() == "[]"


def test_no_worker_is_left(run: Run) -> None:
    logs = str(run.folder / "logs")
    left = [p for p in psutil.process_iter() if any(logs in file for file in _open_files(p))]
    assert left == []


def _open_files(process: psutil.Process) -> list[str]:
    try:
        return [str(link.resolve()) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
    except (OSError, psutil.Error):
        return []


# What was asked for


def test_tests_outside_the_suites_are_left_alone(folder: Path, command: Command) -> None:
    done = command(folder, "pytest", "suites", "tests", "-k", "outside or numbers", "--folder=both", "-v")
    found = read_run(folder / "both")
    assert "test_outside PASSED" in done.stdout
    assert [record.case for record in found.records] == ["area/numbers[1]", "area/numbers[2]"]
    assert done.returncode == 0, done.stdout
    assert found.footer is not None
    assert found.footer.problems == (), "a part of the suites cannot tell which known failures are stale"


def test_without_suites_the_plugin_does_nothing(folder: Path, command: Command) -> None:
    before = sorted((folder / "reports").glob("*"))
    done = command(folder, "pytest", "tests", "-q")
    assert done.returncode == 0
    assert "conformance" not in done.stdout
    assert sorted((folder / "reports").glob("*")) == before


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--claims=no-such", "no claim named no-such: choose from 000-train"),
        ("--models=lenett", "no model named lenett: choose from "),
        pytest.param("--targets=jit,jot", "no target named jot: choose from dygraph", marks=pytest.mark.slow),
        ("--call-timeout=0", "--call-timeout 0: give a number above 0"),
        ("--folder=both", "already holds a run: name another folder"),
    ],
)
def test_wrong_options_are_one_sentence(folder: Path, command: Command, option: str, words: str) -> None:
    if option.startswith("--folder"):
        (folder / "both").mkdir(exist_ok=True)
        (folder / "both" / "records.jsonl").touch()
    before = sorted((folder / "reports").glob("*"))
    done = command(folder, "pytest", "suites", "-q", option)
    assert done.returncode == 4, done.stdout + done.stderr
    text = done.stdout + done.stderr
    errors = [line for line in text.splitlines() if line.startswith("ERROR")]
    assert len(errors) == 1
    assert words in errors[0]
    assert "Traceback" not in text
    assert sorted((folder / "reports").glob("*")) == before, "no empty run is left behind"


@pytest.mark.slow
def test_unknown_claim_of_a_check_is_one_sentence(project: Project, command: Command) -> None:
    source = "import pytest\n@pytest.mark.claims('9-x')\ndef test_a(case):\n    case.exact('a', 1, 1)\n"
    done = command(project({"suites/test_a.py": source}), "pytest", "suites")
    assert done.returncode == 4
    assert "suites/test_a.py::test_a names unknown claims 9-x" in done.stdout + done.stderr
