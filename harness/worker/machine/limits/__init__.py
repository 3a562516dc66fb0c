"""The limits of this machine: operations per second, and bytes per second from each level of memory.

A program in C++ (``limits.cc``) measures them where there is a compiler: no library exceeds the peak of
multiply-adds that stay in registers. Otherwise NumPy's matrix product and dot product measure them, which a
better library may exceed. NumPy's figures are always measured too, to check the program's.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import time
from typing import Any, Callable, Dict, List

import numpy as np

from harness.worker.machine import compiling
from harness.worker.protocol.environment import cpu

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "limits.cc")
SIDE = 512
"""Rows of the matrices that NumPy multiplies."""
SLICE = 1 << 22
"""Bytes that NumPy reads in one go."""
LARGE = 1 << 28
"""Bytes that NumPy reads, far more than most last caches hold."""


def measure(threads: int) -> Dict[str, Any]:
    """Measure the limits of ``threads`` threads; NumPy's library must have been started with as many.

    Returns ``threads``; ``by`` (``"program"`` or ``"numpy"``) and ``why`` (why the program did not measure);
    ``float32`` and ``bfloat16`` in operations per second (0: no units for that type); ``read``, pairs of the
    bytes read repeatedly and bytes per second, from the smallest; ``triad`` in bytes per second from memory
    (McCalpin's, 0 where NumPy measured); and for a check ``numpy_product`` and ``numpy_read``.
    """
    witness = {"numpy_product": _product(), "numpy_read": _read(LARGE)}
    found: Dict[str, Any] = {"threads": threads, "by": "program", "why": compiling.missing() or "", **witness}
    if not found["why"]:
        try:
            return {**found, **_by_program(threads)}
        except (RuntimeError, OSError) as error:
            found["why"] = str(error)
    return {
        **found,
        "by": "numpy",
        "float32": witness["numpy_product"],
        "bfloat16": 0.0,
        # Smaller arrays would measure how long a call takes.
        "read": [
            *([size, _read(size)] for size in (1 << 22, 1 << 24, 1 << 26)),
            [LARGE, witness["numpy_read"]],
        ],
        "triad": 0.0,
    }


def _by_program(threads: int) -> Dict[str, Any]:
    path = compiling.build(
        "limits", "the program that measures this machine", _command, [SOURCE], _processor()
    )
    done = subprocess.run([path, str(threads)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{path} ended with exit status {done.returncode}: {done.stderr.strip()}")
    rows = [line.split() for line in done.stdout.splitlines()]
    rates = {name: float(rate) for name, _, rate in rows}
    return {
        "float32": rates["float32"],
        "bfloat16": rates["bfloat16"],
        "read": [[int(size), float(rate)] for name, size, rate in rows if name == "read"],
        "triad": rates["triad"],
    }


def _command(output: str) -> List[str]:
    flags = ["-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-pthread"]
    return [str(compiling.compiler()), *flags, SOURCE, "-o", output]


def _processor() -> str:
    """Return what ``-march=native`` stands for here: several machines may share a cache."""
    processor = cpu()
    return hashlib.sha256(repr([processor["model"], processor["flags"]]).encode()).hexdigest()


def _product() -> float:
    """Return the operations per second of a float32 matrix product."""
    matrix = np.full((SIDE, SIDE), 0.5, dtype="float32")
    result = np.empty_like(matrix)
    return 2.0 * SIDE**3 / _fastest(lambda: np.matmul(matrix, matrix, out=result))


def _read(size: int) -> float:
    """Return the bytes per second of dot products of an array of ``size`` bytes with itself, in slices."""
    slices = max(1, size // SLICE)
    array = np.full((slices, size // slices // 4), 0.5, dtype="float32")
    turn = itertools.cycle(array)

    def work() -> None:
        part = next(turn)
        np.dot(part, part)

    return array[0].nbytes / _fastest(work)


def _fastest(work: Callable[[], Any], goes: int = 48, least: float = 0.3) -> float:
    """Return the seconds of the fastest of many short runs: on a shared machine some are not interrupted.

    It runs for at least ``least`` seconds: a slow spell may last longer than ``goes`` runs. Seen: one thread
    with two thirds of the rate that each of two threads had a second later.
    """
    work()
    seconds: List[float] = []
    until = time.perf_counter() + least
    while len(seconds) < goes or time.perf_counter() < until:
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
