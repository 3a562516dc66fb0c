"""Workers on another host, through execnet: the connection, the files sent there, the processes there.

The other host needs a Python with Paddle and NumPy, and nothing of this project. Files are sent by content
(``remote_agent.py`` of the worker's protocol), the worker's code among them, and only those that the host
lacks.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import execnet

from harness.core.errors import HarnessError, NotApplicable
from harness.core.extensions import CODE, extensions
from harness.core.hashing import Digests
from harness.core.paths import ROOT
from harness.pool.hosts import FAILURES, WORKER, Process, environment

ANSWER_S = 60.0
"""Seconds in which an idle host answers a question about a process, or takes a piece of a file."""

PIECE = 4 << 20
"""Bytes of a file that are sent in one message."""

EXTENSIONS = "extensions"
"""Folder there with a folder for each extension."""

CARRIED = ("files", "digits")
"""Arguments of calls whose files are sent to the other host: what an execution reads."""

SSH = "-o BatchMode=yes -o ConnectTimeout=30 -o ServerAliveInterval=15"
"""ssh asks no questions, since nobody could answer; a host that stops answering is noticed in a minute."""


class RemoteHost:
    """Another host, or another user's or container's interpreter: one connection for all its workers.

    A process there, the remote agent (``remote_agent.py``, standard library only), holds the connection. It
    keeps the files that were sent, starts the workers, and reports how they ended; they end with it.

    Args:
        interpreter: in execnet's syntax, as :func:`refusal` checks it.

    Raises:
        HarnessError: no Python answers there; the message says what to try.
    """

    def __init__(self, interpreter: str) -> None:
        self.interpreter = interpreter
        self.sent = 0
        """Bytes of files that were sent."""
        self._lock = threading.Lock()
        self._digests = Digests()
        self._group = execnet.Group()
        spec = execnet.XSpec(interpreter)
        spec.id, spec.execmodel, spec.python = "host", "thread", spec.python or "python3"
        with tempfile.NamedTemporaryFile("r", prefix="ssh-", suffix=".log") as ssh_log:
            if spec.ssh:
                spec.ssh = f"-E {ssh_log.name} {SSH} {spec.ssh}"
            try:
                self._channel = self._group.makegateway(spec).remote_exec(
                    (ROOT / "harness" / "worker" / "protocol" / "remote_agent.py").read_text()
                )
                self.facts: dict[str, Any] = self.ask("hello")
            except FAILURES as error:
                lines = [line for line in ssh_log.read().splitlines() if line.strip()]
                raise HarnessError(self._unreachable(spec, lines[-1] if lines else str(error))) from error

    def _unreachable(self, spec: Any, why: str) -> str:
        address = execnet.XSpec(self.interpreter).ssh
        config = f"-F {spec.ssh_config} " if spec.ssh_config else ""
        by_hand = f"ssh {config}{address} {spec.python} -V" if address else f"{spec.python} -V"
        why = f" ({why})" if why else ""
        return (
            f"no Python answers at {self.interpreter}{why}: correct what `{by_hand}` says, or leave out the "
            "targets that name it (--targets)"
        )

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call ``harness.worker.protocol.remote_agent.<name>(*arguments)`` there.

        Raises:
            HarnessError: it failed, or the connection is gone.
        """
        with self._lock:
            try:
                self._channel.send((name, arguments))
                kind, answer = self._channel.receive(ANSWER_S)
            except FAILURES as error:
                if name == "hello":
                    raise
                raise HarnessError(
                    f"the connection to {self.interpreter} was lost ({type(error).__name__}): see that the "
                    "host is up, and run this again"
                ) from error
        if kind != "ok":
            raise HarnessError(
                f"{self.interpreter} could not answer a request ({name}: {kind}: {answer}): see that its "
                "cache folder can be written and has space"
            )
        return answer

    # Files

    def tree(self, files: Mapping[str, Path]) -> str:
        """Return the path there of a folder that has these files, ``{relative path: file here}``.

        Files that the host lacks are sent; it verifies these, and those it kept from earlier runs.
        """
        digests = {relative: self._digests.of(path) for relative, path in sorted(files.items())}
        sources = {digests[relative]: path for relative, path in files.items()}
        for digest in self.ask("lacking", sorted(sources)):
            self._send(digest, sources[digest])
        return str(self.ask("lay", digests))

    def _send(self, digest: str, path: Path) -> None:
        left = path.stat().st_size
        self.sent += left
        first = True
        with path.open("rb") as file:
            while first or left > 0:
                piece = file.read(PIECE)
                left -= len(piece)
                self.ask("put", digest, first, piece, left <= 0 or not piece)
                first = False
                if not piece:
                    break

    def carried(self, paths: Mapping[str, str]) -> dict[str, str]:
        """Send the files of these paths there, and return the paths there.

        A path names a folder, a file, or files without their ending (`jit.save`'s prefix). A text that is
        no absolute path stays as it is, for example the name of a file in one of the folders.
        """
        local = {name: Path(text) for name, text in paths.items() if os.path.isabs(text)}
        if not local:
            return dict(paths)
        base = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in local.values()]))
        files = {str(file.relative_to(base)): file for path in local.values() for file in _files_of(path)}
        folder = self.tree(files)
        remote = {name: os.path.join(folder, path.relative_to(base)) for name, path in local.items()}
        return {**paths, **remote}

    # Processes

    def start(self, python: str, variables: Mapping[str, str], log: Path, forked: bool = True) -> Process:
        """Start a process there; none is forked, whatever ``forked`` says."""
        root = self.tree(dict(_sources()))
        try:
            return RemoteProcess(self, self._group, root, variables, log)
        except FAILURES as error:
            missing = "numpy" in str(error)
            do = "install NumPy and Paddle there" if missing else f"see {log}"
            last = str(error).strip().splitlines()
            raise HarnessError(
                f"a worker could not be started at {self.interpreter} ({last[-1] if last else error!r}): {do}"
            ) from error

    def close(self) -> None:
        """End the connection, and with it all that was started there."""
        with contextlib.suppress(Exception):
            self._channel.close()
        with contextlib.suppress(Exception):
            self._group.terminate(timeout=5.0)


class RemoteProcess(Process):
    """A worker on another host: a child of the remote agent, reached through it."""

    def __init__(
        self, host: RemoteHost, group: Any, root: str, variables: Mapping[str, str], log: Path
    ) -> None:
        self.host = host
        self.log = log
        self._group = group
        self._fetched = 0
        self._log_there = host.ask("new_log")
        self._ended = False
        try:
            gateway = group.makegateway(f"popen//via=host//{WORKER}{environment(variables)}")
            more = [f"{root}/{EXTENSIONS}/{extension.name}" for extension in extensions()]
            self._start(gateway, root, more, self._log_there, True)
        finally:
            self.fetch_log()
        host.ask("adopt", self.pid, self._log_there)

    def carry(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Send the files that an execution reads; return the arguments with their paths there.

        Raises:
            NotApplicable: another argument names a file of this machine.
        """
        found = {}
        for name, value in arguments.items():
            if name in CARRIED:
                texts = value if isinstance(value, Mapping) else {name: value}
                carried = self.host.carried(texts)
                value = carried if isinstance(value, Mapping) else carried[name]
            elif isinstance(value, str) and os.path.isabs(value):
                raise NotApplicable(
                    f"only executions run on another host, and this call names a file of this one: {value}"
                )
            found[name] = value
        return found

    def fetch_log(self) -> None:
        if self._ended:
            return
        printed = self.host.ask("read", self._log_there, self._fetched)
        self._fetched += len(printed)
        with self.log.open("ab") as file:
            file.write(printed)

    def status(self) -> int | None:
        found = self.host.ask("status", self.pid)
        return None if found is None else int(found)

    def kill(self) -> None:
        # Keep what it printed until now: its log there is removed with it.
        with contextlib.suppress(HarnessError):
            self.fetch_log()
        with contextlib.suppress(HarnessError):
            self.host.ask("kill", self.pid)
        self._ended = True
        with contextlib.suppress(Exception):
            self._gateway.exit()
        # At its end, execnet would wait for this gateway, whose connection is gone by then.
        with contextlib.suppress(ValueError):
            self._group._gateways_to_join.remove(self._gateway)


def refusal(interpreter: str) -> str:
    """Return why a target's interpreter is invalid, or ''."""
    example = "write ssh=USER@HOST//python=PATH, or popen//python=PATH"
    try:
        spec = execnet.XSpec(interpreter)
    except (AttributeError, ValueError, IndexError) as error:
        return f"the interpreter {interpreter!r} is not in execnet's syntax ({error}): {example}"
    if not (isinstance(spec.ssh, str) or spec.popen) or spec.via or spec.id:
        return f"the interpreter {interpreter!r} names no host: {example}"
    return ""


def _sources() -> Iterator[tuple[str, Path]]:
    """The worker's files by their names there: those of the checkout, and those of extensions."""
    folders = {"harness/worker": ROOT / "harness" / "worker", "reference_models": ROOT / "reference_models"}
    for extension in extensions():
        folders |= {f"{EXTENSIONS}/{extension.name}/{name}": extension.folder / name for name in CODE}
    for name, folder in folders.items():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{name}/{path.relative_to(folder)}", path


def _files_of(path: Path) -> list[Path]:
    """Return a folder's files, a file, or the files that begin with a prefix and a dot.

    Raises:
        FileNotFoundError: there are none.
    """
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    if path.is_file():
        return [path]
    found = [
        file for file in path.parent.iterdir() if file.is_file() and file.name.startswith(path.name + ".")
    ]
    if not found:
        raise FileNotFoundError(f"no file {path}")
    return found
