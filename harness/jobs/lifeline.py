"""For a process that must not outlive who started it; also a pytest plugin (``-p harness.jobs.lifeline``).

A driver or a node that is killed cannot end its children. Its runs are begun anew by the next driver, so
what is left of them would only be in the way; their workers end with the connection to them.
"""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT = "HARNESS_PARENT"
"""Environment variable with the starting process's number."""
EVERY_S = 0.5


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY_S)
    os.kill(os.getpid(), signal.SIGKILL)


def hold() -> None:
    """Watch from here on, from a thread: the process itself may be busy for minutes."""
    parent = int(os.environ[PARENT])
    threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def pytest_configure() -> None:
    """As a plugin."""
    hold()
