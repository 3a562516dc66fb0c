"""The fixture ``teeth``, which proves mutants, and the kill rate in the terminal summary: a pytest plugin.

Workers run in the interpreter that the fixture ``python`` names.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.builder import ArtifactBuilder
from harness.artifacts.datasets import locate
from harness.artifacts.store import Store
from harness.core.choices import default_store
from harness.execution.executor import Executor
from harness.plugin.selection import MARKERS
from harness.pool.workers import WorkerPool
from harness.targets import target
from suites.support.mutants.machinery import Teeth

DEADLINE_S = 60.0
TEETH = pytest.StashKey[Teeth]()


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter under test: the running one, which needs Paddle."""
    if importlib.util.find_spec("paddle") is None:
        pytest.skip(
            f"{sys.executable} has no Paddle: mutants are of real executions, so install the paddle extra"
        )
    return sys.executable


@pytest.fixture(scope="session")
def teeth(
    python: str, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Teeth]:
    """Workers and an executor of the mutants' own: no other test meets what they disturbed."""
    pool = WorkerPool(tmp_path_factory.mktemp("logs"), python, DEADLINE_S)
    store = Store(Path(default_store()))
    executor = Executor(ArtifactBuilder(pool, store, *locate("packaged", store)), target.load())
    teeth = pytestconfig.stash[TEETH] = Teeth(executor, lambda: tmp_path_factory.mktemp("mutant"))
    yield teeth
    pool.close()


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:  # those of the checks, where no run of the suites declares them
        config.addinivalue_line("markers", marker)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    teeth = config.stash.get(TEETH, None)
    if teeth is not None:
        terminalreporter.section("teeth")
        for line in teeth.summary():
            terminalreporter.write_line(line)
