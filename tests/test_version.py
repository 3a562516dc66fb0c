"""The version that a build gets, from real builds of real repositories."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from harness.core.paths import ROOT

HATCH = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
FALLBACK = HATCH["version"]["fallback-version"]
BUILT = ("pyproject.toml", "README.md", "LICENSE", ".gitattributes", ".git_archival.txt")


def done(*command: str, cwd: Path) -> str:
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def git(folder: Path, *arguments: str) -> str:
    return done("git", "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments, cwd=folder)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a wheel is built from, in a repository with one commit and no tag."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in BUILT:
        shutil.copy(ROOT / name, folder)
    for name in HATCH["build"]["targets"]["wheel"]["packages"]:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "x")
    return folder


def version_of_wheel(folder: Path) -> str:
    """Build with the build system that pyproject.toml names; it comes from the package index."""
    wheels = folder.parent / "wheels"
    done(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(folder), cwd=folder)
    (wheel,) = wheels.glob("*.whl")
    name, version, *_ = wheel.name.split("-")
    assert name == "paddle_conformance"
    return version


def version_of_editable(folder: Path) -> str:
    """What `harness.__version__` is where the checkout is installed as it lies there."""
    venv.create(folder.parent / "venv", with_pip=False)
    python = str(folder.parent / "venv" / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "-e", str(folder))
    done(*pip, cwd=folder)
    return done(python, "-c", "import harness; print(harness.__version__)", cwd=folder.parent).strip()


@pytest.mark.slow
def test_tag_is_the_version_of_wheel_and_editable(checkout: Path) -> None:
    git(checkout, "tag", "v9.9.9")
    assert version_of_wheel(checkout) == "9.9.9"
    assert version_of_editable(checkout) == "9.9.9"


@pytest.mark.slow
def test_archive_of_a_tag_knows_it(checkout: Path, tmp_path: Path) -> None:
    """As a forge's zip does, and the copy that a workflow gets of an action."""
    git(checkout, "tag", "v9.9.9")
    archive, folder = tmp_path / "archive.tar", tmp_path / "unpacked"
    git(checkout, "archive", "-o", str(archive), "v9.9.9")
    shutil.unpack_archive(archive, folder, filter="data")
    assert version_of_wheel(folder) == "9.9.9"


@pytest.mark.slow
def test_without_a_tag_it_is_a_step_to_the_next_version(checkout: Path) -> None:
    assert version_of_wheel(checkout) == FALLBACK.replace("dev0", "dev1")


@pytest.mark.slow
def test_without_git_it_is_the_fallback(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    assert version_of_wheel(checkout) == FALLBACK


def test_without_an_installation_it_is_unknown() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import harness; print(harness.__version__)"
    # -S: without the folder that holds what is installed.
    assert done(sys.executable, "-I", "-S", "-c", code, cwd=ROOT).strip() == "0+unknown"
