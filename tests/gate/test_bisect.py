"""A binary search over environments: the search itself, and real runs of one case in each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Command, child_environment
from harness.cli import bisect as bisect_cli
from harness.core.choices import default_store
from harness.core.errors import UsageError
from harness.core.options import Options
from harness.core.types import Comparison, Record, RemoteFailure
from harness.environments import uv
from harness.environments.specs import parse
from harness.gate import bisect
from harness.gate.bisect import Bisection, Result, Step, Verdict, candidates, search
from harness.jobs.suites import producer_of

Project = Callable[[dict[str, str]], Path]


# The search


@given(st.data())
def test_search_finds_the_change_or_what_hides_it(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 40))
    first_bad = data.draw(st.integers(1, count - 1))
    skips = data.draw(st.sets(st.integers(1, count - 2), max_size=8)) if count > 2 else set()
    tried: list[int] = []

    def judge(position: int) -> Verdict:
        tried.append(position)
        if position in skips:
            return "skipped"
        return "bad" if position >= first_bad else "good"

    found = search(count, judge)
    assert found.last_good < first_bad <= found.first_bad
    assert list(found.skipped) == list(range(found.last_good + 1, found.first_bad))
    assert set(found.skipped) <= skips, "only what could not be judged stays open"
    assert len(tried) == len(set(tried)), "nothing is run twice"
    assert not {0, count - 1} & set(tried), "the ends have been run before"
    if not skips:
        assert len(tried) <= count.bit_length()
        assert found == (first_bad - 1, first_bad, ())


# What is searched


def asked(good: str = "", bad: str = "", between: str = "") -> list[str]:
    return [spec.asked for spec in candidates(good, bad, between)]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("3.2.2", "3.3.1"), ["3.2.2", "3.3.0", "3.3.1"]),
        (("3.2.2", "3.3.0"), ["3.2.2", "3.3.0"]),
        (("", "3.1.0"), ["2.6.2", "3.0.0", "3.1.0"]),
        (("3.2.2", ""), ["3.2.2", "3.3.0", "3.3.1"]),
        (("", "", "3.0..3.1.1"), ["3.0.0", "3.1.0", "3.1.1"]),
        (("3.0.0", "3.3.1", ">=3.2,<3.3"), ["3.0.0", "3.2.0", "3.2.1", "3.2.2", "3.3.1"]),
        (
            ("3.2.2@legacy-ir", "3.3.1@legacy-ir"),
            ["3.2.2@legacy-ir", "3.3.0@legacy-ir", "3.3.1@legacy-ir"],
        ),
        (("2.6.2", "3.1.0@legacy-ir"), ["2.6.2", "3.0.0@legacy-ir", "3.1.0@legacy-ir"]),
        (("", "3.0.0@legacy-ir"), ["2.6.2@legacy-ir", "3.0.0@legacy-ir"]),
        (
            ("3.3.0", "https://x/nightly#paddlepaddle==3.4.0.dev1"),
            ["3.3.0", "3.3.1", "https://x/nightly#paddlepaddle==3.4.0.dev1"],
        ),
        (("3.3.0", "https://x/nightly"), ["3.3.0", "3.3.1", "https://x/nightly"]),
        (("3.3.1", sys.executable), ["3.3.1", sys.executable]),
    ],
)
def test_candidates_are_the_ends_and_the_releases_between(
    arguments: tuple[str, ...], found: list[str]
) -> None:
    assert asked(*arguments) == found


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("3.3.0", "3.2.0"), "the good end 3.3.0 is not before the bad end 3.2.0"),
        (("3.3.0", "3.3.0"), "is not before"),
        (("3.1..3.2", "3.3.0"), "--good 3.1..3.2 names 3 environments"),
        (("3.2.2", "3.3.0@legacy-ir"), "differ in profile"),
        (("", "", "3.3.1"), "is not before"),
        (("", "", sys.executable), "--releases takes releases"),
        (("3.9.9", ""), "is not a known release"),
    ],
)
def test_ends_that_cannot_be_meant(arguments: tuple[str, ...], part: str) -> None:
    with pytest.raises(UsageError) as raised:
        candidates(*(*arguments, "", "")[:3])
    assert part in str(raised.value)


def test_whose_files_a_case_loads(tmp_path: Path) -> None:
    assert bisect.producers("upgrade/outputs[lenet-from-self-jit]", ()) == []
    assert bisect.producers("agreement/first[lenet]", ()) == []
    with pytest.raises(UsageError, match="name it with --producer"):
        bisect.producers("upgrade/outputs[lenet-from-mine-jit]", ())
    (mine,) = bisect.producers("upgrade/outputs[lenet-from-mine-jit]", [f"{sys.executable}@legacy-ir"])
    assert (mine.python, mine.profile) == (sys.executable, "legacy-ir")
    assert producer_of(mine) == f"{mine.name}={sys.executable}@legacy-ir"


# Runs


SUITE = '''
import pathlib

import pytest


def release(executor):
    return pathlib.Path(executor.environment["interpreter"]).parents[1].name


def test_breaks(case, executor):
    """Good before v3; v1 and v2 cannot say."""
    if release(executor) in ("v1", "v2"):
        pytest.skip("no such thing here")
    case.exact("works", release(executor) < "v3", True)


def test_hides(case, executor):
    if release(executor) == "v1":
        pytest.skip("no such thing here")
    case.exact("works", release(executor) < "v1", True)


def test_passes(case, executor):
    case.exact("value", 1, 1)


def test_loads(case, producer, executor):
    case.exact("own files", producer.name, release(executor))
'''


@pytest.fixture(scope="module")
def folder(project: Project) -> Path:
    return project({"suites/test_area.py": SUITE})


@pytest.fixture(scope="module")
def releases(python: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Five virtual environments that share the installed Paddle, and differ in their names."""
    here = tmp_path_factory.mktemp("releases")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("v0", "v1", "v2", "v3", "v4"):
        subprocess.run([uv.binary(), "venv", "-q", "--python", python, str(here / name)], check=True)
        (own,) = (here / name / "lib").glob("python*/site-packages")
        (own / "paddle.pth").write_text(site)
    return [str(here / name) for name in ("v0", "v1", "v2", "v3", "v4")]


def bisection(
    case: str, specs: list[str], folder: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> Bisection:
    for name, value in child_environment().items():
        monkeypatch.setenv(name, value)
    options = Options(store=default_store(), models=("lenet",))
    told: list[str] = []
    return Bisection(case, [parse(text)[0] for text in specs], options, (), (), folder, runs, told.append)


@pytest.mark.slow
def test_first_bad_release_is_found_around_those_that_cannot_say(
    folder: Path, releases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = bisection("area/breaks", releases, folder, tmp_path / "runs", monkeypatch)
    status, sentence, found = search.run()
    steps = {Path(step.release).name: step for step in search.steps}
    assert [Path(step.release).name for step in search.steps] == ["v0", "v4", "v2", "v1", "v3"]
    assert {name: step.verdict for name, step in steps.items()} == {
        "v0": "good", "v1": "skipped", "v2": "skipped", "v3": "bad", "v4": "bad",
    }  # fmt: skip
    assert steps["v2"].reason == "no such thing here"
    assert found == (0, 3, (1, 2))
    assert status == bisect.INCONCLUSIVE, "each of the two that were skipped could be the first bad one"
    could = ", ".join(releases[1:4])
    assert sentence.startswith(f"the first bad release is one of {could}, the last good one is {releases[0]}")
    assert steps["v3"].record is not None
    assert steps["v3"].record.details[0].got == "False"
    assert (tmp_path / "runs" / "v3" / "records.jsonl").exists()


@pytest.mark.slow
def test_each_release_may_load_its_own_files(
    folder: Path, releases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = bisection("area/loads[from-self]", releases[:2], folder, tmp_path / "runs", monkeypatch)
    status, sentence, _ = search.run()
    assert {step.verdict for step in search.steps} == {"good"}
    assert [step.record.case for step in search.steps if step.record] == [
        "area/loads[from-v0]", "area/loads[from-v1]",
    ]  # fmt: skip
    assert (status, sentence) == (
        bisect.INCONCLUSIVE,
        f"{releases[1]} is good, not bad, so there is nothing to search: name another --bad",
    )


def test_end_that_is_not_what_it_is_said_to_be(
    folder: Path, releases: list[str], command: Command, tmp_path: Path
) -> None:
    ends = ("--good", releases[3], "--bad", releases[1], "--models=lenet", "--folder", str(tmp_path / "b"))
    done = command(folder, "harness.cli", "bisect", "area/breaks", *ends)
    assert done.returncode == 3, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"area/breaks in {releases[3]} … {releases[1]}: ")
    assert "bad      fail: 1 of 1 comparisons failed" in lines[1]
    assert "skipped  not-run: no such thing here" in lines[2]
    assert lines[3:5] == [
        f"skipped: {releases[1]}",
        f"{releases[3]} is bad, not good, so there is nothing to search: name another --good",
    ]
    result = msgspec.json.decode((tmp_path / "b" / "bisect.json").read_bytes(), type=Result)
    assert (result.exit_status, result.first_bad, len(result.steps)) == (3, "", 2)
    assert lines[-1] == f"written: {tmp_path / 'b' / 'bisect.json'}"
    again = command(folder, "harness.cli", "bisect", "area/breaks", *ends)
    assert (again.returncode, again.stderr.strip()) == (
        2,
        f"{tmp_path / 'b'} already holds a bisection: name another folder with --folder",
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nonsense",), "nonsense is not a case id: give area/check[parameters]"),
        (("nowhere/breaks",), "the areas are area"),
        (("area/nothing[lenet]",), "suites/test_area.py has no check nothing"),
        (("area/breaks", "--good", "3.3.0", "--bad", "3.1.0"), "is not before the bad end"),
    ],
)
def test_wrong_usage_starts_nothing(
    folder: Path, command: Command, arguments: tuple[str, ...], part: str
) -> None:
    done = command(folder, "harness.cli", "bisect", *arguments)
    assert done.returncode == 2, done.stdout
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "reports" / "bisect").exists()


def test_case_that_is_not_there_in_an_environment_is_told_in_pytests_words(
    folder: Path, releases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = bisection("area/passes[x]", releases[:2], folder, tmp_path / "runs", monkeypatch)
    status, sentence, found = search.run()
    assert (status, found) == (bisect.INCONCLUSIVE, None)
    assert "cannot be judged, so there is nothing to search: area/passes[x] could not be run: " in sentence
    assert "not found" in sentence


@pytest.mark.slow
def test_a_real_regression_is_bisected_to_its_release(command: Command, tmp_path: Path) -> None:
    """Paddle 3.0.0 broke `enable_memory_optim()` for the programs it writes."""
    case = "agreement/first_and_later_runs[lenet-predictor-memory]"
    where = tmp_path / "bisection"
    done = command(Path.cwd(), "harness.cli", "bisect", case, "--releases", "<3.1", "--folder", str(where))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the first bad release is 3.0.0, the last good one is 2.6.2" in done.stdout
    assert "A binary search assumes one change" in done.stdout
    result = msgspec.json.decode((where / "bisect.json").read_bytes(), type=Result)
    assert (result.last_good, result.first_bad, result.untried) == ("2.6.2", "3.0.0", ())
    bad = result.step("3.0.0")
    assert bad is not None
    assert bad.record is not None
    assert "memory_optimize_pass" in bad.record.reason


# What is told


def cells(good: Record, bad: Record) -> dict[str, tuple[str, str]]:
    table = bisect_cli.side_by_side(Step("a", "good", record=good), Step("b", "bad", record=bad))
    columns = [list(column.cells) for column in table.columns]
    return {str(what): (str(left), str(right)) for what, left, right in zip(*columns, strict=True)}


def test_neighbours_side_by_side() -> None:
    right = Comparison("output 0", "tolerance", True, 10, error=1e-6, allowed=1e-5)
    wrong = msgspec.structs.replace(right, ok=False, error=1.0, worst="[0]: got 1, expected 2", message="off")
    good = Record(
        case="c", nodeid="n", area="a", outcome="pass", comparisons=1, elements=10, details=(right,)
    )
    bad = Record(case="c", nodeid="n", area="a", outcome="fail", reason="r", comparisons=1, details=(wrong,))
    found = cells(good, bad)
    assert found["outcome"] == ("pass", "fail")
    assert found["reason"] == ("", "r")
    assert found["output 0"] == (
        "agrees\nerror 1e-06, allowed 1e-05",
        "off\nerror 1, allowed 1e-05\nworst at [0]: got 1, expected 2",
    )
    assert "failure" not in found
    message = "Traceback\n  File x\n\nsummary [Hint: x]\n---\n"
    died = Record(
        case="c", nodeid="n", area="a", outcome="error", failure=RemoteFailure("ValueError", message)
    )
    assert cells(good, died)["last line"] == ("", "summary [Hint: x]")
    assert cells(good, died)["failure"] == ("", "ValueError")


def result(**changes: Any) -> Result:
    fields: dict[str, Any] = {
        "case": "a/b", "exit_status": 0, "sentence": "it is c", "releases": ("a", "b", "c"), "started": "",
        "duration_s": 1.0, "command": "", "harness": "",
    }  # fmt: skip
    return Result(**{**fields, **changes})


def test_what_the_answer_rests_on_is_said() -> None:
    steps = (Step("a", "good"), Step("b", "skipped"), Step("c", "bad", outcome="fail"))
    found = list(bisect_cli.told(result(steps=steps, first_bad="c", last_good="a", untried=("x",))))
    assert found[1:] == ["skipped: b", "it is c", f"{bisect_cli.ASSUMES} Not tried: x."]
    other = (*steps, Step("d", "bad", outcome="crash"))
    assert "The bad ones fail differently, so there may be more than one change: c fail, d crash." in list(
        bisect_cli.told(result(steps=other, first_bad="c", last_good="a"))
    )
    wrong = list(bisect_cli.told(result(steps=steps[:1], sentence="nothing to search")))
    assert wrong == ["nothing to search"], "a search that did not start assumes nothing"
