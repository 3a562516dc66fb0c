"""Mutants of suites/test_targets.py: targets that silently run as something else."""

from __future__ import annotations

from typing import Any

import pytest

from suites import test_targets as suite
from teeth.disturbances import Printed, Result, option, put, within
from teeth.machinery import Mutant, Teeth, parameters

EXECUTE = "runtimes.execute"
READ_BACK = suite.test_configuration_read_back
DID_IT = suite.test_engine_did_it
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


def without_fusing(printed: str) -> str:
    """The log of an engine that was told not to optimise, and did not."""
    return "\n".join(line for line in printed.splitlines() if "pass [" not in line or "fuse" not in line)


def fused(printed: str) -> str:
    """The log of an engine that fused operators: without oneDNN, 3.3.1 has no pass that does."""
    return printed + "\n--- Running PIR pass [conv2d_bn_fuse_pass]"


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
    ),
    Mutant("bfloat16 ignored", DID_IT, (option(EXECUTE, drop="bfloat16"),), BFLOAT16, "bfloat16"),
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
        truly_fresh=True,
    ),
    Mutant(
        "one thread",
        suite.test_thread_count,
        (option(EXECUTE, threads=1),),
        {"threads": 2},
        "threads",
        truly_fresh=True,
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
