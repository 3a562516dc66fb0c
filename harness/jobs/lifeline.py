"""End a process when its parent ends; also a pytest plugin (``-p harness.jobs.lifeline``).

A driver or a node that is killed cannot end its children. The next driver starts their runs again, so left
over processes would only be in the way. Their workers end when the connection to them closes.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

PARENT = "HARNESS_PARENT"
"""Environment variable with the process id of the parent."""
EVERY_S = 0.5


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY_S)
    os.kill(os.getpid(), signal.SIGKILL)


def hold() -> None:
    """Watch the parent from a thread, as the process itself may be busy for minutes."""
    watch(int(os.environ[PARENT]))


def watch(parent: int) -> None:
    """End this process when its parent, the process of that number, has ended."""
    threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def pytest_configure(config: Any) -> None:
    """Start watching, as a pytest plugin; a process of pytest-xdist watches the pytest that started it."""
    if hasattr(config, "workerinput"):
        watch(os.getppid())
    else:
        hold()
