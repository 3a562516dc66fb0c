"""A target runs as it is described: the requested, configured and executed settings are the same."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from harness.checks import tolerance
from harness.checks.case import Case
from harness.execution import engine_log
from harness.execution.executor import Executor
from harness.targets.target import Target
from suites.test_agreement import require

pytestmark = pytest.mark.area("Targets do what they are asked for", judges_targets=True)


@pytest.mark.claims("002-predictor")
@pytest.mark.targets(runtime="predictor")
def test_configuration_read_back(case: Case, executor: Executor, target: Target) -> None:
    """The predictor's `Config` reports what was requested: device, oneDNN, optimisation, memory, threads."""
    require(executor, target)
    described = executor.execute(target, "lenet", [executor.sample("lenet", 2)]).describe
    options = target.options
    case.exact("device", described["device"], options.get("device", "cpu"))
    case.exact("threads", described["threads"], options.get("threads", 1))
    case.exact("ir_optim", described["ir_optim"], options.get("ir_optim", True))
    case.exact(
        "memory_optim",
        described["summary"].get("memory_optim"),
        str(options.get("memory_optim", False)).lower(),
    )
    case.exact("TensorRT", described["tensorrt"], "tensorrt" in options)
    if "onednn" in options:
        case.exact("oneDNN", described["onednn"], options["onednn"])
    case.measures["configuration"] = described["summary"]


@pytest.mark.claims("002-predictor")
@pytest.mark.models(forms=())
@pytest.mark.targets(runtime="predictor")
def test_engine_did_it(case: Case, executor: Executor, model: str, target: Target) -> None:
    """The engine's log shows the primitives, precision and passes that the target stands for."""
    require(executor, target)
    logged = msgspec.structs.replace(target, options={**target.options, "log": True})
    result = executor.execute(
        logged, model, [executor.sample(model, 2), executor.sample(model, 2)], **engine_log.VERBOSE
    )
    seen = engine_log.read(result.printed)
    case.measures["primitives"] = seen.primitives
    case.measures["passes"] = len(seen.passes)
    # The configuration of another device may leave oneDNN on, for operators that stay on the CPU.
    onednn = result.describe["onednn"] and target.device == "cpu"
    case.exact("oneDNN primitives ran, as the configuration says", seen.computing > 0, onednn)
    if target.options.get("onednn") is False:
        case.exact("oneDNN primitives", seen.primitives, {})
    case.exact("nodes were given to TensorRT", seen.tensorrt_nodes > 0, "tensorrt" in target.options)
    wanted = bool(target.options.get("bfloat16"))
    case.exact("primitives computing on bfloat16", seen.computing_bfloat16 > 0, wanted)
    if target.options.get("ir_optim") is False:
        case.exact("passes that fuse operators", list(seen.fusing), [])
    elif onednn:
        case.exact("passes that fuse operators ran", len(seen.fusing) > 0, True)
    else:
        # The new IR has no fusing passes for a plain CPU: there, optimisation is constant folding.
        case.exact("passes ran", len(seen.passes) > 0, True)


@pytest.mark.targets(runtime=("dygraph", "jit", "predictor"), absent=True)
def test_device_and_precision(case: Case, executor: Executor, target: Target) -> None:
    """Outputs and memory are on the target's device, and outputs are as coarse as its precision."""
    require(executor, target)
    # Behind LeNet's pooling, bfloat16 fails on processors that only emulate it.
    model = "two_inputs" if target.storage == "bfloat16" else "lenet"
    feeds = [executor.sample(model, 8, seed) for seed in range(2)]
    result = executor.execute(target, model, feeds)
    described = result.describe
    case.exact("device", described["device"], target.device)
    case.exact(
        "memory of the device was used", described.get("device_used_mib", 0.0) > 0, target.device != "cpu"
    )
    case.measures["device"] = {name: value for name, value in described.items() if name.startswith("device")}
    if "tensorrt" in target.options:
        return  # it chooses a precision for each layer, up to the allowed one
    # Without the fast kernel, outputs are more exact than the target asks for.
    allowance = executor.tolerances(model, feeds)[0]
    oracle = np.concatenate([outputs[0] for outputs in executor.oracle(model, feeds)])
    error = tolerance.rmse(np.concatenate([outputs[0] for outputs in result.outputs]), oracle)
    case.measures["error over float32's"] = error / allowance.rmse
    case.exact("coarser than float32", error > allowance.rmse, target.storage != "float32")


@pytest.mark.claims("002-predictor")
@pytest.mark.runs("predictor")
@pytest.mark.parametrize("threads", [1, 2])
def test_thread_count(case: Case, executor: Executor, threads: int) -> None:
    """A predictor asked for 1 or 2 threads gives oneDNN that many."""
    target = Target("threads", "predictor", {"onednn": True, "threads": threads})
    feeds = [executor.sample("lenet", 2)]
    # oneDNN logs its thread count once per process, at its first primitive.
    with executor.pool.fresh(executor.spec(**engine_log.VERBOSE)) as worker:
        result = executor.execute(target, "lenet", feeds, worker=worker)
    case.exact("threads oneDNN was given", engine_log.read(result.printed).threads, threads)
