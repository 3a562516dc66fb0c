"""Mutants of suites/test_targets.py: targets that silently run as something else."""

from __future__ import annotations

from typing import Any

import pytest

from suites import test_targets as suite
from suites.support.mutants.disturbances import Printed, Result, option, outputs, put, within
from suites.support.mutants.machinery import Mutant, Teeth, parameters

EXECUTE = "runtimes.execute"
READ_BACK = suite.test_configuration_read_back
DID_IT = suite.test_engine_did_it
DEVICE = suite.test_device_and_precision
ON, OFF = {"target": "predictor-onednn"}, {"target": "predictor-no-onednn"}
THREADS = {"target": "predictor-threads2"}
LENET_ON, LENET_OFF = {"model": "lenet", **ON}, {"model": "lenet", **OFF}
NO_IR = {"model": "lenet", "target": "predictor-no-ir"}
ONEDNN_NO_IR = {"model": "lenet", "target": "predictor-onednn-no-ir"}
# Not LeNet: behind a pooling, bfloat16 fails on processors that only emulate it.
BFLOAT16 = {"model": "two_inputs", "target": "predictor-bf16"}


def told(name: str, value: Any) -> Result:
    """The configuration says something else of itself."""
    return Result(EXECUTE, within(put(value), "describe", name))


def remembering(answer: Any) -> Any:
    """A device's memory was used, of which nobody spoke."""
    answer["describe"]["device_used_mib"] = 1.0
    return answer


def rounded(runs: list[list[Any]]) -> None:
    """Outputs of an engine that kept float16 in between."""
    runs[:] = [[array.astype("float16").astype(array.dtype) for array in run] for run in runs]


def without_fusing(printed: str) -> str:
    """The log of an engine that was told not to optimise, and did not."""
    return "\n".join(line for line in printed.splitlines() if "pass [" not in line or "fuse" not in line)


def fused(printed: str) -> str:
    """The log of an engine that fused operators: without oneDNN, 3.3.1 has no pass that does."""
    return printed + "\n--- Running PIR pass [conv2d_bn_fuse_pass]"


def with_tensorrt(printed: str) -> str:
    """The log of an analysis that made an engine of TensorRT's."""
    return printed + "\n---  detect a sub-graph with 5 nodes"


MUTANTS = (
    Mutant("on a GPU", READ_BACK, (told("device", "gpu"),), ON, "device"),
    Mutant("one thread", READ_BACK, (option(EXECUTE, threads=1),), THREADS, "threads"),
    Mutant("threads forgotten", READ_BACK, (option(EXECUTE, drop="threads"),), THREADS, "threads"),
    Mutant("not optimised", READ_BACK, (option(EXECUTE, ir_optim=False),), ON, "ir_optim"),
    Mutant(
        "optimised all the same",
        READ_BACK,
        (option(EXECUTE, ir_optim=True),),
        {"target": "predictor-no-ir"},
        "ir_optim",
    ),
    Mutant(
        "memory optimised unasked",
        READ_BACK,
        (Result(EXECUTE, within(put("true"), "describe", "summary", "memory_optim")),),
        ON,
        "memory_optim",
    ),
    Mutant("TensorRT on", READ_BACK, (told("tensorrt", True),), ON, "TensorRT"),
    Mutant("TensorRT at work", DID_IT, (Printed(with_tensorrt),), LENET_ON, "nodes were given to TensorRT"),
    Mutant("on a GPU", DEVICE, (told("device", "gpu"),), {"target": "dygraph"}, "device"),
    Mutant(
        "memory of a GPU", DEVICE, (Result(EXECUTE, remembering),), {"target": "jit"}, "memory of the device"
    ),
    Mutant(
        "silently float16",
        DEVICE,
        (outputs(rounded),),
        ON,
        "coarser than float32",
    ),
    Mutant(
        "bfloat16 ignored",
        DEVICE,
        (option(EXECUTE, drop="bfloat16"),),
        {"target": "predictor-bf16"},
        "coarser than float32",
        flag="avx512f",
    ),
    *(
        Mutant(
            "on a CPU",
            DEVICE,
            (option(EXECUTE, drop="device"),),
            {"target": target},
            "device",
            needs="a GPU",
        )
        for target in ("predictor-gpu", "dygraph-gpu", "jit-gpu")
    ),
    Mutant(
        "float16 ignored",
        DEVICE,
        (option(EXECUTE, drop="precision"),),
        {"target": "predictor-gpu-fp16"},
        "coarser than float32",
        needs="a GPU",
    ),
    Mutant(
        "TensorRT ignored",
        DID_IT,
        (option(EXECUTE, drop="tensorrt"),),
        {"model": "lenet", "target": "predictor-gpu-tensorrt-fp16"},
        "nodes were given to TensorRT",
        needs="a GPU",
    ),
    Mutant("oneDNN off", READ_BACK, (option(EXECUTE, onednn=False),), ON, "oneDNN"),
    Mutant("oneDNN on", READ_BACK, (option(EXECUTE, onednn=True),), OFF, "oneDNN"),
    Mutant("oneDNN on", DID_IT, (option(EXECUTE, onednn=True),), LENET_OFF, "oneDNN primitives"),
    Mutant(
        "oneDNN configured, but did nothing",
        DID_IT,
        (Printed(lambda text: ""),),
        LENET_ON,
        "oneDNN primitives ran",
    ),
    Mutant(
        "oneDNN at work, but not configured",
        DID_IT,
        (told("onednn", False),),
        LENET_ON,
        "oneDNN primitives ran",
    ),
    Mutant(
        "bfloat16 unasked",
        DID_IT,
        (option(EXECUTE, bfloat16=True),),
        {**LENET_ON, "model": "two_inputs"},
        "bfloat16",
        flag="avx512f",
    ),
    Mutant(
        "bfloat16 ignored", DID_IT, (option(EXECUTE, drop="bfloat16"),), BFLOAT16, "bfloat16", flag="avx512f"
    ),
    Mutant(
        "an engine that says nothing",
        DID_IT,
        (option(EXECUTE, drop="log"),),
        LENET_ON,
        "passes that fuse operators ran",
    ),
    Mutant("an engine that says nothing", DID_IT, (option(EXECUTE, drop="log"),), LENET_OFF, "passes ran"),
    Mutant("fused all the same", DID_IT, (Printed(fused),), NO_IR, "passes that fuse operators"),
    Mutant(
        "Paddle itself",
        DID_IT,
        given=ONEDNN_NO_IR,
        repair=(Printed(without_fusing),),
        says="passes that fuse operators",
    ),
    Mutant(
        "one thread more",
        suite.test_thread_count,
        (option(EXECUTE, threads=2),),
        {"threads": 1},
        "threads",
    ),
    Mutant(
        "one thread",
        suite.test_thread_count,
        (option(EXECUTE, threads=1),),
        {"threads": 2},
        "threads",
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
