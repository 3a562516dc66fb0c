"""A configuration of pip's for one test, and what uv and pip make of it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from support.packages import Served, pages, served, wheel

from harness.environments import index, managed, pip_configuration, uv
from harness.environments.manifest import Recipe
from harness.environments.plan import Plan

HERE = uv.Interpreter(sys.executable, platform.python_version())
WORD, WORD_IN_URL = "mia:s3cr3t@/%", "mia:s3cr3t%40%2F%25"
OWN = re.compile(r"(PIP|UV|SSL)_.*|(ALL|HTTPS?|NO)_PROXY", re.IGNORECASE)

Configure = Callable[[str], Path]


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Write a configuration file of pip's: all that names an index, a proxy or an authority here."""
    for name in filter(OWN.fullmatch, list(os.environ)):
        monkeypatch.delenv(name)
    empty = tmp_path / "no configuration"
    empty.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(empty))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(empty))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")

    def write(text: str) -> Path:
        path = tmp_path / "pip.conf"
        path.write_text(text)
        monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
        return path

    return write


@pytest.fixture
def alone(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """As ``configure``, and what this machine is configured with counts for nothing."""
    monkeypatch.setattr(pip_configuration, "files", lambda: [os.environ["PIP_CONFIG_FILE"]])
    return configure


def added(**told: str) -> dict[str, str]:
    return pip_configuration.handed_on(told)


def simple(folder: Path, *versions: str, name: str = "mini") -> Path:
    """An index with these versions, each of which says from where it is."""
    for version in versions:
        wheel(folder / "wheels", name, version, text=f"FROM = {folder.name!r}\n")
    return pages(folder / "wheels", folder / "simple")


def taken(tmp_path: Path, requirement: str = "mini") -> str:
    """What uv takes, with whatever it is configured with: ``mini==2.0``."""
    project = tmp_path / "pyproject.toml"
    project.write_text(index.project_text((requirement,), "mini"))
    compiled = ("pip", "compile", "-q", "--no-header", "--no-annotate", "--only-binary", ":all:")
    return uv.run(*compiled, str(project), cwd=tmp_path, what="mini").text.strip()


def downloaded(tmp_path: Path, *names: str) -> dict[str, Path]:
    """The wheels that pip takes, by package."""
    folder = tmp_path / "of pip"
    download = ("-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *names)
    done = subprocess.run([sys.executable, *download], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path.name.partition("-")[0]: path for path in folder.iterdir()}


def made(root: Path, *names: str) -> Path:
    """An environment with these packages, made from end to end."""
    recipe = Recipe(names[0], "release", "1.0", names, HERE.version, names[0], imports=names[0])
    managed.get_or_make(root, Plan(recipe, HERE))
    return root / recipe.folder


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pem(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def site(authority: trustme.CA, tmp_path: Path) -> Iterator[Served]:
    """An index over https with its own authority, for one user."""
    folder = simple(tmp_path / "own", "1.0")
    with served(folder, WORD, authority.issue_cert("127.0.0.1")) as site:
        yield site
