"""Templates: processes that have imported Paddle, from which workers are forked (``template.py`` there)."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from harness.core.extensions import extensions
from harness.core.hashing import key_of
from harness.core.paths import ROOT

PROTOCOL = ROOT / "harness" / "worker" / "protocol"
END_S = 1.0
"""Seconds in which a template ends that was asked to."""
ATTACH = Path(__file__).with_name("attach.py")
START = """
import json, socket, sys
exec(sys.argv[1])
root, more, log, listener, owner = json.loads(sys.argv[2])
print_to(log)
make_importable(root, more)
from harness.worker.protocol import template
template.serve(socket.socket(fileno=listener), owner)
"""


class Templates:
    """One template for each interpreter and its environment variables, started when it is first needed.

    Args:
        folder: an existing folder of another process's templates, to share them. Without one, this
            object makes a folder, which only this user can read, and ends its templates with :meth:`close`.
    """

    def __init__(self, folder: str = "") -> None:
        self._own = not folder
        self.folder = Path(folder or tempfile.mkdtemp(prefix="harness-"))
        self.owner = os.getpid()
        self._started: list[subprocess.Popen[bytes]] = []
        if self._own:
            (self.folder / "owner").write_text(str(self.owner))
        else:
            self.owner = int((self.folder / "owner").read_text())

    def command(self, python: str, variables: Mapping[str, str], log: Path) -> str:
        """Return what execnet has to start for a worker, in its syntax for ``python``.

        Args:
            log: file for what a template prints that is started now.
        """
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        started = {"python": python, "folder": os.getcwd(), "variables": {**inherited, **variables}}
        key = key_of(started)[:16]
        path = self.folder / f"{key}.sock"
        with FileLock(f"{path}.lock"):
            if not path.exists():
                self._started.append(_start(path, python, variables, log, self.owner))
        return shlex.join([sys.executable, "-I", "-S", str(ATTACH), str(path), python])

    def close(self) -> None:
        """End the templates, unless they are another process's."""
        if not self._own:
            return
        for path in self.folder.glob("*.sock"):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"e")
        for template in self._started:
            try:
                template.wait(END_S)
            except subprocess.TimeoutExpired:  # it was still importing Paddle
                template.kill()
                template.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _start(
    path: Path, python: str, variables: Mapping[str, str], log: Path, owner: int
) -> subprocess.Popen[bytes]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        more = [str(extension.folder) for extension in extensions()]
        given = json.dumps([str(ROOT), more, str(log), listener.fileno(), owner])
        return subprocess.Popen(
            [python, "-c", START, (PROTOCOL / "bootstrap.py").read_text(), given],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
