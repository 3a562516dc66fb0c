"""Workers that are forked from a template, and what happens where none can be."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from conftest import child_environment
from harness.pool.templates import FOLDER
from harness.pool.workers import WorkerCrash, WorkerPool
from tests.support.processes import gone, wait_until


@pytest.fixture
def own(python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerPool]:
    """A pool with templates of its own."""
    monkeypatch.delenv(FOLDER)
    pool = WorkerPool(tmp_path / "logs", python, 60)
    yield pool
    pool.close()


def parent(pool: WorkerPool) -> psutil.Process:
    found = psutil.Process(pool.warm().pid).parent()
    assert found is not None
    return found


def test_workers_are_forked_from_one_template(own: WorkerPool) -> None:
    template = parent(own)
    with own.fresh() as fresh, own.fresh(forked=False) as started:
        assert psutil.Process(fresh.pid).parent() == template
        assert psutil.Process(started.pid).parent() == psutil.Process()
        assert "paddle" in fresh.call("checks.selftest.modules", 60)
        assert "paddle" not in started.call("checks.selftest.modules", 60)
    own.close()
    assert wait_until(lambda: gone(template.pid), 5)
    assert not own.templates.folder.exists()


def test_each_environment_has_a_template(own: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paddle reads its flags when it is imported; the controller's variables are a worker's too."""
    flags = {"FLAGS_check_nan_inf": "1"}
    spec = own.default.with_env(flags)
    assert own.call("checks.selftest.environ", spec=spec, names=list(flags)) == flags
    assert psutil.Process(own.warm(spec).pid).parent() != parent(own)
    monkeypatch.setenv("HARNESS_TEST", "now")
    with own.fresh() as worker:
        found = worker.call("checks.selftest.environ", 60, names=["HARNESS_TEST"])
    assert found == {"HARNESS_TEST": "now"}


def test_where_the_template_is_gone_workers_are_started(own: WorkerPool) -> None:
    template = parent(own)
    template.kill()
    assert wait_until(lambda: gone(template.pid), 5)
    with own.fresh() as worker:
        assert worker.call("checks.selftest.echo", 60, value=1) == 1
        assert psutil.Process(worker.pid).parent() == psutil.Process()


def test_end_of_a_forked_worker_is_reported(own: WorkerPool) -> None:
    with own.fresh() as worker:
        psutil.Process(worker.pid).send_signal(signal.SIGKILL)
        with pytest.raises(WorkerCrash) as crash:
            worker.call("checks.selftest.echo", 60, value=1)
    assert crash.value.failure.signal == "SIGKILL"


def test_templates_can_be_shared(own: WorkerPool, tmp_path: Path) -> None:
    with own.templates.shared():
        other = WorkerPool(tmp_path / "other", own.default.python, 60)
    assert psutil.Process(other.warm().pid).parent() == parent(own)
    other.close()
    with own.fresh() as worker:  # the folder's owner ends them
        assert psutil.Process(worker.pid).parent() == parent(own)


KILLED = """
import sys, time
from pathlib import Path
from harness.pool.templates import FOLDER
from harness.pool.workers import WorkerPool
pool = WorkerPool(Path(sys.argv[1]), sys.executable, 60)
print(pool.warm().pid, pool.templates.folder, flush=True)
time.sleep(60)
"""


def test_template_ends_with_the_process_that_started_it(
    python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER)
    with subprocess.Popen(
        [python, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=child_environment()
    ) as child:
        assert child.stdout is not None
        pid, folder = child.stdout.readline().split()
        worker = psutil.Process(int(pid))
        template = worker.parent()
        child.kill()
    assert template is not None
    assert not psutil.wait_procs([worker, template], timeout=10)[1]
    assert not Path(folder).exists()
