"""The wheel, without a checkout: in any folder the suites run, and what they write stays there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import child_environment
from harness.core.paths import ROOT

TWO = ("-k", "test_smaller or test_parameters")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a folder of their own; what it needs is taken from here."""
    folder = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), str(ROOT))
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".dist-info") == [
        "bin", "findings", "harness", "reference_models", "suites",
    ]  # fmt: skip
    return folder


def started(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**child_environment(), "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def cases(folder: Path) -> set[str]:
    lines = (folder / "records.jsonl").read_text().splitlines()
    return {line["case"] for line in map(json.loads, lines) if line["kind"] == "case"}


@pytest.mark.slow
def test_suites_run_in_an_empty_folder(installed: Path, tmp_path: Path, python: str) -> None:
    options = ("--models", "lenet", "--python", python, *TWO)
    done = started(
        installed,
        tmp_path,
        "pytest",
        "-q",
        "-p",
        "harness.plugin",
        "--pyargs",
        "suites.test_topology",
        *options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Paddle conformance" in done.stdout
    expected = {"topology/smaller_than_training_program[lenet]", "topology/parameters[lenet]"}
    assert cases(tmp_path / "reports" / "latest") == expected
    done = started(
        installed, tmp_path, "harness.cli", "run", "--models", "lenet", "--", "-k", "topology and smaller"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [path for path in (tmp_path / "reports").iterdir() if not path.is_symlink()]
    assert sorted(len(cases(run)) for run in runs) == [1, 2]
    assert set(os.listdir(tmp_path)) <= {"reports", ".benchmarks"}, "the second is pytest-benchmark's own"
    assert not (installed / "reports").exists()


def test_version_is_that_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    (found,) = installed.glob("paddle_conformance-*.dist-info")
    version = found.stem.partition("-")[2]
    assert started(installed, tmp_path, "harness.cli", "--version").stdout == f"harness {version}\n"


def test_other_sessions_see_nothing_of_it(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    done = started(installed, tmp_path, "pytest", "-q", "test_other.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--call-timeout" not in started(installed, tmp_path, "pytest", "--help").stdout
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".py") == ["test_other.py"]


def test_without_paddle_a_run_says_what_to_do(installed: Path, tmp_path: Path) -> None:
    """What looks for Paddle finds none: the rest of the environment has to be there."""
    hidden = "import importlib.util as u, sys; u.find_spec = lambda name, *more: None"
    code = f"{hidden}; sys.argv[1:] = ['run']; from harness.cli.main import main; main()"
    environment = {**child_environment(), "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("there is no Paddle beside the harness: `harness run --paddle 3.")
    assert os.listdir(tmp_path) == []
