"""Stand for a worker that a template forks: hand over this process's files and variables, end as it ends.

``python attach.py SOCKET PYTHON ARGUMENT…``. Where no template answers, or it forks nothing, this process
becomes ``PYTHON ARGUMENT…``: a worker that was started and not forked.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import sys

FORKED = b"forked"
PATIENCE_S = 120.0
"""Seconds in which a template imports Paddle. One that hangs is done without."""


def main(path: str, command: list[str]) -> int:
    """Return the worker's exit status; a signal that killed it kills this process as well."""
    with socket.socket(socket.AF_UNIX) as template:
        if not _forked(template, path):
            os.execv(command[0], command)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):  # they are the worker's: its end must be seen
            os.dup2(nothing, number)
        template.settimeout(None)
        status = os.waitstatus_to_exitcode(int(template.recv(64) or str(signal.SIGKILL.value)))
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # not every signal's handler can be set
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _forked(template: socket.socket, path: str) -> bool:
    try:
        template.settimeout(PATIENCE_S)
        template.connect(path)
        given = json.dumps({"folder": os.getcwd(), "variables": dict(os.environ)}).encode()
        socket.send_fds(template, [len(given).to_bytes(4, "big")], [0, 1, 2])
        template.sendall(given)
        return template.recv(len(FORKED)) == FORKED
    except OSError:
        return False


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
