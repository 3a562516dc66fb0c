"""The wheel, without a checkout: in any folder the suites run, and what they write stays there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
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


@pytest.mark.slow
def test_beside_paddle_in_one_environment(installed: Path, tmp_path: Path, python: str) -> None:
    """The harness and Paddle in one folder of packages, as `pip install` puts them."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("python3.*/site-packages")
    shutil.copytree(installed, packages, dirs_exist_ok=True)
    for path in Path(np.__file__).parents[1].iterdir():
        if path.suffix != ".pth" and not (packages / path.name).exists():
            (packages / path.name).symlink_to(path)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-m", "harness.cli", "list"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "lenet" in done.stdout


def test_a_suites_folder_of_the_users_own_is_left_alone(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "suites" / "deep").mkdir(parents=True)
    (tmp_path / "suites" / "test_mine.py").write_text("raise RuntimeError")
    for folder in (tmp_path, tmp_path / "suites" / "deep"):
        done = started(installed, folder, "harness.cli", "list", "checks")
        assert done.returncode == 0, done.stderr
        assert "topology/parameters" in done.stdout
        assert "mine" not in done.stdout


@pytest.mark.slow
def test_settings_and_suites_of_the_users_own_change_no_run(
    installed: Path, tmp_path: Path, python: str
) -> None:
    """A project around the environment that the harness is installed in has settings for its own tests."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise RuntimeError")
    packages = shutil.copytree(installed, tmp_path / "packages")
    (tmp_path / "work" / "suites").mkdir(parents=True)
    (tmp_path / "work" / "suites" / "test_mine.py").write_text("raise RuntimeError")
    chosen = ("--models", "lenet", "--python", python)
    done = started(
        packages, tmp_path / "work", "harness.cli", "run", *chosen, "--", "-k", "topology and smaller"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "pytest.ini").unlink()  # pytest itself heeds them
    (tmp_path / "conftest.py").unlink()
    named = ("-p", "harness.plugin", "--pyargs", "suites")
    done = started(packages, tmp_path / "work", "pytest", "-q", *named, *chosen, "-k", "topology and smaller")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [path for path in (tmp_path / "work" / "reports").iterdir() if not path.is_symlink()]
    assert [len(cases(run)) for run in runs] == [1, 1]


def test_an_option_pytest_does_not_know_is_named(installed: Path, tmp_path: Path, python: str) -> None:
    done = started(installed, tmp_path, "harness.cli", "run", "--python", python, "--", "--no-such-option")
    assert done.returncode == 4
    assert done.stderr == "unrecognized arguments: --no-such-option\n"


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
    assert done.stderr.startswith("there is no Paddle in the harness's environment: `harness run --paddle 3.")
    assert os.listdir(tmp_path) == []
