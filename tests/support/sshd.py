"""A real sshd on loopback, with its own keys and configuration in a temporary folder."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import wait_until

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


@pytest.fixture(scope="module", name="ssh")
def sshd_on_loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
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
    """execnet's words for a Python behind that host, whose cache is in the folder."""
    return f"ssh={host}//ssh_config={ssh}//python={python}//env:XDG_CACHE_HOME={folder / 'cache'}"
