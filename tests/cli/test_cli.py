"""The command line, run for real: its output, its exit statuses, its sentences."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import harness
from conftest import Command, Ended, InProcess, child_environment
from harness.cli.gate import _parted
from harness.cli.main import Commands
from harness.jobs.watch import Follower
from harness.records.files import read_run

Project = Callable[[dict[str, str]], Path]

SUITE = '''
import os
import time

import pytest

from harness.checks.case import Case, close_all


@pytest.mark.claims("002-formats")
def test_agrees(case, executor, model, target):
    """Outputs are those of the oracle."""
    feeds = [executor.sample(model, 2)]
    outputs = executor.execute(target, model, feeds).outputs
    close_all(case, "run", outputs[0], executor.oracle(model, feeds)[0], executor.tolerances(model, feeds))


def test_mended(case):
    case.exact("mended", os.path.exists("mended"), True)


@pytest.mark.full
def test_slow(case):
    case.exact("value", 1, 1)
    time.sleep(60)


@pytest.mark.full
def test_after(case):
    case.exact("value", 1, 1)
'''
NARROW = ("--models=lenet", "--targets=jit,predictor-onednn")


@pytest.fixture(scope="module")
def folder(project: Project) -> Path:
    return project({"suites/test_area.py": SUITE})


@pytest.fixture(scope="module")
def done(folder: Path, command: Command) -> subprocess.CompletedProcess[str]:
    return command(folder, "harness.cli", "run", *NARROW, "--benchmark-json", "out.json")


def test_run_tells_verdict_and_page_and_ends_as_pytest_did(
    folder: Path, done: subprocess.CompletedProcess[str]
) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "    fail  area/mended: 1 of 1 comparisons failed" in lines[0]
    assert "does not pass: 1 unexpected result (1 fail)" in lines[-2]
    page = Path(lines[-1].removeprefix("page: "))
    assert page.is_file()
    assert page.parent.resolve() == (folder / "reports" / "latest").resolve()
    assert done.stderr == ""
    assert read_run(page.parent).header.selected == 3


def test_report_renders_again(folder: Path, done: subprocess.CompletedProcess[str], command: Command) -> None:
    again = command(folder, "harness.cli", "report", "latest", "--html", "copy.html")
    assert again.returncode == 1
    assert again.stdout.splitlines()[0] == done.stdout.splitlines()[-2]
    assert "area/mended" in (folder / "copy.html").read_text()


def test_rerun_says_then_and_now(
    folder: Path, done: subprocess.CompletedProcess[str], command: Command
) -> None:
    latest = (folder / "reports" / "latest").resolve()
    (folder / "mended").touch()
    try:
        mended = command(folder, "harness.cli", "rerun", "latest", "mended")
    finally:
        (folder / "mended").unlink()
    then, now = mended.stdout.splitlines()
    assert then.startswith("then: fail: 1 of 1 comparisons failed")
    assert now == "now:  pass"
    assert mended.returncode == 0
    assert (folder / "reports" / "latest").resolve() == latest, "a single case is no newer run"


@pytest.mark.parametrize("target", [pytest.param("jit", marks=pytest.mark.slow), "predictor-onednn"])
def test_script_needs_no_harness_and_finds_a_wrong_weight(
    folder: Path, done: subprocess.CompletedProcess[str], command: Command, python: str, target: str
) -> None:
    out = folder / f"script-{target}"
    made = command(
        folder,
        "harness.cli",
        "rerun",
        "latest",
        f"agrees[lenet-{target}]",
        "--script",
        "--folder",
        str(out),
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[0] == f"written: {out}/repro.py"
    text = (out / "repro.py").read_text()
    assert "import harness" not in text
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-I", str(out / "repro.py")],
            cwd="/",
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    good = run()
    assert good.returncode == 0, good.stdout + good.stderr
    assert "0 of 7 outputs disagree" in good.stdout
    expected = out / "expected-3-0.npy"
    wrong = np.load(expected)
    wrong[1, 2] += 1e-3
    np.save(expected, wrong)
    bad = run()
    assert bad.returncode == 1
    assert "run 3 (batch 3), output 0: DISAGREES" in bad.stdout
    assert "1 of 7 outputs disagree" in bad.stdout


def test_script_of_another_kind_of_case_is_refused(
    folder: Path, done: subprocess.CompletedProcess[str], command: Command
) -> None:
    refused = command(folder, "harness.cli", "rerun", "latest", "mended", "--script")
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "area/mended cannot be written as plain Paddle calls: use `harness rerun` without --script"
    ]


# Interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_interrupted_run_ends_its_pytest_and_keeps_its_records(
    folder: Path, command: Command, number: signal.Signals
) -> None:
    target = folder / f"interrupted-{number.name}"
    child = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "run", "--tier=full", *NARROW, f"--folder={target}",
         "--", "-k", "mended or slow or after"],
        cwd=folder, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    follower = Follower(target)
    end = time.monotonic() + 60
    while not follower.current().startswith("test_area.py::test_slow") and time.monotonic() < end:
        time.sleep(0.1)
    started = time.monotonic()
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert time.monotonic() - started < 20
    assert child.returncode == 2, out + err
    assert err.splitlines() == [f"interrupted after 1 of 3 cases; see them with: harness report {target}"]
    run = read_run(target)
    assert [record.case for record in run.records] == ["area/mended"]
    assert not run.complete
    if number is signal.SIGINT:
        assert command(folder, "harness.cli", "report", str(target)).returncode == 3


# Sentences


Here = Callable[..., Ended]


@pytest.fixture
def here(folder: Path, in_process: InProcess) -> Here:
    return functools.partial(in_process, folder)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("run", "--claims=nope"), 4, "no claim named nope: choose from"),
        pytest.param(
            ("run", "--python=/no/such"), 4, "/no/such is not an interpreter", marks=pytest.mark.slow
        ),
        (("run", "--tier=endless"), 2, "endless"),
        (("run", "--folder=/proc/x"), 1, "the run folder /proc/x cannot be made"),
        (("report", "nosuch"), 1, "no run nosuch: "),
        (("report", "conftest.py"), 1, "conftest.py"),
        (("rerun", "nosuch", "a"), 1, "no run nosuch: "),
        (("list", "nonsense"), 2, "nonsense"),
        (("list", "models", "--python=/no/such"), 1, "/no/such is not an interpreter"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_mistakes_are_sentences(
    folder: Path, command: Command, here: Here, arguments: tuple[str, ...], status: int, words: str
) -> None:
    before = sorted((folder / "reports").glob("*"))
    done = command(folder, "harness.cli", *arguments) if status == 4 else here(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    if status != 2:
        assert len(done.stderr.splitlines()) == 1
    assert sorted((folder / "reports").glob("*")) == before


def test_version_and_help(folder: Path, command: Command, here: Here) -> None:
    assert command(folder, "harness.cli", "--version").stdout == f"harness {harness.__version__}\n"
    text = here("--help").stdout
    assert all(name in text for name in ("run", "list", "report", "rerun", "doctor"))
    assert all(name in text for name in Commands.lazy), "what is imported when it is called"


# Lists and doctor


@pytest.mark.parametrize(
    ("kind", "name", "missing"),
    [
        pytest.param("models", "lenet", [], marks=pytest.mark.slow),
        pytest.param("recipes", "checkpoint", [], marks=pytest.mark.slow),
        pytest.param("runtimes", "predictor", None, marks=pytest.mark.slow),
        ("targets", "predictor-onednn", None),
        ("checks", "area/agrees", []),
    ],
)
def test_lists(
    folder: Path, command: Command, here: Here, kind: str, name: str, missing: list[str] | None
) -> None:
    # Checks are imported, and this process has a `suites` package of its own.
    arguments = ("list", kind, "--json")
    done = command(folder, "harness.cli", *arguments) if kind == "checks" else here(*arguments)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert name in rows
    if missing is not None:
        assert [row for row in rows.values() if row["missing"]] == missing
    if kind == "targets":
        gpu = rows["predictor-gpu"]["missing"]
        assert gpu is None or "CPU build" in gpu or "no GPU" in gpu
    if kind == "checks":
        assert rows[name]["claims"] == ["002-formats"]
        assert rows[name]["title"] == "Outputs are those of the oracle."
        assert rows["area/slow"]["tier"] == "full"


def test_claims_without_a_check_are_missing(folder: Path, command: Command) -> None:
    done = command(folder, "harness.cli", "list", "claims", "--missing")
    assert done.returncode == 0
    assert "000-save" in done.stdout
    assert "002-formats" not in done.stdout


@pytest.mark.slow
def test_doctor_of_this_environment(here: Here) -> None:
    done = here("doctor")
    assert done.returncode == 0, done.stdout
    assert "the main job can run" in done.stdout


def test_doctor_of_no_environment(here: Here) -> None:
    done = here("doctor", "--python", "/no/such")
    assert done.returncode == 1
    assert "name the interpreter of the environment under test with --python" in done.stdout


# Following


def test_follower_reads_whole_lines_only(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    assert list(follower.news()) == []
    assert follower.current() == ""
    path = tmp_path / "records.jsonl"
    path.write_text('{"kind":"run","selected":2}\n{"kind":"case","case":"a/b","outc')
    assert list(follower.news()) == []
    assert follower.selected == 2
    with path.open("a") as file:
        file.write('ome":"pass"}\n')
    assert [record["case"] for record in follower.news()] == ["a/b"]
    assert (follower.done, follower.text) == (1, "1 pass")
    assert list(follower.news()) == []
    (tmp_path / "pytest.log").write_text("x PASSED\nsuites/test_a.py::test_b[a/c] ")
    assert follower.current() == "test_a.py::test_b[a/c]"
    for end in ("", "\n"):
        (tmp_path / "pytest.log").write_text(f"suites/test_a.py::test_b[a/c] PASSED [ 10%]{end}")
        assert follower.current() == ""


@pytest.mark.parametrize(
    ("given", "releases", "extra"),
    [
        ([], [], []),
        (["2.6.2", "3.3.1"], ["2.6.2", "3.3.1"], []),
        (["3.3.1", "-k", "test_states or jit"], ["3.3.1"], ["-k", "test_states or jit"]),
        (["-x", "-k=jit"], [], ["-x", "-k=jit"]),
    ],
)
def test_matrix_takes_pytest_options_with_their_values(
    given: list[str], releases: list[str], extra: list[str]
) -> None:
    assert _parted(given) == (releases, extra)
