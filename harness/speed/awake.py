"""Keep a processor from going to sleep: ``python awake.py PROCESSOR PARENT`` runs a busy loop on it.

It ends when the process with id PARENT has ended. It has the lowest priority (``SCHED_IDLE``), so that any
other program gets the processor at once. It imports nothing of this package, to start where nothing is
installed.
"""

import os
import sys


def main(processor: int, parent: int) -> None:
    try:
        os.sched_setaffinity(0, {processor})
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        return  # the system refuses; the spread of the pairs will show it
    while os.getppid() == parent:
        for _ in range(1_000_000):
            pass


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
