"""Real workers and a real store for the tests; nothing of Paddle is mocked."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.artifacts.builder import ArtifactBuilder
from harness.artifacts.datasets import locate
from harness.artifacts.store import Store
from harness.cli.main import main
from harness.core.choices import default_store
from harness.core.paths import PROJECT, ROOT
from harness.execution.executor import Executor
from harness.pool.templates import Templates
from harness.pool.workers import WorkerPool
from harness.targets import target

DEADLINE_S = 60.0

# A process of pytest-xdist says so in its environment, and pytest-benchmark would time nothing in those that
# the tests start.
os.environ.pop("PYTEST_XDIST_WORKER", None)


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter under test: the running one, which needs Paddle for these tests."""
    # find_spec looks, without importing.
    if importlib.util.find_spec("paddle") is None:
        pytest.skip(f"{sys.executable} has no Paddle: install the project's paddle extra to run this test")
    return sys.executable


@pytest.fixture(scope="session", autouse=True)
def templates() -> Iterator[Templates]:
    """What the workers of all tests are forked from, those of the commands that they run too."""
    templates = Templates()
    with templates.shared():
        yield templates
    templates.close()


@pytest.fixture(scope="session")
def pool(python: str, tmp_path_factory: pytest.TempPathFactory, templates: Templates) -> Iterator[WorkerPool]:
    """Workers with Paddle, shared by all tests that leave them healthy."""
    pool = WorkerPool(tmp_path_factory.mktemp("logs"), python, DEADLINE_S, templates=templates)
    yield pool
    pool.close()


@pytest.fixture
def bare_pool(tmp_path: Path, templates: Templates) -> Iterator[WorkerPool]:
    """Workers of one test, which may kill them."""
    pool = WorkerPool(tmp_path / "logs", sys.executable, DEADLINE_S, templates=templates)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def executor(pool: WorkerPool) -> Executor:
    """An executor on the user's store, so that a second test run finds its artifacts made."""
    store = Store(Path(default_store()))
    digits, dataset = locate("packaged", store)
    return Executor(ArtifactBuilder(pool, store, digits, dataset), target.load())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with many slow tests first: where pytest-xdist runs them, none is left over at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


Command = Callable[..., "subprocess.CompletedProcess[str]"]


def child_environment() -> dict[str, str]:
    """Environment in which the harness imports from this checkout, whatever the folder."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "HARNESS_STORE": default_store(), "COLUMNS": "200"}


@pytest.fixture(scope="session")
def command() -> Command:
    """Run ``python -m module arguments`` in a folder, to its end."""

    def run(folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S * 2,
            check=False,
        )

    return run


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


InProcess = Callable[..., Ended]


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    """The command line in a folder, in this process, for what starts no pytest: its own takes a second."""

    def run(folder: Path, *arguments: str) -> Ended:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        return Ended(status, *capsys.readouterr())

    return run


CONFTEST = """
import pathlib
import sys

pytest_plugins = ["harness.plugin.hooks"]


def pytest_unconfigure(config):
    found = [name for name in sys.modules if name.split(".")[0] == "paddle"]
    (pathlib.Path(__file__).parent / "paddle_modules.txt").write_text(repr(found))
"""


@pytest.fixture(scope="session")
def project(python: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, str]], Path]:
    """Make a small checkout with suites: ``{"suites/test_x.py": source}``; its folder."""

    def make(files: dict[str, str]) -> Path:
        folder = tmp_path_factory.mktemp("project")
        marks = (
            "[pytest]\naddopts = --strict-markers -p no:cacheprovider -p no:hypothesispytest -p no:randomly\n"
        )
        for name, text in {
            "conftest.py": CONFTEST,
            "pytest.ini": marks,
            "pyproject.toml": f'[project]\nname = "{PROJECT}"\n',
            "suites/__init__.py": "",
            "suites/known_failures.toml": "",
            **files,
        }.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    return make
