"""The boundary: exceptions, crashes, hangs and fresh processes, all with real workers."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.processes import gone, wait_until

from harness.core.choices import LEGACY_IR
from harness.core.errors import HarnessError
from harness.pool.hosts import Here
from harness.pool.templates import Templates
from harness.pool.workers import (
    LOG_TAIL_LINES,
    RemoteError,
    Worker,
    WorkerCrash,
    WorkerFailure,
    WorkerPool,
    WorkerSpec,
    WorkerTimeout,
)

# Python exceptions


def test_python_error_keeps_type_message_and_traceback(pool: WorkerPool) -> None:
    with pytest.raises(RemoteError) as raised:
        pool.call("checks.selftest.fail", kind="ValueError", message="two\nlines")
    failure = raised.value.failure
    assert raised.value.outcome == "error"
    assert raised.value.call == "checks.selftest.fail"
    assert (failure.type, failure.message) == ("ValueError", "two\nlines")
    assert "selftest.py" in failure.traceback
    assert failure.traceback.rstrip().endswith("two\nlines")
    assert failure.signal == ""


def test_worker_goes_on_after_a_python_error(pool: WorkerPool) -> None:
    before = pool.call("checks.selftest.pid")
    with pytest.raises(RemoteError):
        pool.call("checks.selftest.fail", kind="RuntimeError", message="once")
    assert pool.call("checks.selftest.pid") == before


@pytest.mark.parametrize(
    ("call", "arguments", "type_"),
    [
        ("checks.selftest.no_such_function", {}, "AttributeError"),
        ("no_such_module.call", {}, "ModuleNotFoundError"),
        ("checks.selftest.echo", {"wrong": 1}, "TypeError"),
        ("checks.selftest.unsendable", {}, "TypeError"),
        ("checks.selftest.fail", {"kind": "MemoryError", "message": ""}, "MemoryError"),
        ("models.networks.get", {"name": "no such model"}, "KeyError"),
    ],
)
def test_wrong_calls_are_errors_of_the_worker(
    pool: WorkerPool, call: str, arguments: dict[str, object], type_: str
) -> None:
    with pytest.raises(RemoteError) as raised:
        pool.call(call, **arguments)
    assert raised.value.failure.type == type_
    assert raised.value.failure.message


def test_message_that_is_no_utf8_is_still_an_error(bare_pool: WorkerPool) -> None:
    """Paddle puts bytes of damaged files into messages; Python holds them as lone surrogates."""
    with pytest.raises(RemoteError) as raised:
        bare_pool.call("checks.selftest.fail", kind="ValueError", message="b\udcffd")
    assert raised.value.failure.type == "ValueError"


@pytest.mark.parametrize("build", ["newer", "older"])
def test_message_of_compiled_code_that_is_no_utf8_reads_alike_in_every_build(
    bare_pool: WorkerPool, build: str
) -> None:
    """CPython 3.11.7 raises a UnicodeDecodeError in its place, 3.11.2 the exception without a message."""
    with pytest.raises(RemoteError) as raised:
        bare_pool.call(
            "checks.selftest.fail_in_c", message=b"last read: '\x80'" if build == "newer" else None
        )
    failure = raised.value.failure
    assert (failure.type, failure.message) == (
        "UnicodeDecodeError", "a text that compiled code gave is not UTF-8"
    )  # fmt: skip
    assert "fail_in_c" in failure.traceback
    assert build == "older" or failure.traceback.endswith("the text: last read: '\\x80'\n")


@pytest.mark.parametrize(
    ("call", "arguments", "described"),
    [
        ("checks.selftest.fail_in_c", {"message": b"in plain words"}, ("RuntimeError", "in plain words")),
        ("checks.selftest.fail_in_c", {"message": b""}, ("RuntimeError", "RuntimeError('')")),
        ("checks.selftest.fail_without_words", {}, ("RuntimeError", "RuntimeError()")),
    ],
)
def test_other_errors_of_compiled_code_keep_their_words(
    bare_pool: WorkerPool, call: str, arguments: dict[str, object], described: tuple[str, str]
) -> None:
    with pytest.raises(RemoteError) as raised:
        bare_pool.call(call, **arguments)
    assert (raised.value.failure.type, raised.value.failure.message) == described


def test_file_that_python_cannot_decode_keeps_its_words(bare_pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x80")
    with pytest.raises(RemoteError, match="can't decode byte 0x80 in position 0"):
        bare_pool.call("checks.selftest.text_of", path=str(tmp_path / "file"))


def test_what_cannot_be_sent_raises_here_and_leaves_the_worker(pool: WorkerPool) -> None:
    before = pool.call("checks.selftest.pid")
    with pytest.raises(TypeError, match="cannot be sent"):
        pool.call("checks.selftest.echo", value=object())
    assert pool.call("checks.selftest.pid") == before


# Crashes


def test_segfault_is_a_crash_with_its_signal_and_the_last_words(bare_pool: WorkerPool) -> None:
    with pytest.raises(WorkerCrash) as crash:
        bare_pool.call("checks.selftest.segfault", text="the last words")
    failure = crash.value.failure
    assert crash.value.outcome == "crash"
    assert failure.signal == failure.type == "SIGSEGV"
    assert "the last words" in failure.log_tail
    assert "Segmentation fault" in failure.log_tail


def test_abort_is_a_crash_with_its_signal(bare_pool: WorkerPool) -> None:
    with pytest.raises(WorkerCrash) as crash:
        bare_pool.call("checks.selftest.abort")
    assert crash.value.failure.signal == "SIGABRT"


@pytest.mark.parametrize("status", [0, 3])
def test_process_that_leaves_is_a_crash_whatever_its_status(bare_pool: WorkerPool, status: int) -> None:
    """Status 0 too: the call did not return."""
    with pytest.raises(WorkerCrash) as crash:
        bare_pool.call("checks.selftest.leave", status=status)
    assert crash.value.failure.message == f"the process ended with exit status {status}"


def test_crash_in_paddle_is_seen(pool: WorkerPool, bare_pool: WorkerPool) -> None:
    """Paddle installs signal handlers of its own when it is imported."""
    bare_pool.call("protocol.environment.import_paddle")
    with pytest.raises(WorkerCrash) as crash:
        bare_pool.call("checks.selftest.segfault")
    assert crash.value.failure.signal == "SIGSEGV"


def test_pool_replaces_a_dead_worker(bare_pool: WorkerPool) -> None:
    before = bare_pool.call("checks.selftest.pid")
    with pytest.raises(WorkerCrash):
        bare_pool.call("checks.selftest.segfault")
    after = bare_pool.call("checks.selftest.pid")
    assert after != before
    assert bare_pool.replaced == 1
    assert wait_until(lambda: gone(before), 5)


def test_worker_killed_between_calls_is_replaced(bare_pool: WorkerPool) -> None:
    worker = bare_pool.warm()
    psutil.Process(worker.pid).kill()
    wait_until(lambda: gone(worker.pid), 5)
    # The channel may not have noticed yet: then the call itself says so, once.
    with contextlib.suppress(WorkerCrash):
        bare_pool.call("checks.selftest.pid")
    after = bare_pool.call("checks.selftest.pid")
    assert after != worker.pid


# Hangs


def test_hang_is_a_timeout_and_no_process_is_left(bare_pool: WorkerPool) -> None:
    worker = bare_pool.warm()
    with pytest.raises(WorkerTimeout) as timeout:
        bare_pool.call("checks.selftest.hang", deadline=1.0, children=2)
    assert timeout.value.outcome == "timeout"
    assert timeout.value.failure.message == "no answer in 1 s"
    assert wait_until(lambda: gone(worker.pid), 5)
    # Children that were forked hold the worker's log open, wherever they hang in the process tree.
    assert wait_until(lambda: not users(worker.log), 5), users(worker.log)
    assert bare_pool.call("checks.selftest.pid") != worker.pid
    assert bare_pool.replaced == 1


def users(file: Path) -> list[int]:
    """Processes that write to the file."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if any(link.resolve() == file for link in Path(f"/proc/{process.pid}/fd").iterdir()):
                found.append(process.pid)
    return found


def test_deadline_is_per_call(bare_pool: WorkerPool) -> None:
    assert bare_pool.call("checks.selftest.echo", deadline=20.0, value=1) == 1
    with pytest.raises(WorkerTimeout):
        bare_pool.call("checks.selftest.hang", deadline=0.2)
    assert bare_pool.call("checks.selftest.echo", value=2) == 2


# Output


def test_printed_is_what_the_last_call_said(bare_pool: WorkerPool) -> None:
    worker = bare_pool.warm()
    worker.call("checks.selftest.say", 10, text="first")
    worker.call("checks.selftest.say", 10, text="second ✓")
    assert worker.printed() == "second ✓\n"
    assert "first" in worker.log.read_text()


def test_log_tail_is_short(bare_pool: WorkerPool) -> None:
    with pytest.raises(WorkerCrash) as crash:
        bare_pool.call("checks.selftest.segfault", text="\n".join(f"line {n}" for n in range(500)))
    assert len(crash.value.failure.log_tail.splitlines()) <= LOG_TAIL_LINES


# Processes


def test_fresh_workers_are_processes_of_their_own(pool: WorkerPool) -> None:
    pids = [pool.call("checks.selftest.pid")]
    for _ in range(2):
        with pool.fresh() as worker:
            pids.append(worker.call("checks.selftest.pid", 60))
        assert wait_until(lambda: gone(pids[-1]), 5)
    assert len(set(pids)) == 3
    assert pool.call("checks.selftest.pid") == pids[0]


def test_pools_end_their_processes(tmp_path: Path) -> None:
    pool = WorkerPool(tmp_path, sys.executable, 30)
    pids = [
        pool.call("checks.selftest.pid"),
        pool.call("checks.selftest.pid", spec=pool.default.with_env({"A": "1"})),
    ]
    assert len(set(pids)) == 2
    pool.close()
    assert all(wait_until(lambda pid=pid: gone(pid), 5) for pid in pids)


def test_environment_variables_reach_the_worker(bare_pool: WorkerPool) -> None:
    spec = bare_pool.default.with_env({"HARNESS_TEST": "a b=c", "OMP_NUM_THREADS": "2"})
    found = bare_pool.call(
        "checks.selftest.environ", spec=spec, names=["HARNESS_TEST", "OMP_NUM_THREADS", "NOT_SET"]
    )
    assert found == {"HARNESS_TEST": "a b=c", "OMP_NUM_THREADS": "2", "NOT_SET": None}
    assert bare_pool.call("checks.selftest.environ", names=["OMP_NUM_THREADS"]) == {"OMP_NUM_THREADS": "1"}


def test_specification_does_not_depend_on_the_order_of_variables() -> None:
    spec = WorkerSpec("python")
    assert spec.with_env({"A": "1", "B": "2"}) == spec.with_env({"B": "2"}).with_env({"A": "1"})


def test_profile_reaches_paddle(pool: WorkerPool) -> None:
    plain = pool.call("protocol.environment.describe")
    if int(plain["paddle"]["version"].split(".")[0]) < 3:
        assert plain["profile"] == "legacy-ir"
        pytest.skip("Paddle 2 has one intermediate representation only")
    assert plain["profile"] == "pir"
    legacy = pool.call("protocol.environment.describe", spec=pool.default.with_env(LEGACY_IR))
    assert legacy["profile"] == "legacy-ir"


def test_worker_cannot_import_the_controller(bare_pool: WorkerPool) -> None:
    """What it could import by accident would work here and fail in another environment."""
    for name in (
        "harness.records.files",
        "harness.pool.workers",
        "harness.cli",
        "harness.core.types",
        "conftest",
    ):
        assert "No module named" in (
            bare_pool.call("checks.selftest.can_import", name=name) or "it was imported"
        )
    for name in ("harness.worker.protocol.wire", "reference_models"):
        assert bare_pool.call("checks.selftest.can_import", name=name) is None
    with bare_pool.fresh(forked=False) as worker:
        assert not any(name.startswith("paddle") for name in worker.call("checks.selftest.modules", 60))


def not_there(folder: Path) -> str:
    return str(folder / "no-python")


def no_python(folder: Path) -> str:
    return "/bin/true"


def broken(folder: Path) -> str:
    """Starts, says something of its own, and leaves."""
    file = folder / "python"
    file.write_text("#!/bin/sh\necho this is no Python\nexit 3\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize("python", [not_there, no_python, broken])
def test_interpreter_that_is_none_is_a_sentence(
    tmp_path: Path, python: Callable[[Path], str], templates: Templates
) -> None:
    with pytest.raises(HarnessError, match=r"cannot|could not|is not an interpreter"):
        Worker(WorkerSpec(python(tmp_path)), tmp_path / "log", Here(templates))


def test_failures_share_one_base() -> None:
    assert {kind.outcome for kind in (RemoteError, WorkerCrash, WorkerTimeout)} == {
        "error",
        "crash",
        "timeout",
    }
    assert all(issubclass(kind, WorkerFailure) for kind in (RemoteError, WorkerCrash, WorkerTimeout))


def test_warnings_are_heard_on_every_call(bare_pool: WorkerPool) -> None:
    """Python shows a warning once a process: a record must not depend on the cases before it."""
    bare_pool.call("checks.selftest.pid")
    bare_pool.warned()  # what Paddle's import warns of
    for _ in range(2):
        bare_pool.call("checks.selftest.warn", text="old at /some/folder/file.py:12", times=3)
        assert bare_pool.warned() == ("UserWarning: old at file.py",)
    with pytest.raises(RemoteError):
        bare_pool.call("checks.selftest.warn", text="then", times=1, raising=True)
    assert bare_pool.warned() == ("UserWarning: then",)
    bare_pool.call("checks.selftest.echo", value=1)
    assert bare_pool.warned() == ()


def test_warnings_with_changing_numbers_do_not_fill_the_record(bare_pool: WorkerPool) -> None:
    bare_pool.call("checks.selftest.warn", text="step {}", times=500)
    assert 10 < len(bare_pool.warned()) < 100


def test_elsewhere_is_another_process_and_a_new_one_if_asked(bare_pool: WorkerPool) -> None:
    pids = []
    for new in (False, False, True):
        with bare_pool.elsewhere(new) as worker:
            pids.append(worker.pid)
    assert pids[0] == pids[1] != pids[2]
    assert bare_pool.warm().pid not in (*pids, os.getpid())
