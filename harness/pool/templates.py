"""Templates: processes that have imported Paddle, from which workers are forked (``template.py`` there)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from filelock import FileLock

from harness.core.extensions import extensions
from harness.core.hashing import key_of
from harness.core.paths import ROOT

PROTOCOL = ROOT / "harness" / "worker" / "protocol"
END_S = 1.0
"""Seconds in which a template ends that was asked to."""
ATTACH = Path(__file__).with_name("attach.py")
FOLDER = "HARNESS_TEMPLATES"
"""Environment variable with the folder of another process's templates."""
OWNER = "owner"
"""File in that folder with the process id of their owner."""
OTHERS = re.compile(r"(HARNESS|PYTEST)_|(COLUMNS|LINES|TERM|PWD|OLDPWD|SHLVL|_)$")
"""Environment variables that Paddle's import does not depend on. A worker gets them when it is forked."""
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

    They are shared with the process that has started this one, if that shares its own (:meth:`shared`). Else
    this object makes a folder, which only this user can read, and ends its templates with :meth:`close`.
    """

    def __init__(self) -> None:
        self.folder = Path(os.environ.get(FOLDER, os.devnull))
        self.owner = _owner(self.folder)
        self._own = not self.owner
        self._started: list[subprocess.Popen[bytes]] = []
        if self._own:
            self.owner = os.getpid()
            self.folder = Path(tempfile.mkdtemp(prefix="harness-"))
            (self.folder / OWNER).write_text(str(self.owner))

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Share the templates with the processes that are started meanwhile."""
        before = os.environ.get(FOLDER)
        os.environ[FOLDER] = str(self.folder)
        try:
            yield
        finally:
            if before is None:
                del os.environ[FOLDER]
            else:
                os.environ[FOLDER] = before

    def command(self, python: str, variables: Mapping[str, str], log: Path) -> str:
        """Return what execnet has to start for a worker, in its syntax for ``python``.

        Args:
            log: file for what a template prints that is started now.
        """
        known = {name: value for name, value in {**os.environ, **variables}.items() if not OTHERS.match(name)}
        code = [str(ROOT), *_folders()]
        key = key_of({"python": python, "variables": known, "code": code})[:16]
        path = self.folder / f"{key}.sock"
        with FileLock(f"{path}.lock"):
            if not path.exists():
                self._started.append(_start(path, python, variables, log, self.owner))
        return shlex.join([sys.executable, "-I", "-S", str(ATTACH), str(path), python])

    def close(self) -> None:
        """End the templates, unless they are another process's."""
        if self._own:
            self.rest()
            shutil.rmtree(self.folder, ignore_errors=True)

    def rest(self) -> None:
        """End the templates until one is needed again, unless they are another process's."""
        if not self._own:
            return
        for path in self.folder.glob("*.sock"):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(bytes(4))
            path.unlink(missing_ok=True)
        while self._started:
            template = self._started.pop()
            try:
                template.wait(END_S)
            except subprocess.TimeoutExpired:  # it was still importing Paddle
                template.kill()
                template.wait()


def _start(
    path: Path, python: str, variables: Mapping[str, str], log: Path, owner: int
) -> subprocess.Popen[bytes]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        given = json.dumps([str(ROOT), _folders(), str(log), listener.fileno(), owner])
        return subprocess.Popen(
            [python, "-c", START, (PROTOCOL / "bootstrap.py").read_text(), given],
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )


def _folders() -> list[str]:
    return [str(extension.folder) for extension in extensions()]


def _owner(folder: Path) -> int:
    """Return the process id of the templates' owner, or 0 if it has ended."""
    try:
        owner = int((folder / OWNER).read_text())
        os.kill(owner, 0)
    except (OSError, ValueError):
        return 0
    return owner
