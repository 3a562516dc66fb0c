"""Memory of measured processes: what is freed is kept, and libraries are laid out anew."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.paths import ROOT
from harness.speed.machine import lay_out_anew

FREED = """
import resource, sys
from harness.worker.machine import memory
import numpy as np

if "keep" in sys.argv:
    assert memory.keep()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def touch():
    for _ in range(200):
        np.ones(6 * 2**17)
touch()
before = faults()
touch()
print(faults() - before)
"""


def faults(*arguments: str) -> int:
    command = [sys.executable, "-c", FREED, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_memory_is_kept() -> None:
    """Above malloc's largest threshold for mapping, each array is otherwise mapped and faulted in again."""
    assert faults("keep") < 50


@pytest.mark.skipif(shutil.which("fincore") is None, reason="needs fincore of util-linux")
def test_a_file_leaves_the_page_cache(tmp_path: Path) -> None:
    file = tmp_path / "library.so"
    file.write_bytes(bytes(2**22))
    subprocess.run(["sync", str(file)], check=True)
    lay_out_anew([str(file), str(tmp_path / "missing.so")])

    def cached() -> int:
        command = ["fincore", "--bytes", "--noheadings", "--output", "RES", str(file)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    if cached():
        pytest.skip("this file system keeps its pages in memory")
    file.read_bytes()
    assert cached() == 2**22
    lay_out_anew([str(file)])
    assert cached() == 0
