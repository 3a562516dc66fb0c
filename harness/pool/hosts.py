"""Hosts of worker processes, and this machine as one of them (others: :mod:`harness.pool.remote`).

A process on another host is used like one of this machine. What differs is behind :class:`Process`: how
it is started and ended, how its output arrives, and how the paths in a call are translated.
"""

from __future__ import annotations

import abc
import contextlib
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import execnet
import psutil

from harness.core.errors import HarnessError
from harness.core.extensions import extensions
from harness.core.paths import ROOT
from harness.pool.templates import Templates

START_DEADLINE_S = 120.0
BOOTSTRAP = (
    (ROOT / "harness" / "worker" / "protocol" / "bootstrap.py").read_text()
    + """
root, more, log, alone = channel.receive()
if alone:
    os.setsid()
print_to(log)
make_importable(root, more)
from harness.worker.protocol.server import serve
serve(channel)
"""
)

WORKER = "execmodel=main_thread_only"
FAILURES = (
    OSError,
    EOFError,
    AssertionError,
    execnet.RemoteError,
    execnet.TimeoutError,
    execnet.HostNotFound,
)
"""Exceptions of a start that fails; execnet asserts that the process speaks its protocol."""


class Process(abc.ABC):
    """One worker process, wherever it runs.

    Attributes:
        channel: execnet's, on which the worker's server answers.
        pid: its number on its own host.
    """

    channel: Any
    pid: int
    _gateway: Any

    @property
    def alive(self) -> bool:
        return not self.channel.isclosed()

    def carry(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return a call's arguments as the process can use them."""
        return arguments

    @abc.abstractmethod
    def fetch_log(self) -> None:
        """Copy all that the process printed so far to its log file here."""

    @abc.abstractmethod
    def status(self) -> int | None:
        """Return the exit status as `subprocess` gives it; None if the process is alive after 10 s."""

    @abc.abstractmethod
    def kill(self) -> None:
        """End it and its children at once."""

    def _start(self, gateway: Any, root: str, more: list[str], log: str, alone: bool) -> None:
        """Start serving there.

        Args:
            root: folder with the harness's code, as the process sees it.
            more: folders of the extensions.
            log: file for all that it prints.
            alone: whether it leads a process group of its own.
        """
        self._gateway = gateway
        self.channel = gateway.remote_exec(BOOTSTRAP)
        self.channel.send((root, more, log, alone))
        self.pid = self.channel.receive(START_DEADLINE_S)["pid"]

    def close(self) -> None:
        """Let the process end by itself."""
        with contextlib.suppress(Exception):
            self.channel.close()
            self._gateway.exit()


class Host(Protocol):
    """A place where workers can be started."""

    def start(self, python: str, variables: Mapping[str, str], log: Path, forked: bool = True) -> Process:
        """Start a process with these environment variables; ``forked``: it may be forked from a template.

        Raises:
            HarnessError: it cannot be started.
        """

    def close(self) -> None:
        """End the connection to it, and with it all that was started there."""


# This machine


class Here:
    """This machine.

    Args:
        templates: what its workers are forked from.
    """

    def __init__(self, templates: Templates) -> None:
        self.templates = templates

    def start(self, python: str, variables: Mapping[str, str], log: Path, forked: bool = True) -> Process:
        if not os.access(python, os.X_OK):
            raise HarnessError(f"{python} is not an interpreter that can be started: name one with --python")
        try:
            started = shlex.quote(python)
            if forked:
                started = self.templates.command(python, variables, log.with_name(f"template-{log.name}"))
            return LocalProcess(started, variables, log)
        except FAILURES as error:
            raise HarnessError(
                f"a worker could not be started with {python} ({error}); see {log}, or run `harness doctor`"
            ) from error

    def close(self) -> None:
        """Do nothing: there is no connection."""


class LocalProcess(Process):
    """A process of this machine, which reads the checkout and the store where they are.

    Args:
        command: what starts it, quoted as for a shell.
    """

    def __init__(self, command: str, variables: Mapping[str, str], log: Path) -> None:
        text = f"popen//python={command}//{WORKER}{environment(variables)}"
        more = [str(extension.folder) for extension in extensions()]
        self._start(execnet.Group().makegateway(text), str(ROOT), more, str(log), False)

    @property
    def alive(self) -> bool:
        return super().alive and psutil.pid_exists(self.pid)

    def fetch_log(self) -> None:
        """Do nothing: the process writes that file itself."""

    def status(self) -> int | None:
        with contextlib.suppress(Exception):
            return int(self._gateway._io.popen.wait(timeout=10))
        return None

    def kill(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            for child in [*process.children(recursive=True), process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        with contextlib.suppress(Exception):
            self._gateway.exit()


def environment(variables: Mapping[str, str]) -> str:
    """Write environment variables in execnet's syntax."""
    return "".join(f"//env:{name}={value}" for name, value in variables.items())
