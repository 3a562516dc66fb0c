"""The mutants of bounds that rest on a measured rounding, under several instruction sets and thread counts.

::

    python tests/teeth/rounding.py                              # every instruction set, one and two threads
    python tests/teeth/rounding.py --isa AVX2 --threads 2 -k "upgrade or compression"

What is not known here goes to pytest. Every line printed is one pass: which, how many mutants there were,
and who survived. The exit status is 1 unless all were killed. Other variables reach the workers as they are:
``MKL_DEBUG_CPU_TYPE=5`` has MKL, which programs without oneDNN run on, use AVX2 on an AMD processor.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ISA, THREADS = "ONEDNN_MAX_CPU_ISA", "TEETH_OMP_NUM_THREADS"
RESTS = re.compile(r"yardstick|rounding|close_all|close_runs|case\.close\(|_hold_rows", re.IGNORECASE)
"""In the source of a check: it holds something to a measured rounding."""


class Rounding:
    """A pytest plugin: those mutants alone, in workers with so many OpenMP threads as THREADS says."""

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = [item for item in items if self._rests(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    @staticmethod
    def _rests(item: pytest.Item) -> bool:
        mutant = getattr(getattr(item, "callspec", None), "params", {}).get("mutant")
        if mutant is None:
            return False
        # With the functions of its own file that it calls.
        module, text = inspect.getmodule(mutant.check), inspect.getsource(mutant.check)
        own = {name: f for name, f in vars(module).items() if inspect.isfunction(f) and name in text}
        told = [inspect.getsource(f) for f in own.values() if f.__module__ == mutant.check.__module__]
        return any(RESTS.search(source) for source in [text, *told])

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        found = yield
        if fixturedef.argname == "teeth":
            # A worker has one thread unless its specification says otherwise.
            pool = found.executor.pool
            pool.default = pool.default.with_env({"OMP_NUM_THREADS": os.environ[THREADS]})
        return found


def main() -> int:
    """Run every pass in a process of its own, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--isa", default="SSE41,AVX,AVX2,DEFAULT", help="values of ONEDNN_MAX_CPU_ISA")
    parser.add_argument("--threads", default="1,2", help="values of OMP_NUM_THREADS in the workers")
    options, rest = parser.parse_known_args()
    folder, bad = Path(__file__).parent, 0
    for isa in options.isa.split(","):
        for threads in options.threads.split(","):
            begun = time.monotonic()
            command = [sys.executable, __file__, "--one-pass", str(folder), "-q", "--tb=short", *rest]
            environment = {**os.environ, ISA: isa, THREADS: threads}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            told = re.findall(r"^(?:mutants|survived|not run|FAILED|ERROR)\b.*", done.stdout, re.MULTILINE)
            print(
                f"{isa}, {threads} threads, {time.monotonic() - begun:.0f} s:", *told, sep="\n  ", flush=True
            )
            if done.returncode:
                bad = 1
                print(done.stdout[-4000:] + done.stderr[-1000:], flush=True)
    return bad


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one-pass"]:
        raise SystemExit(pytest.main(sys.argv[2:], plugins=[Rounding()]))
    raise SystemExit(main())
