"""The least time of a run by the roofline, and the probe that measures the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.checks import roofline
from harness.checks.roofline import Cost, Peak
from harness.pool.workers import WorkerPool

PEAK = Peak(
    threads=1, float32=100e9, bfloat16=400e9, read=((1 << 14, 200e9), (1 << 20, 80e9), (1 << 28, 10e9))
)


@pytest.mark.parametrize(
    ("cost", "storage", "us", "by"),
    [
        (Cost(1_000_000, 1 << 15, 0), "float32", 10.0, "operations"),
        (Cost(1_000_000, 1 << 15, 0), "bfloat16", 2.5, "operations"),
        (Cost(1_000_000, 1 << 15, 0), "float16", 10.0, "operations"),  # no units: float32 inside
        (Cost(1_000, 1 << 28, 0), "float32", 1e6 * 2**28 / 10e9, "bytes"),
        (Cost(1_000, 1 << 29, 0), "bfloat16", 1e6 * 2**28 / 10e9, "bytes"),  # half of the parameters' bytes
        (Cost(0, 1 << 20, 1 << 20), "float32", 1e6 * 2**21 / 80e9, "bytes"),
    ],
)
def test_least_time(cost: Cost, storage: str, us: float, by: str) -> None:
    found = roofline.least(cost, PEAK, storage)
    assert found is not None
    assert found.us == pytest.approx(us)
    assert found.by == by


def test_what_nothing_bounds_has_no_least_time() -> None:
    assert roofline.least(Cost(0, 100, 100), PEAK, "float32") is None  # fewer bytes than were measured


def test_a_disturbed_level_is_no_limit() -> None:
    """What holds more cannot be faster."""
    disturbed = Peak(threads=1, float32=1e9, read=((1 << 14, 5e9), (1 << 20, 80e9), (1 << 28, 10e9)))
    assert disturbed.bandwidth(1 << 15) == 80e9
    assert disturbed.bandwidth(1 << 28) == 10e9


def test_peaks_of_records_and_costs_of_figures() -> None:
    told = {
        "threads": 2,
        "float32": 1,
        "bfloat16": 0,
        "read": [[16, 2.5]],
        "interpreter": "",
        "numpy_read": 3.0,
    }
    assert roofline.peaks([told])["", 2] == Peak(threads=2, float32=1.0, read=((16, 2.5),))
    assert roofline.cost_of({"flops": 1, "parameter_bytes": 2, "io_bytes": 3, "batch": 4}) == Cost(1, 2, 3)
    assert roofline.cost_of({"batch": 4}) is None


def test_without_compiler_numpy_measures_and_says_why(bare_pool: WorkerPool) -> None:
    spec = bare_pool.default.with_env({"CXX": "/no/such/compiler"})
    told = bare_pool.call("machine.limits.measure", spec=spec, threads=1)
    (peak,) = roofline.peaks([told]).values()
    assert peak.by == "numpy"
    assert peak.why.startswith("no C++ compiler")
    assert peak.float32 == told["numpy_product"] > 0
    assert peak.bandwidth(1 << 16) == float("inf")
    assert peak.bandwidth(1 << 30) > 0


def test_compiler_that_refuses_is_the_reason(bare_pool: WorkerPool, tmp_path: Path) -> None:
    spec = bare_pool.default.with_env({"CXX": "/bin/false", "HARNESS_PROGRAMS": str(tmp_path)})
    told = bare_pool.call("machine.limits.measure", spec=spec, threads=1)
    assert told["by"] == "numpy"
    assert "could not compile the program that measures this machine (exit status 1)" in told["why"]
