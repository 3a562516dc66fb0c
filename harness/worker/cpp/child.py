"""The program as a running process: requests on its standard input, answers on its standard output.

``docs/cpp.md`` describes the protocol. The library logs to standard error, which is the worker's log.
"""

from __future__ import annotations

import io
import subprocess
from typing import Dict, List, Mapping, Tuple

import numpy as np

from harness.worker.cpp import program
from harness.worker.protocol.children import ChildDied


class Refused(RuntimeError):
    """The program answered with an error, in the library's words or its own."""


class Child:
    """One process, with one open model or none."""

    def __init__(self) -> None:
        command = [program.build(), "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def open(self, arguments: List[str]) -> str:
        """Open a model with the command line's arguments; return what the program reports about it.

        Raises:
            Refused: it cannot be opened, with the reason. ChildDied: the process ended.
        """
        self._send(f"open {len(arguments)}", *(argument.encode() for argument in arguments))
        return self._counted().decode("utf-8", "replace")

    def run(
        self, feed: Mapping[str, np.ndarray], repeat: int = 1
    ) -> Tuple[List[float], Dict[str, np.ndarray]]:
        """Run the open model ``repeat`` times; return seconds of each run, and the last outputs by name.

        Raises:
            As :meth:`open`.
        """
        parts: List[bytes] = []
        for name, array in feed.items():
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(array, order="C"), allow_pickle=False)
            parts += [name.encode(), buffer.getvalue()]
        self._send(f"run {repeat} {len(feed)}", *parts)
        seconds = [float(word) for word in self._counted().split()]
        outputs = {}
        for _ in range(int(self._line())):
            name = self._counted().decode()
            outputs[name] = np.load(io.BytesIO(self._counted()), allow_pickle=False)
        return seconds, outputs

    def close(self) -> None:
        """Close the model; the process can open another."""
        self._send("close")
        self._counted()

    def _send(self, request: str, *parts: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(request.encode() + b"\n")
            for part in parts:
                self.process.stdin.write(b"%d\n" % len(part) + part)
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        verdict = self._word()
        if verdict != b"ok":
            raise Refused(self._counted().decode("utf-8", "replace").strip())

    def _word(self) -> bytes:
        """Read the answer up to its first space."""
        word = b""
        while not word.endswith(b" "):
            word += self._read(1)
        return word[:-1]

    def _read(self, size: int) -> bytes:
        assert self.process.stdout is not None
        found = self.process.stdout.read(size)
        if len(found) < size:
            raise self._died()
        return found

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._died()
        return line

    def _counted(self) -> bytes:
        return self._read(int(self._line()))

    def _died(self) -> ChildDied:
        return ChildDied("the C++ predictor", self.process.wait())


_idle: List[Child] = []


def take() -> Child:
    """Return a process without a model: one that another session gave back, or a new one.

    A start takes a fifth of a second, mostly for loading the libraries.
    """
    while _idle:
        child = _idle.pop()
        if child.alive:
            return child
    return Child()


def give_back(child: Child) -> None:
    """Close its model and keep the process for the next session; a dead process is dropped."""
    if child.alive:
        child.close()
        _idle.append(child)
