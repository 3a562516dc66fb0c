"""Worker processes as the controller sees them: calls, deadlines and crashes."""

from __future__ import annotations

import contextlib
import itertools
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.core.choices import LEGACY_IR
from harness.core.paths import ROOT as ROOT
from harness.core.types import Outcome, RemoteFailure
from harness.pool.hosts import Here, Host
from harness.pool.remote import RemoteHost
from harness.pool.templates import Templates
from harness.worker.protocol.wire import pack, unpack

LOG_TAIL_LINES = 60
"""Lines of the log that a failure keeps. Python's stacks of a crash take thirty; the lines before them must
be there too."""


class WorkerSpec(msgspec.Struct, frozen=True):
    """Which interpreter a worker runs in, and with which extra environment variables.

    ``interpreter`` names one on another host in execnet's syntax; ``python`` is then ignored. ``process``
    tells warm workers apart that are alike otherwise.
    """

    python: str
    env: tuple[tuple[str, str], ...] = ()
    interpreter: str = ""
    process: str = ""

    def with_env(self, extra: Mapping[str, str]) -> WorkerSpec:
        env = tuple(sorted({**dict(self.env), **extra}.items()))
        return msgspec.structs.replace(self, env=env)

    def at(self, interpreter: str) -> WorkerSpec:
        """Return this spec for another interpreter ('': this machine)."""
        return msgspec.structs.replace(self, interpreter=interpreter)


class WorkerFailure(Exception):
    """A call that did not return; ``outcome`` says how it ended."""

    outcome: Outcome = "error"

    def __init__(self, call: str, failure: RemoteFailure) -> None:
        super().__init__(f"{call}: {failure.type}: {failure.message}")
        self.call = call
        self.failure = failure

    @property
    def sentence(self) -> str:
        """What happened, in one line, without the C++ stack that Paddle's messages start with."""
        lines = [line.strip() for line in self.failure.message.splitlines() if line.strip()]
        summary = [i for i, line in enumerate(lines) if "Error Message Summary" in line]
        rest = [line for line in lines[summary[-1] + 1 :] if set(line) - {"-"}] if summary else lines
        message = rest or lines or ["(no message)"]
        text = f"{self.failure.type}: {_telling(message)}"
        # What an uncaught C++ exception was is only in the log.
        thrown = [line.strip() for line in self.failure.log_tail.splitlines() if "what():" in line]
        return f"{text}; {thrown[-1]}" if thrown and self.outcome == "crash" else text


QUOTING = ("In transformed code:", "In user code:")
"""First lines of messages of dy2static, which quote code before they say what is wrong."""


def _telling(lines: Sequence[str]) -> str:
    """Return the line that says what is wrong: the first one; behind quoted code, the last error's."""
    if lines[0] not in QUOTING:
        return lines[0]
    # Hints and the operator, in brackets, come behind the error.
    said = [line for line in lines if not line.startswith(("[", "~", "File ")) and "<--- HERE" not in line]
    errors = [line for line in said if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (errors or said)[-1]


class RemoteError(WorkerFailure):
    """The worker raised a Python exception; type, message and traceback are kept."""

    outcome = "error"


class WorkerCrash(WorkerFailure):
    """The worker process, or one that it had started, died in the call; signal and log's tail are kept."""

    outcome = "crash"


class WorkerTimeout(WorkerFailure):
    """The call passed its deadline; the worker was killed."""

    outcome = "timeout"


class Worker:
    """One process of the environment under test.

    Attributes:
        spec: interpreter and environment variables.
        log: file with everything that the process printed, C++ included.
        heard: Python warnings that its calls raised; a pool's workers share one set.
        guests: user models and memory limit, sent with the first call and again where they changed.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        log: Path,
        host: Host,
        heard: set[str] | None = None,
        guests: Guests | None = None,
        forked: bool = True,
    ) -> None:
        self.spec = spec
        self.log = log
        self.heard = set() if heard is None else heard
        self.guests = guests or Guests()
        self._sent: dict[str, Any] = {}
        self._mark = 0
        self._ended = False
        # One OpenMP thread: sums then have one order, and timing cases ask for more explicitly.
        variables = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", **dict(spec.env)}
        self._process = host.start(spec.python, variables, log, forked)

    @property
    def pid(self) -> int:
        """The process's number on its own host."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._ended and self._process.alive

    def call(self, name: str, deadline: float, /, **arguments: Any) -> Any:
        """Call ``harness.worker.<name>(**arguments)`` in the worker; arrays are sent as ``.npy``.

        Files that an execution reads are first sent to the worker's host, if it is another one.

        Raises:
            RemoteError: it raised. WorkerCrash: the process died, or one that it had started.
            WorkerTimeout: no answer after ``deadline`` seconds; the process was killed.
        """
        self._process.fetch_log()
        self._mark = self.log.stat().st_size if self.log.exists() else 0
        carried = self._process.carry(arguments)
        request = {"call": name, "arguments": carried, **self.guests.news(self._sent)}
        channel = self._process.channel
        try:
            channel.send(pack(request))
            answer = unpack(channel.receive(deadline))
        except channel.TimeoutError:
            self.kill()
            raise WorkerTimeout(name, self._failure("deadline", f"no answer in {deadline:g} s")) from None
        except (EOFError, OSError):
            raise WorkerCrash(name, self._died()) from None
        self.heard.update(answer.get("warnings", ()))
        if "raised" in answer:
            failure = self._failure(
                answer["raised"],
                answer["message"],
                traceback=answer["traceback"],
                signal=answer.get("died", ""),
            )
            raise (WorkerCrash if "died" in answer else RemoteError)(name, failure)
        return answer["ok"]

    def printed(self) -> str:
        """Return what the process printed during the last call."""
        self._process.fetch_log()
        with self.log.open("rb") as file:
            file.seek(self._mark)
            return file.read().decode("utf-8", "replace")

    def kill(self) -> None:
        """End the process and its children at once."""
        # The channel notices later: a call in between would report a crash that it did not cause.
        self._ended = True
        self._process.kill()

    def close(self) -> None:
        """Let the process end by itself, and kill it if it does not."""
        self._process.close()
        self.kill()

    def _died(self) -> RemoteFailure:
        status = self._process.status()
        if status is None:
            self.kill()
            return self._failure("lost", "the worker's channel closed while its process lived")
        self._ended = True
        if status < 0:
            name = signal.Signals(-status).name
            return self._failure(name, f"killed by signal {name}", signal=name)
        return self._failure("exit", f"the process ended with exit status {status}")

    def _failure(self, kind: str, message: str, **more: str) -> RemoteFailure:
        tail = "\n".join(self.printed().splitlines()[-LOG_TAIL_LINES:])
        return RemoteFailure(type=kind, message=message, log_tail=tail, **more)


class Guests:
    """User models as workers know them, and a worker's memory limit.

    Attributes:
        models: declarations in plain values by name; a changed one is a new dict.
        memory: bytes that a process may allocate, including the quarter of a GiB that it takes without a
            model; 0: no limit.
    """

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.memory = 0

    def news(self, sent: dict[str, Any]) -> dict[str, Any]:
        """Return what has to be sent to a worker; ``sent`` is what it has, and is updated."""
        found: dict[str, Any] = {}
        models = [given for name, given in list(self.models.items()) if sent.get(name) is not given]
        if models:
            found["first"] = {"models.user.declare": {"models": models}}
            sent.update({given["name"]: given for given in models})
        if self.memory and "" not in sent:
            found["memory"] = sent[""] = self.memory
        return found


class WorkerPool:
    """Warm workers by specification, and fresh ones on request.

    Args:
        logs: folder for what the workers print.
        python: interpreter of the environment under test.
        deadline: seconds that a call may take.
        profile: ``"legacy-ir"``, or ``"default"``.
        templates: what workers are forked from, if another object's are shared.
    """

    def __init__(
        self,
        logs: Path,
        python: str,
        deadline: float,
        profile: str = "default",
        templates: Templates | None = None,
    ) -> None:
        self.logs = logs
        self.default = WorkerSpec(python).with_env(LEGACY_IR if profile == "legacy-ir" else {})
        self.deadline = deadline
        self.replaced = 0
        self.heard: set[str] = set()
        self.guests = Guests()
        self._own_templates = templates is None
        self.templates = templates or Templates()
        self._warm: dict[WorkerSpec, Worker] = {}
        self._hosts: dict[str, Host] = {"": Here(self.templates)}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        logs.mkdir(parents=True, exist_ok=True)

    def _start(self, spec: WorkerSpec, forked: bool = True) -> Worker:
        with self._lock:
            number = next(self._numbers)
            host = self._host(spec.interpreter)
        # User models are files of this machine, and the limit is for its memory.
        guests = None if spec.interpreter else self.guests
        return Worker(spec, self.logs / f"worker-{number:03d}.log", host, self.heard, guests, forked)

    def _host(self, interpreter: str) -> Host:
        if interpreter not in self._hosts:
            self._hosts[interpreter] = RemoteHost(interpreter)
        return self._hosts[interpreter]

    def call(
        self, name: str, /, *, spec: WorkerSpec | None = None, deadline: float | None = None, **arguments: Any
    ) -> Any:
        """Call in the warm worker of ``spec`` (started, or replaced if it died)."""
        return self.warm(spec).call(name, deadline or self.deadline, **arguments)

    def warm(self, spec: WorkerSpec | None = None) -> Worker:
        spec = spec or self.default
        worker = self._warm.get(spec)
        if worker is None or not worker.alive:
            self.replaced += worker is not None
            worker = self._warm[spec] = self._start(spec)
        return worker

    @contextlib.contextmanager
    def elsewhere(self, new: bool, spec: WorkerSpec | None = None) -> Iterator[Worker]:
        """Give the block a process that the rest of the run does not use: a :meth:`fresh` one if ``new``.

        Else it is the process of the last such block: enough where another process is needed, but not a
        new one.
        """
        spec = spec or self.default
        if new:
            with self.fresh(spec) as worker:
                yield worker
        else:
            yield self.warm(msgspec.structs.replace(spec, process="elsewhere"))

    def warned(self) -> tuple[str, ...]:
        """Return the Python warnings of the calls since this method was last called."""
        found = tuple(sorted(self.heard))
        self.heard.clear()
        return found

    def discard(self, spec: WorkerSpec | None = None) -> None:
        """End the warm worker: the next call starts another."""
        worker = self._warm.pop(spec or self.default, None)
        if worker is not None:
            worker.close()

    @contextlib.contextmanager
    def fresh(self, spec: WorkerSpec | None = None, forked: bool = True) -> Iterator[Worker]:
        """Give the block a process that has served no call, and end it afterwards.

        ``forked=False``: one that is started for it. Whether memory is shared with a template would show in
        a timing.
        """
        worker = self._start(spec or self.default, forked)
        try:
            yield worker
        finally:
            worker.close()

    def rest(self) -> None:
        """End the warm workers, and what they are forked from; the next call starts them again."""
        while self._warm:
            self._warm.popitem()[1].close()
        self.templates.rest()

    def close(self) -> None:
        for worker in self._warm.values():
            worker.close()
        for host in self._hosts.values():
            host.close()
        if self._own_templates:
            self.templates.close()
