"""The C++ predictor's program: how it is compiled, what is said where it cannot be, and how it ends."""

from __future__ import annotations

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psutil
import pytest

from harness.core.paths import ROOT
from harness.execution.executor import Executor
from harness.pool.workers import RemoteError, WorkerCrash, WorkerPool, WorkerTimeout
from harness.targets.target import Target

CPP = Target("cpp", "predictor_cpp")

pytestmark = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None,
    reason="no C++ compiler: install g++, or name one with CXX",
)


def test_without_compiler_the_reason_says_so(pool: WorkerPool) -> None:
    spec = pool.default.with_env({"CXX": "/no/such/compiler"})
    said = pool.call("runtimes.available", spec=spec, runtime=CPP.runtime, options={})
    pool.discard(spec)
    assert said.startswith("no C++ compiler: /no/such/compiler is not there")


def test_inference_library_that_is_none_or_another_build_is_a_reason(
    pool: WorkerPool, tmp_path: Path
) -> None:
    spec = pool.default.with_env({"PADDLE_INFERENCE_DIR": str(tmp_path)})
    said = pool.call("cpp.program.missing", spec=spec)
    assert said.startswith("PADDLE_INFERENCE_DIR is not an inference library")
    header = tmp_path / "paddle" / "include" / "paddle_inference_api.h"
    header.parent.mkdir(parents=True)
    header.touch()
    (tmp_path / "version.txt").write_text("GIT COMMIT ID: 4b6fba1\nWITH_MKL: ON\n")
    said = pool.call("cpp.program.missing", spec=spec)
    pool.discard(spec)
    assert said.startswith("PADDLE_INFERENCE_DIR holds another build (commit 4b6fba1) than Paddle")


def test_gpu_and_unknown_options(executor: Executor) -> None:
    gpu = executor.pool.call("runtimes.available", runtime=CPP.runtime, options={"device": "gpu"})
    assert "for the CPU" in gpu
    with pytest.raises(RemoteError, match="no option in_memory"):
        executor.execute(
            Target("x", CPP.runtime, {"in_memory": True}), "lenet", [executor.sample("lenet", 1)]
        )


def test_compiler_that_refuses_is_an_error_with_its_status(bare_pool: WorkerPool, tmp_path: Path) -> None:
    spec = bare_pool.default.with_env({"CXX": "/bin/false", "HARNESS_PROGRAMS": str(tmp_path / "programs")})
    with pytest.raises(RemoteError, match=r"/bin/false could not compile .* \(exit status 1\)"):
        bare_pool.call("cpp.program.build", spec=spec)
    assert [path.suffix for path in (tmp_path / "programs").iterdir()] == [".lock"]


def test_folder_that_cannot_be_written_is_an_error_that_names_the_variable(bare_pool: WorkerPool) -> None:
    spec = bare_pool.default.with_env({"HARNESS_PROGRAMS": "/proc/programs"})
    with pytest.raises(RemoteError, match="name another folder with HARNESS_PROGRAMS"):
        bare_pool.call("cpp.program.build", spec=spec)


@pytest.mark.slow
def test_two_at_once_compile_once(bare_pool: WorkerPool, tmp_path: Path) -> None:
    compiler, count = tmp_path / "counting", tmp_path / "count"
    compiler.write_text(f'#!/bin/sh\necho compiled >> {count}\nexec g++ "$@"\n')
    compiler.chmod(0o755)
    env = {"CXX": str(compiler), "HARNESS_PROGRAMS": str(tmp_path / "programs")}
    spec = bare_pool.default.with_env(env)
    specs = [msgspec.structs.replace(spec, process=name) for name in ("one", "other")]
    for spec in specs:
        bare_pool.warm(spec)
    with ThreadPoolExecutor(2) as together:
        paths = list(together.map(lambda spec: bare_pool.call("cpp.program.build", spec=spec), specs))
    assert paths[0] == paths[1]
    assert os.access(paths[0], os.X_OK)
    assert count.read_text() == "compiled\n"
    assert sorted(path.suffix for path in (tmp_path / "programs").iterdir())[-1] == ".lock"


def opened(executor: Executor) -> tuple[int, psutil.Process]:
    """A session, and the program's process behind it."""
    executor.execute(CPP, "lenet", [executor.sample("lenet", 1)])  # whatever was idle is used again
    worker = executor.pool.warm()
    session = worker.call(
        "runtimes.open_session",
        60,
        runtime=CPP.runtime,
        files=executor.builder.files(CPP, "lenet"),
        model="lenet",
        options={},
    )
    (process,) = (p for p in psutil.Process(worker.pid).children() if p.name().startswith("predictor-"))
    return int(session["session"]), process


def test_program_that_dies_is_a_crash_and_the_worker_lives(executor: Executor) -> None:
    session, process = opened(executor)
    worker = executor.pool.warm()
    process.send_signal(signal.SIGSEGV)
    with pytest.raises(WorkerCrash, match="was killed by signal SIGSEGV") as crash:
        worker.call("runtimes.infer", 60, session=session, feeds=[executor.sample("lenet", 1)])
    assert crash.value.outcome == "crash"
    assert crash.value.failure.signal == "SIGSEGV"
    assert worker.alive
    worker.call("runtimes.close_session", 60, session=session)
    assert len(executor.execute(CPP, "lenet", [executor.sample("lenet", 1)]).outputs) == 1


def test_program_that_hangs_is_ended_with_its_worker(executor: Executor) -> None:
    session, process = opened(executor)
    process.suspend()
    with pytest.raises(WorkerTimeout):
        executor.pool.warm().call("runtimes.infer", 0.5, session=session, feeds=[executor.sample("lenet", 1)])
    process.wait(timeout=10)
    assert not process.is_running()


def test_process_is_used_again_after_a_refusal(executor: Executor, tmp_path: Path) -> None:
    session, process = opened(executor)
    executor.pool.call("runtimes.close_session", session=session)
    files = {"model": str(tmp_path / "none"), "params": str(tmp_path / "none")}
    with pytest.raises(RemoteError, match="Refused: cannot read"):
        executor.execute(CPP, "lenet", [executor.sample("lenet", 1)], files=files)
    again, other = opened(executor)
    executor.pool.call("runtimes.close_session", session=again)
    assert other.pid == process.pid


def test_manual_has_the_usage_text(pool: WorkerPool) -> None:
    told = pool.call("cpp.program.run", arguments=["--help"])
    assert told["out"] in (ROOT / "docs" / "cpp.md").read_text()
