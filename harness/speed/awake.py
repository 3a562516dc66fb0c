"""Keeps a processor from going to sleep: ``python awake.py PROCESSOR PARENT`` spins there.

Until the parent, given by its number, has ended. With the least priority there is (``SCHED_IDLE``), so
that whatever else wants the processor has it at once. It imports nothing of this package: it starts where
nothing is installed.
"""

import os
import sys


def main(processor: int, parent: int) -> None:
    try:
        os.sched_setaffinity(0, {processor})
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        return  # the system refuses: the spread of the pairs tells
    while os.getppid() == parent:
        for _ in range(1_000_000):
            pass


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
