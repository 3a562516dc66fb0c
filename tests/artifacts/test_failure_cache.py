"""Recipes that are remembered to fail: which are, when that is believed, and when not."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.artifacts.builder import ArtifactBuilder
from harness.artifacts.datasets import locate
from harness.artifacts.failure_cache import NOT_TRIED, FailureCache
from harness.artifacts.store import Store
from harness.core.types import RemoteFailure
from harness.execution.executor import Executor
from harness.pool.workers import RemoteError, WorkerCrash, WorkerFailure, WorkerPool, WorkerTimeout
from harness.targets import target

KEY = "0123"


def failure(kind: str = "TypeError", message: str = "clone(): incompatible arguments") -> RemoteError:
    return RemoteError("recipes.produce", RemoteFailure(kind, message, "Traceback …", "", "log"))


def test_believed_after_it_ended_twice_alike(tmp_path: Path) -> None:
    first, second, third = (FailureCache(tmp_path) for _ in range(3))
    first.note(KEY, failure())
    assert second.recall(KEY) is None
    second.note(KEY, failure())
    end = third.recall(KEY)
    assert isinstance(end, RemoteError)
    assert (end.call, end.failure.message) == ("recipes.produce", failure().failure.message)
    assert end.failure.log_tail == f"{NOT_TRIED}\nlog"
    assert (third.recalled, third.recall("another")) == (1, None)


def test_another_message_counts_from_one(tmp_path: Path) -> None:
    kept = FailureCache(tmp_path)
    for message in ("one", "two", "one"):
        kept.note(KEY, failure(message=message))
        assert kept.recall(KEY) is None


@pytest.mark.parametrize(
    "end",
    [
        failure("MemoryError"),
        failure("OSError", "No space left on device"),
        failure("RuntimeError"),
        WorkerCrash("recipes.produce", RemoteFailure("crash", "died", signal="SIGKILL")),
        WorkerTimeout("recipes.produce", RemoteFailure("TypeError", "no answer in 120 s")),
    ],
    ids=lambda end: f"{type(end).__name__}-{end.failure.type}",
)
def test_what_a_machine_can_be_to_blame_for_is_tried_again(tmp_path: Path, end: WorkerFailure) -> None:
    kept = FailureCache(tmp_path)
    for _ in range(3):
        kept.note(KEY, end)
    assert kept.recall(KEY) is None


def test_again_and_success_believe_nothing(tmp_path: Path) -> None:
    kept = FailureCache(tmp_path)
    for _ in range(2):
        kept.note(KEY, failure())
    assert FailureCache(tmp_path, again=True).recall(KEY) is None
    kept.forget(KEY)
    assert kept.recall(KEY) is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff"])
def test_a_damaged_note_is_none(tmp_path: Path, damage: bytes) -> None:
    kept = FailureCache(tmp_path)
    for _ in range(2):
        kept.note(KEY, failure())
    (tmp_path / f"{KEY}.failed").write_bytes(damage)
    assert kept.recall(KEY) is None


def test_a_lab_tries_a_failing_recipe_twice_and_then_recalls_it(python: str, tmp_path: Path) -> None:
    """A recipe that is given what it has no name for fails in Python, in every run."""
    store = Store(tmp_path / "store")
    ends, tried = [], []
    for run, again in enumerate((False, False, False, True)):
        pool = WorkerPool(tmp_path / str(run), python, 60.0)
        try:
            executor = Executor(
                ArtifactBuilder(pool, store, *locate("packaged", store), retry_failed=again), target.load()
            )
            with pytest.raises(RemoteError) as caught:
                executor.builder.artifact("ptq_static", "lenet", no_such_option=1, algo="hist")
        finally:
            pool.close()
        ends.append((caught.value.failure.type, caught.value.failure.message))
        tried.append(executor.builder.failures.recalled == 0)
    assert ends == [ends[0]] * 4
    assert "no_such_option" in ends[0][1]
    assert tried == [True, True, False, True]
