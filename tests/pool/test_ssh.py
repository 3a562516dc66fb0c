"""A real sshd on loopback: workers, their deaths, and a run of the suites over ssh.

Nobody's ~/.ssh is touched.
"""

from __future__ import annotations

import platform
import sys
import time
from pathlib import Path

import psutil
import pytest
from support.processes import wait_until
from support.sshd import interpreter, sshd_on_loopback

from conftest import Command
from harness.core.errors import HarnessError
from harness.core.paths import ROOT
from harness.pool.remote import RemoteHost
from harness.pool.workers import WorkerCrash, WorkerPool, WorkerTimeout
from harness.records.files import read_run

__all__ = ["sshd_on_loopback"]


def test_worker_over_ssh(bare_pool: WorkerPool, ssh: Path, tmp_path: Path) -> None:
    spec = bare_pool.default.at(interpreter(ssh, tmp_path))
    worker = bare_pool.warm(spec)
    found = worker.call("checks.selftest.environ", 10, names=["SSH_CONNECTION", "OMP_NUM_THREADS"])
    assert found["SSH_CONNECTION"].split()[2] == "127.0.0.1"
    assert found["OMP_NUM_THREADS"] == "1"
    with pytest.raises(WorkerCrash) as crash:
        worker.call("checks.selftest.segfault", 30, text="the last words")
    assert crash.value.failure.signal == "SIGSEGV"
    assert "the last words" in crash.value.failure.log_tail
    worker = bare_pool.warm(spec)
    started = time.monotonic()
    with pytest.raises(WorkerTimeout):
        worker.call("checks.selftest.hang", 0.5, children=1)
    assert wait_until(lambda: not psutil.pid_exists(worker.pid), 5)
    assert time.monotonic() - started < 30
    assert bare_pool.call("checks.selftest.echo", spec=spec, value=[1]) == [1]


@pytest.mark.parametrize(
    ("host", "python", "words"),
    [
        ("nobody", sys.executable, "Connection refused"),
        ("stranger", sys.executable, "Permission denied"),
        ("loopback", "/no/python", "/no/python -V` says"),
    ],
)
def test_host_that_cannot_be_reached_is_a_sentence(
    ssh: Path, tmp_path: Path, host: str, python: str, words: str
) -> None:
    with pytest.raises(HarnessError, match="no Python answers at ssh=") as refusal:
        RemoteHost(interpreter(ssh, tmp_path, host, python))
    assert words in str(refusal.value)
    assert f"`ssh -F {ssh} {host} {python} -V`" in str(refusal.value)


TARGETS = """
[far]
runtime = "predictor"
interpreter = "{}"
"""


@pytest.mark.slow
def test_run_over_ssh(command: Command, python: str, ssh: Path, tmp_path: Path) -> None:
    """Records of a target over ssh pass, and say where it ran."""
    (tmp_path / "targets.toml").write_text(TARGETS.format(interpreter(ssh, tmp_path)))
    select = ["--models=lenet", "--targets=far", f"--targets-file={tmp_path / 'targets.toml'}"]
    done = command(
        ROOT, "pytest", "suites/test_agreement.py", "suites/test_targets.py", "-q", "-p", "no:cacheprovider",
        "-k", "first_and_later or device_and", *select, f"--folder={tmp_path / 'run'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    run = read_run(tmp_path / "run")
    assert run.header.environment["elsewhere"]["far"]["host"] == platform.node()
    assert {record.case: record.outcome for record in run.records} == {
        "agreement/first_and_later_runs[lenet-far]": "pass",
        "targets/device_and_precision[far]": "pass",
    }
    for record in run.records:
        where = record.measures["where"]
        assert where["host"] == platform.node()
        assert where["paddle"]["version"] == run.header.environment["paddle"]["version"]
    assert list((tmp_path / "cache").rglob("model.pdiparams"))


def test_unreachable_target_of_a_run_is_an_error_of_usage(
    command: Command, python: str, ssh: Path, tmp_path: Path
) -> None:
    """Nothing is run: a target that was named and does not answer is no case that is not run."""
    (tmp_path / "targets.toml").write_text(TARGETS.format(interpreter(ssh, tmp_path, "nobody")))
    done = command(
        ROOT, "pytest", "suites/test_agreement.py", "-q", "-p", "no:cacheprovider", "--models=lenet",
        f"--targets-file={tmp_path / 'targets.toml'}", f"--folder={tmp_path / 'run'}",
    )  # fmt: skip
    assert done.returncode == 4
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert "no Python answers at ssh=nobody" in line
    assert "Connection refused" in line
    assert not (tmp_path / "run" / "records.jsonl").exists()
