"""`harness gate`, run for real: an environment against itself, sabotaged copies, earlier runs, mistakes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import Command
from gate.sabotage import SABOTAGES, copy_of
from harness.core.paths import ROOT
from harness.records.files import read_run

NARROW = ("--models=lenet", "--no-confirm", "--", "suites/test_upgrade.py", "suites/test_roundtrip.py")
KEPT = "-k=upgrade or network_state or optimizer_state"


def gate_json(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "gate.json").read_text())
    return found


@pytest.fixture(scope="module")
def passed(python: str, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gate of this environment against itself."""
    folder = tmp_path_factory.mktemp("gate") / "itself"
    done = command(ROOT, "harness.cli", "gate", python, python, "--folder", str(folder), *NARROW, KEPT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passes: " in done.stdout
    return folder


def test_an_environment_against_itself_passes(passed: Path) -> None:
    result = gate_json(passed)
    assert (result["status"], result["exit_status"]) == ("pass", 0)
    assert {name: count for name, count in result["counts"].items() if count} == {
        "same": len(result["changes"])
    }
    assert result["comparable"] > 10
    assert result["identical"] == result["identical_of"] > 5
    assert result["differences"] == []
    assert {cell["producer"] for cell in result["grid"]} == {cell["consumer"] for cell in result["grid"]}
    for name in ("gate.html", "junit.xml", "summary.md", "baseline/index.html", "candidate/records.jsonl"):
        assert (passed / name).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_sabotaged_copy_is_blocked(
    python: str, passed: Path, command: Command, tmp_path: Path, sabotage: str
) -> None:
    """The baseline is the run of the untouched environment; the candidate its copy with one fault."""
    other = copy_of(python, tmp_path / "copy", SABOTAGES[sabotage])
    folder = tmp_path / "gate"
    baseline = str(passed / "baseline")
    done = command(ROOT, "harness.cli", "gate", baseline, other, "--folder", str(folder), *NARROW, KEPT)
    assert done.returncode == 1, done.stdout + done.stderr
    result = gate_json(folder)
    blocking = [change for change in result["changes"] if change.get("blocks")]
    assert blocking
    assert {change["verdict"] for change in blocking} == {"broken"}
    assert result["baseline"]["reused"]
    told = {change["case"].partition("[")[0] for change in blocking}
    expected = "upgrade/resumed_training" if "step count" in sabotage else "upgrade/states"
    assert expected in told
    if "step count" in sabotage:
        # It loads what was saved, and computes what it should: only a training that goes on tells.
        assert "upgrade/outputs" not in told


@pytest.mark.slow
def test_an_untouched_copy_passes(python: str, passed: Path, command: Command, tmp_path: Path) -> None:
    other = copy_of(python, tmp_path / "copy")
    folder = tmp_path / "gate"
    done = command(
        ROOT,
        "harness.cli",
        "gate",
        str(passed / "baseline"),
        other,
        "--folder",
        str(folder),
        *NARROW,
        KEPT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_earlier_runs_stand_for_both_sides(passed: Path, command: Command, tmp_path: Path) -> None:
    """Nothing is run: a run that lost its end, and one in which a case is missing."""
    cut = tmp_path / "cut"
    shutil.copytree(passed / "candidate", cut)
    records = cut / "records.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    arguments = ("gate", str(passed / "baseline"), str(cut), "--models=lenet", "--folder")

    records.write_text("".join(lines[:-3]))
    done = command(ROOT, "harness.cli", *arguments, str(tmp_path / "interrupted"))
    assert done.returncode == 3, done.stdout
    assert "did not come to its end" in done.stdout

    records.write_text("".join([*lines[:-2], lines[-1]]))
    done = command(ROOT, "harness.cli", *arguments, str(tmp_path / "missing"))
    assert done.returncode == 1, done.stdout
    (change,) = [c for c in gate_json(tmp_path / "missing")["changes"] if c["verdict"] != "same"]
    assert change["verdict"] == "missing"
    assert (
        change["case"].partition("[")[0] == read_run(passed / "candidate").records[-1].case.partition("[")[0]
    )


def test_the_step_summary_is_written(
    passed: Path, command: Command, tmp_path: Path, monkeypatch: Any
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    both = (str(passed / "baseline"), str(passed / "candidate"))
    done = command(ROOT, "harness.cli", "gate", *both, "--models=lenet", "--folder", str(tmp_path / "gate"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary.read_text().startswith("before\n")
    assert "PASS" in summary.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("9.9.9", "3.3.1"), "9.9.9"),
        (("nosuch.whl", "3.3.1"), "nosuch.whl"),
        (("3.3.1", "3.3.1", "--policy", "nosuch.toml"), "cannot read the policy nosuch.toml"),
        (("3.3.1",), "CANDIDATE"),
        (("3.3.1", "3.3.1", "--tier", "endless"), "endless"),
        (("3.0.0..3.3.1", "3.3.1"), "give one of them"),
    ],
)
def test_mistakes_end_with_usage(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    folder = tmp_path / "gate"
    done = command(ROOT, "harness.cli", "gate", *arguments, "--folder", str(folder))
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not folder.exists()


def test_a_folder_that_holds_a_gate_is_left_alone(passed: Path, command: Command) -> None:
    before = (passed / "gate.json").read_bytes()
    both = (str(passed / "baseline"), str(passed / "candidate"))
    done = command(ROOT, "harness.cli", "gate", *both, "--folder", str(passed))
    assert done.returncode == 2
    assert "already holds runs" in done.stderr
    assert (passed / "gate.json").read_bytes() == before
