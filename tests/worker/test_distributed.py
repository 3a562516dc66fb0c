"""Jobs of several processes: nothing of them is left, whatever ends them."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import pytest

from harness.execution.executor import Executor
from harness.pool.workers import RemoteError, WorkerPool, WorkerTimeout

LONG_S = 60.0
HANGS = {"fault": {"rank": 1, "step": 0, "how": "hangs"}}
"""Without it a machine may be done before any deadline that a test can wait for."""


def there(mark: str) -> list[str]:
    """Processes that were started with this variable."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in file.read_bytes():
                found.append(file.parent.name)
        except OSError:
            continue
    return found


def gone(mark: str) -> bool:
    """Whether they are, in a moment."""
    until = time.monotonic() + 5
    while there(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_job_that_hangs_ends_by_its_deadline(executor: Executor) -> None:
    mark = uuid.uuid4().hex
    done = executor.pool.call(
        "training.distributed.run",
        digits=str(executor.builder.digits),
        config=HANGS,
        variables={"TEST_MARK": mark},
        limit_s=6.0,
    )
    assert done["ended"] == "by the deadline"
    assert done["statuses"] == [None]
    assert done["left"] > 0
    assert there(mark) == []


def test_nothing_survives_the_worker_that_runs_it(bare_pool: WorkerPool, executor: Executor) -> None:
    mark = uuid.uuid4().hex
    with pytest.raises(WorkerTimeout):
        bare_pool.call(
            "training.distributed.run",
            deadline=6.0,
            digits=str(executor.builder.digits),
            config=HANGS,
            variables={"TEST_MARK": mark},
            limit_s=LONG_S,
            processes=2,
        )
    assert gone(mark)


def test_a_configuration_that_means_nothing_is_refused(executor: Executor) -> None:
    with pytest.raises(RemoteError, match="unknown configuration of a training: epoch"):
        executor.pool.call(
            "training.distributed.run", digits=str(executor.builder.digits), config={"epoch": 3}
        )
