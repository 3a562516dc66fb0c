"""A process that has imported Paddle and serves no call: workers are forked from it.

Importing Paddle takes three seconds of a processor, forking a process that has done so a hundredth of one.
A forked worker is as new as a started one: it has imported Paddle, which every worker does first, and has
served no call. Android's zygote and `multiprocessing`'s forkserver work in the same way.

Paddle for another device than the CPU is not forked: CUDA cannot be used in a process whose parent has
initialised it.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
from typing import Any, Dict, List, Optional, Tuple

from harness.worker.protocol import server
from harness.worker.protocol.environment import import_paddle

FORKED, REFUSED = b"forked", b"refuse"
"""Answers to a client: a worker was forked from here, or none can be, and the client has to start one."""
END = bytes(4)
"""Message that ends the template; any other is the length of what a worker is given."""
PATIENCE_S = 10.0
"""Seconds in which a client has to say what it wants."""


def serve(listener: socket.socket, owner: int) -> None:
    """Fork a worker for each client, until the process ``owner`` has ended.

    A client (``harness/pool/attach.py``) sends its standard input, output and error, its folder and its
    environment variables, which become the worker's. The answer is :data:`REFUSED`, or :data:`FORKED` and,
    at the worker's end, its status as ``os.waitpid`` gives it.
    """
    forks = _import()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    watched, ended = [listener.fileno(), woken], -1
    with contextlib.suppress(OSError, AttributeError):  # Linux before 5.3
        ended = os.pidfd_open(owner)
        watched.append(ended)
    clients: Dict[int, socket.socket] = {}
    gc.collect()
    gc.freeze()  # a collection in a worker would copy the pages of all that was imported
    while _alive(owner):
        ready = select.select(watched, [], [], 5.0)[0]
        if ended in ready:
            break
        if woken in ready:
            os.read(woken, 4096)
            _report(clients)
        if listener.fileno() in ready:
            client = listener.accept()[0]
            client.settimeout(PATIENCE_S)
            given, files = _receive(client)
            if given is None:
                return
            if _answered(client, FORKED if forks and len(files) == 3 else REFUSED):
                pid = os.fork()
                if not pid:
                    others = [listener, client, *clients.values()]
                    _become(given, files, others, [woken, wake, *watched[2:]])
                clients[pid] = client
            else:
                client.close()
            for file in files:
                os.close(file)
    # It was killed, and could not remove the folder.
    shutil.rmtree(os.path.dirname(listener.getsockname()), ignore_errors=True)


def _import() -> bool:
    """Import Paddle, and keep the warnings for the workers; whether the process may be forked then."""
    try:
        with server.recorded_warnings(server.imported):
            import_paddle()
        import paddle

        return not (paddle.is_compiled_with_cuda() or paddle.device.get_all_custom_device_type())
    except Exception:  # whatever it is, the worker's first call will raise it, and is answered for it
        return False


def _alive(owner: int) -> bool:
    try:
        os.kill(owner, 0)
    except ProcessLookupError:
        return False
    return True


def _receive(client: socket.socket) -> Tuple[Optional[Dict[str, Any]], List[int]]:
    """Receive what a worker is given, and the files for it; None to end."""
    files = array.array("i")
    length, content = b"", b""
    try:
        length, carried, _, _ = client.recvmsg(len(END), socket.CMSG_SPACE(3 * files.itemsize))
        for level, kind, data in carried:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                files.frombytes(data[: len(data) - len(data) % files.itemsize])
        if length == END:
            return None, list(files)
        while len(content) < int.from_bytes(length, "big"):
            content += client.recv(1 << 16) or b"\0"
        return json.loads(content), list(files)
    except (OSError, ValueError):  # the client was killed
        for file in files:
            os.close(file)
        return {}, []


def _answered(client: socket.socket, answer: bytes) -> bool:
    """Answer a client; whether a worker is to be forked for it, as it is still there."""
    try:
        client.sendall(answer)
    except OSError:  # it was killed, or has started a worker itself
        return False
    return answer == FORKED


def _report(clients: Dict[int, socket.socket]) -> None:
    """Tell the clients of workers that have ended how they ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        client = clients.pop(pid, None)
        if client is not None:
            with contextlib.suppress(OSError):  # the client was killed
                client.sendall(str(status).encode())
            client.close()


def _become(given: Dict[str, Any], files: List[int], sockets: List[socket.socket], others: List[int]) -> None:
    """Become the worker: run what comes in on the first of the files, as ``python -c`` would."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(given["variables"])
    os.chdir(given["folder"])
    for one in sockets:
        one.close()
    for other in others:
        os.close(other)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    main: Dict[str, Any] = sys.modules["__main__"].__dict__
    status = 1
    try:
        exec(eval(sys.stdin.readline()), main)  # execnet's first line
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status)  # the template's exit handlers are the template's
