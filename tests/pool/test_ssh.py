"""A real sshd on loopback: workers, their deaths, and a run of the suites over ssh.

It has its own host key, user key and configuration in a temporary folder; nobody's ~/.ssh is touched.
"""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.processes import wait_until

from conftest import Command
from harness.core.errors import HarnessError
from harness.core.paths import ROOT
from harness.pool.remote import RemoteHost
from harness.pool.workers import WorkerCrash, WorkerPool, WorkerTimeout
from harness.records.files import read_run

SSHD_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
"""
SSH_CONFIG = """
Host {name}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/{key}
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking accept-new
"""


def key(folder: Path, name: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An sshd that runs; the ssh configuration that knows it as ``loopback``."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if sshd is None or not shutil.which("ssh"):
        pytest.skip("no sshd or no ssh on this machine: install openssh-server and openssh-client")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it separates privileges, as root only
    folder = tmp_path_factory.mktemp("ssh")
    port = free_port()
    for name in ("host", "user", "stranger"):
        key(folder, name)
    given = {"folder": folder, "port": port, "user": getpass.getuser()}
    (folder / "sshd_config").write_text(SSHD_CONFIG.format(**given))
    (folder / "config").write_text(
        SSH_CONFIG.format(**given, name="loopback", key="user")
        + SSH_CONFIG.format(**given, name="stranger", key="stranger")
        + SSH_CONFIG.format(**{**given, "port": free_port()}, name="nobody", key="user")
    )
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        if (
            not wait_until(lambda: answers(port) or server.poll() is not None, 10)
            or server.poll() is not None
        ):
            pytest.skip(f"sshd does not start here: {(folder / 'log').read_text().strip()}")
        yield folder / "config"
    finally:
        server.terminate()
        server.wait(10)


def interpreter(ssh: Path, folder: Path, host: str = "loopback", python: str = sys.executable) -> str:
    return f"ssh={host}//ssh_config={ssh}//python={python}//env:XDG_CACHE_HOME={folder / 'cache'}"


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
        "-k", "first_and_later or device_and", *select, f"--run-folder={tmp_path / 'run'}",
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
        f"--targets-file={tmp_path / 'targets.toml'}", f"--run-folder={tmp_path / 'run'}",
    )  # fmt: skip
    assert done.returncode == 4
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert "no Python answers at ssh=nobody" in line
    assert "Connection refused" in line
    assert not (tmp_path / "run" / "records.jsonl").exists()
