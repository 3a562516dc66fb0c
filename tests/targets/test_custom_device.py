"""A custom device that is one: a plug-in built from Paddle's own header, whose memory is the host's.

It has no kernels, so Paddle runs its CPU kernels on copies of what lies on it: where tensors are, what is
allocated and what is synchronised is the device's, what is computed is not.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.artifacts.builder import ArtifactBuilder
from harness.artifacts.datasets import locate
from harness.artifacts.store import Store
from harness.checks.case import Case, CheckFailed
from harness.core.choices import default_store
from harness.execution.executor import Executor
from harness.execution.latency import TimedSession
from harness.pool.workers import WorkerPool
from harness.targets import target as targets
from harness.targets.target import Target
from suites import test_targets as suite

SOURCE = Path(__file__).parents[1] / "support" / "plain_device.cc"
TYPE = "plain_device"
DYGRAPH = Target("dygraph-plain_device", "dygraph", {"device": TYPE})


@pytest.fixture(scope="module")
def executor(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor whose workers load the plug-in."""
    spec = importlib.util.find_spec("paddle")
    assert spec is not None
    headers = Path(spec.origin or "").parent / "include"
    compiler = shutil.which("g++")
    if compiler is None or not (headers / "paddle" / "phi" / "backends" / "device_ext.h").is_file():
        pytest.skip("no g++, or a Paddle without the header of custom devices: there is no device to make")
    folder = tmp_path_factory.mktemp("plug-in")
    library = folder / "libplain-device.so"
    subprocess.run(
        [compiler, "-std=c++17", "-shared", "-fPIC", f"-I{headers}", str(SOURCE), "-o", str(library)],
        check=True,
    )
    pool = WorkerPool(tmp_path_factory.mktemp("logs"), python, 60.0)
    # Strided tensors need a kernel of the device's own.
    pool.default = pool.default.with_env(
        {"CUSTOM_DEVICE_ROOT": str(folder), "FLAGS_use_stride_kernel": "0", "GLOG_minloglevel": "2"}
    )
    store = Store(Path(default_store()))
    executor = Executor(ArtifactBuilder(pool, store, *locate("packaged", store)), targets.load())
    if executor.paddle.startswith("2."):
        pool.close()
        pytest.skip("Paddle 2 counts no memory of custom devices")
    yield executor
    pool.close()


def test_device_has_a_target_of_its_own(executor: Executor) -> None:
    assert executor.environment["paddle"]["custom_devices"] == [TYPE]
    assert "predictor-custom" not in executor.targets
    assert executor.targets[f"predictor-{TYPE}"].device == TYPE
    for target in (executor.targets[f"predictor-{TYPE}"], DYGRAPH):
        assert executor.not_applicable(target) is None
    reason = executor.not_applicable(Target("other", "predictor", {"device": "npu"}))
    assert reason == f"Paddle reports no custom device npu here, but {TYPE}: name one of those"


@pytest.mark.parametrize("runtime", ["predictor", "dygraph"])
def test_what_ran_there_is_told_from_what_fell_back(executor: Executor, runtime: str) -> None:
    target = Target(f"{runtime}-there", runtime, {"device": TYPE})
    case = Case()
    suite.test_device_and_precision(case, executor, target)
    case.conclude()
    assert case.measures["device"]["device_used_mib"] > 0
    plain = executor.execute(Target(f"{runtime}-here", runtime), "lenet", [executor.sample("lenet", 8)])
    assert plain.describe["device"] == "cpu"
    assert "device_used_mib" not in plain.describe


def test_jit_layer_of_a_device_without_kernels_is_seen_on_the_cpu(executor: Executor) -> None:
    """The program's operators fall back to the CPU one by one, and their outputs stay there."""
    case = Case()
    suite.test_device_and_precision(case, executor, Target("jit-there", "jit", {"device": TYPE}))
    with pytest.raises(CheckFailed, match=f"device: the values differ; got 'cpu', expected '{TYPE}'"):
        case.conclude()


def test_a_call_starts_on_the_cpu(executor: Executor) -> None:
    """Paddle itself starts on the custom device."""
    feeds = [executor.sample("lenet", 1)]
    for target in (Target("first", "dygraph"), DYGRAPH, Target("later", "dygraph"), Target("jit", "jit")):
        assert executor.execute(target, "lenet", feeds).describe["device"] == target.device


def test_timing_waits_for_the_device_and_counts_its_memory(executor: Executor) -> None:
    feed = executor.sample("lenet", 8)
    worker = executor.pool.warm(executor.spec(DYGRAPH))
    worker.call("checks.timing.reset_peak", 10, device=TYPE)
    opened = worker.call(
        "runtimes.open_session",
        30,
        runtime="dygraph",
        files=executor.builder.files(DYGRAPH, "lenet"),
        model="lenet",
        options=DYGRAPH.options,
    )
    session = TimedSession(worker, opened["session"], feed, 30)
    session.run()
    peak = worker.call("checks.timing.memory", 10, device=TYPE)
    worker.call("runtimes.close_session", 10, session=opened["session"])
    # More than the parameters (61,610 float32): the device holds the activations of a run too.
    assert peak["device_peak_mib"] > 0.24
    assert peak["device_peak_mib"] >= peak["device_now_mib"]
