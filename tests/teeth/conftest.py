"""One executor for all mutants, and the kill rate in the terminal summary."""

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
from harness.targets import target
from teeth.machinery import Teeth, ThriftyPool

DEADLINE_S = 60.0
TEETH = pytest.StashKey[Teeth]()
LAST = "test_every_assertion_is_killed"


@pytest.fixture(scope="session")
def teeth(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teeth]:
    """Workers and an executor of the mutants' own: no other test meets what they disturbed."""
    if importlib.util.find_spec("paddle") is None:
        pytest.skip(
            f"{sys.executable} has no Paddle: mutants are of real executions, so install the paddle extra"
        )
    pool = ThriftyPool(tmp_path_factory.mktemp("logs"), sys.executable, DEADLINE_S)
    store = Store(Path(default_store()))
    executor = Executor(ArtifactBuilder(pool, store, *locate("packaged", store)), target.load())
    teeth = pytestconfig.stash[TEETH] = Teeth(executor, lambda: tmp_path_factory.mktemp("mutant"))
    yield teeth
    pool.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # It looks at what all the others did.
    items.sort(key=lambda item: item.name == LAST)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    teeth = config.stash.get(TEETH, None)
    if teeth is not None:
        terminalreporter.section("teeth")
        for line in teeth.summary():
            terminalreporter.write_line(line)
