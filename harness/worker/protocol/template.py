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
import os
import select
import signal
import socket
import sys
from typing import Any, Dict, List, Tuple

from harness.worker.protocol import server
from harness.worker.protocol.environment import import_paddle

FORKED, REFUSED = b"forked", b"refuse"
"""Answers to a client: a worker was forked from here, or none can be, and the client has to start one."""
END = b"e"
"""Message that ends the template; any other asks for a worker."""


def serve(listener: socket.socket, owner: int) -> None:
    """Fork a worker for each client, until the process ``owner`` has ended.

    A client (``harness/pool/attach.py``) sends its standard input, output and error, which become the
    worker's. The answer is :data:`REFUSED`, or :data:`FORKED` and, at the worker's end, its status as
    ``os.waitpid`` gives it.
    """
    forks = _import()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    watched = [listener.fileno(), woken]
    with contextlib.suppress(OSError, AttributeError):  # Linux before 5.3
        watched.append(os.pidfd_open(owner))
    clients: Dict[int, socket.socket] = {}
    gc.collect()
    gc.freeze()  # a collection in a worker would copy the pages of all that was imported
    while _alive(owner):
        ready = select.select(watched, [], [], 5.0)[0]
        if woken in ready:
            os.read(woken, 4096)
            _report(clients)
        if listener.fileno() in ready:
            client = listener.accept()[0]
            message, files = _receive(client)
            if message == END:
                return
            if not forks or len(files) != 3:
                client.sendall(REFUSED)
                client.close()
            else:
                pid = os.fork()
                if not pid:
                    _become(files, [listener, client, *clients.values()], [woken, wake, *watched[2:]])
                clients[pid] = client
                client.sendall(FORKED)
            for file in files:
                os.close(file)


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


def _receive(client: socket.socket) -> Tuple[bytes, List[int]]:
    """Receive a message of a byte, and the files that came with it."""
    files = array.array("i")
    message, carried, _, _ = client.recvmsg(1, socket.CMSG_SPACE(3 * files.itemsize))
    for level, kind, content in carried:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(content[: len(content) - len(content) % files.itemsize])
    return message, list(files)


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


def _become(files: List[int], sockets: List[socket.socket], others: List[int]) -> None:
    """Become the worker: run what comes in on the first of the files, as ``python -c`` would."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
