"""Workers of another interpreter, in another folder with a cache of its own.

`popen` stands for another host here; `test_ssh.py` does the same through a real sshd.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.processes import gone, wait_until

from harness.core.errors import HarnessError, NotApplicable
from harness.execution.executor import Executor
from harness.pool.remote import RemoteHost, refusal
from harness.pool.workers import WorkerCrash, WorkerPool, WorkerSpec, WorkerTimeout
from harness.targets.target import Target


def interpreter_in(folder: Path, python: str = sys.executable) -> str:
    """This machine's interpreter as another host's: other folder, other cache."""
    return f"popen//python={python}//chdir={folder}//env:XDG_CACHE_HOME={folder / 'cache'}"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[RemoteHost]:
    host = RemoteHost(interpreter_in(tmp_path))
    yield host
    host.close()


@pytest.fixture
def far(bare_pool: WorkerPool, tmp_path: Path) -> WorkerSpec:
    """The specification of workers elsewhere."""
    return bare_pool.default.at(interpreter_in(tmp_path))


# Calls and deaths


def test_worker_runs_from_the_cache_there(bare_pool: WorkerPool, far: WorkerSpec, tmp_path: Path) -> None:
    files = bare_pool.call("checks.selftest.sources", spec=far)
    assert files
    assert all(file.startswith(str(tmp_path / "cache")) for file in files)
    assert "No module named" in bare_pool.call(
        "checks.selftest.can_import", spec=far, name="harness.pool.workers"
    )


def test_crash_is_told_as_here(bare_pool: WorkerPool, far: WorkerSpec) -> None:
    with pytest.raises(WorkerCrash) as crash:
        bare_pool.call("checks.selftest.segfault", spec=far, text="the last words")
    failure = crash.value.failure
    assert failure.signal == failure.type == "SIGSEGV"
    assert "the last words" in failure.log_tail
    assert "Segmentation fault" in failure.log_tail
    with pytest.raises(WorkerCrash) as crash:
        bare_pool.call("checks.selftest.leave", spec=far, status=3)
    assert crash.value.failure.message == "the process ended with exit status 3"
    assert bare_pool.replaced == 1


def test_hang_is_killed_there_with_its_children(bare_pool: WorkerPool, far: WorkerSpec) -> None:
    worker = bare_pool.warm(far)
    with pytest.raises(WorkerTimeout):
        worker.call("checks.selftest.hang", 0.5, children=2)
    assert wait_until(lambda: not group(worker.pid), 5), group(worker.pid)
    assert bare_pool.call("checks.selftest.echo", spec=far, value=1) == 1


def group(leader: int) -> list[int]:
    """Living processes of a process group."""
    done = subprocess.run(
        ["ps", "-o", "stat=,pid=", "--no-headers", "-g", str(leader)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [line for line in done.stdout.splitlines() if not line.strip().startswith("Z")]


def test_what_it_printed_arrives_call_by_call(bare_pool: WorkerPool, far: WorkerSpec) -> None:
    worker = bare_pool.warm(far)
    worker.call("checks.selftest.say", 10, text="first")
    worker.call("checks.selftest.say", 10, text="second ✓")
    assert worker.printed() == "second ✓\n"
    assert "first" in worker.log.read_text()
    with contextlib.closing(worker):
        worker.call("checks.selftest.say", 10, text="third")
    assert worker.log.read_text().endswith("third\n")


def test_environment_variables_are_set_there(bare_pool: WorkerPool, far: WorkerSpec) -> None:
    spec = far.with_env({"HARNESS_TEST": "a b=c"})
    found = bare_pool.call("checks.selftest.environ", spec=spec, names=["HARNESS_TEST", "OMP_NUM_THREADS"])
    assert found == {"HARNESS_TEST": "a b=c", "OMP_NUM_THREADS": "1"}


def test_processes_end_with_the_pool(tmp_path: Path) -> None:
    pool = WorkerPool(tmp_path / "logs", sys.executable, 30)
    far = pool.default.at(interpreter_in(tmp_path))
    with pool.fresh(far) as worker:
        pids = [worker.pid, pool.call("checks.selftest.pid", spec=far)]
    assert wait_until(lambda: gone(pids[0]), 5)
    assert not gone(pids[1])
    pool.close()
    assert wait_until(lambda: gone(pids[1]), 5)
    assert not list((tmp_path / "cache").rglob("*.log"))


def test_lost_connection_is_no_crash_of_paddle(bare_pool: WorkerPool, far: WorkerSpec) -> None:
    """The run cannot go on: it says so, and no case is blamed."""
    worker = bare_pool.warm(far)
    host = bare_pool._hosts[far.interpreter]
    assert isinstance(host, RemoteHost)
    host._group["host"]._io.popen.kill()
    with pytest.raises(HarnessError, match=r"the connection to popen.* was lost"):
        worker.call("checks.selftest.pid", 10)
    assert wait_until(lambda: gone(worker.pid), 30)


# Files


def files_in(folder: Path) -> dict[str, Path]:
    folder.mkdir()
    (folder / "a.bin").write_bytes(bytes(range(256)) * 40_000)  # more than one piece
    (folder / "empty").write_bytes(b"")
    return {"x/a.bin": folder / "a.bin", "empty": folder / "empty", "again": folder / "a.bin"}


def test_files_travel_once(host: RemoteHost, tmp_path: Path) -> None:
    files = files_in(tmp_path / "here")
    folder = Path(host.tree(files))
    assert host.sent == 256 * 40_000
    assert {name: (folder / name).read_bytes() for name in files} == {
        n: f.read_bytes() for n, f in files.items()
    }
    assert Path(host.tree({"other name": files["again"]}), "other name").stat().st_size == 256 * 40_000
    assert host.sent == 256 * 40_000
    files["empty"].write_bytes(b"now it holds something")
    assert Path(host.tree(files), "empty").read_bytes() == b"now it holds something"
    assert host.sent == 256 * 40_000 + 22


def test_damaged_file_is_sent_again(host: RemoteHost, tmp_path: Path) -> None:
    files = files_in(tmp_path / "here")
    kept = Path(host.tree(files), "x/a.bin")
    kept.chmod(0o600)
    kept.write_bytes(b"damaged")
    assert Path(host.tree(files), "x/a.bin").read_bytes() == files["again"].read_bytes()
    assert host.sent == 2 * 256 * 40_000


def test_what_arrives_damaged_is_refused(host: RemoteHost) -> None:
    with pytest.raises(HarnessError, match="a file arrived as"):
        host.ask("put", "0" * 64, True, b"something else", True)
    assert host.ask("lacking", ["0" * 64]) == ["0" * 64]


def test_paths_are_those_of_the_cache(host: RemoteHost, tmp_path: Path) -> None:
    """A folder, a file in it, a prefix, and a name that is no path."""
    folder = tmp_path / "artifact" / "inference_model"
    folder.mkdir(parents=True)
    for name in ("model.json", "model.pdiparams", "other"):
        (folder / name).write_text(name)
    given = {
        "prefix": str(folder / "model"),
        "params": str(folder / "model.pdiparams"),
        "program": "model.json",
    }
    there = host.carried(given)
    assert there["program"] == "model.json"
    assert Path(there["prefix"] + ".json").read_text() == "model.json"
    assert Path(there["params"]).read_text() == "model.pdiparams"
    assert not Path(there["prefix"]).with_name("other").exists()
    whole = host.carried({"folder": str(folder)})
    assert Path(whole["folder"], "other").read_text() == "other"
    with pytest.raises(FileNotFoundError):
        host.carried({"params": str(folder / "absent")})


def test_call_that_writes_files_here_is_not_made_there(bare_pool: WorkerPool, far: WorkerSpec) -> None:
    with pytest.raises(NotApplicable, match="only executions run on another host"):
        bare_pool.call("checks.roundtrip.state_of", spec=far, path="/some/file")


# What can be reached


@pytest.mark.parametrize(
    ("interpreter", "words"),
    [
        ("python3", "names no host"),
        ("ssh", "names no host"),
        ("socket=host:1", "names no host"),
        ("ssh=a//via=b", "names no host"),
        ("popen//popen", "duplicate key"),
        ("popen////", "not in execnet's syntax"),
        ("ssh=user@host//python=/x/python", ""),
        ("popen//python=/x/python", ""),
    ],
)
def test_interpreters_that_cannot_be_meant(interpreter: str, words: str) -> None:
    found = refusal(interpreter)
    assert words in found
    assert bool(found) == bool(words)


def absent(folder: Path) -> str:
    return str(folder / "no-python")


def no_python(folder: Path) -> str:
    return "/bin/true"


@pytest.mark.parametrize("python", [absent, no_python])
def test_where_no_python_answers_a_sentence_says_what_to_try(
    tmp_path: Path, python: Callable[[Path], str]
) -> None:
    with pytest.raises(HarnessError, match=r"no Python answers at popen.*: correct what `.* -V` says"):
        RemoteHost(interpreter_in(tmp_path, python(tmp_path)))


def test_interpreter_without_numpy_is_told(bare_pool: WorkerPool, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    spec = bare_pool.default.at(interpreter_in(tmp_path, str(tmp_path / "bare" / "bin" / "python")))
    with pytest.raises(HarnessError, match=r"No module named 'numpy'.*: install NumPy and Paddle there"):
        bare_pool.warm(spec)


# Executions


def test_execution_elsewhere_gives_the_same_bits(executor: Executor, tmp_path: Path) -> None:
    place = interpreter_in(tmp_path)
    feeds = [executor.sample("lenet", 2)]
    try:
        for runtime in ("predictor", "dygraph"):
            here = Target("here", runtime)
            there = Target("there", runtime, interpreter=place)
            assert executor.not_applicable(there) is None
            got, expected = (executor.execute(target, "lenet", feeds) for target in (there, here))
            assert got.describe["device"] == expected.describe["device"] == "cpu"
            np.testing.assert_array_equal(got.outputs[0][0], expected.outputs[0][0])
        assert executor.where(there)["paddle"] == executor.environment["paddle"]
        assert executor.where(here) == {}
        few = {"model": "lenet", "digits": str(executor.builder.digits), "limit": 3}
        near, far = (
            executor.pool.call("training.loops.test_examples", spec=executor.spec(t), **few)
            for t in (here, there)
        )
        np.testing.assert_array_equal(near["feed"][0], far["feed"][0])
    finally:
        executor.pool.discard(executor.spec(there))
