"""Mutants of suites/test_upgrade.py. The files are the environment's own: what matters is who loads them."""

from __future__ import annotations

from typing import Any

import pytest

from suites import test_upgrade as suite
from suites.support.mutants.disturbances import (
    CONVOLUTIONS,
    Files,
    Result,
    confused,
    flipped,
    last_bit,
    noisy,
    number,
    outputs,
    runtime,
    setting,
    within,
    without,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

CONTINUED = "checks.cross_version.continued"
LENET = {"model": "lenet"}
COMPRESSED = suite.test_compressed
QUANTIZED = {**LENET, "method": "ptq-static-hist-legacy-ir"}
PRUNED = {"model": "resnet_vd_small", "method": "prune-static-l1-legacy-ir"}


def route(name: str) -> dict[str, str]:
    return {"model": "lenet", "route": name}


def renamed(which: str) -> Any:
    def change(answer: Any) -> Any:
        names = answer["describe"]["interface"][which]
        names[0] = f"renamed_{names[0]}"
        return answer

    return change


def same_before(answer: Any) -> Any:
    return {**answer, "before": answer["after"]}


MUTANTS = (
    Mutant(
        "weight's exponent bit flipped in the combined file",
        suite.test_outputs,
        (Files("runtimes.execute", flipped("model.pdiparams"), runtime("predictor")),),
        route("jit-predictor"),
        "run 1: output 0",
    ),
    Mutant(
        "weight's exponent bit flipped in its own file",
        suite.test_outputs,
        (Files("runtimes.execute", flipped("separate_persistables/*"), runtime("static")),),
        route("separate-load_inference_model"),
        "run 1: output 0",
    ),
    Mutant(
        "stale second run",
        suite.test_outputs,
        (outputs(lambda runs: runs.__setitem__(1, runs[0]), runtime("jit")),),
        route("jit-jit.load"),
        "run 2: output 0",
    ),
    Mutant(
        "an output has another name",
        suite.test_interface,
        (Result("runtimes.execute", renamed("outputs"), number(2)),),
        LENET,
        "outputs",
    ),
    Mutant(
        "an input has another name",
        suite.test_interface,
        (Result("runtimes.execute", renamed("inputs"), number(2)),),
        LENET,
        "inputs",
    ),
    Mutant(
        "weight's exponent bit flipped in the checkpoint",
        suite.test_states,
        (Files("models.states.flat", flipped("model.pdparams"), number(2)),),
        LENET,
        "model.pdparams: linear3.bias",
    ),
    Mutant(
        "weight's exponent bit flipped in the checkpoint",
        suite.test_resumed_training,
        (Files(CONTINUED, flipped("model.pdparams"), number(3)),),
        LENET,
        "losses",
    ),
    Mutant(
        "a step is missing",
        suite.test_resumed_training,
        (setting(CONTINUED, number(3), steps=suite.STEPS - 1),),
        LENET,
        "losses",
    ),
    Mutant(
        "a parameter is missing",
        suite.test_resumed_training,
        (Result(CONTINUED, within(without("linear3.bias"), "parameters"), number(3)),),
        LENET,
        "parameter linear3.bias",
    ),
    Mutant(
        "weight's exponent bit flipped in the checkpoint",
        suite.test_model_load,
        (Files("checks.high_level.load", flipped("model.pdparams")),),
        LENET,
        "parameters: linear3.bias",
    ),
    Mutant(
        "nothing was loaded that was not there before",
        suite.test_model_load,
        (Result("checks.high_level.load", same_before),),
        LENET,
        "parameters were others before",
    ),
    Mutant(
        "one bit of a moment is off",
        suite.test_model_load,
        (Result("checks.high_level.load", within(last_bit, "optimizer", "linear_2.b_0_moment1_0")),),
        LENET,
        "optimizer: linear_2.b_0_moment1_0",
    ),
    Mutant(
        "other logits",
        COMPRESSED,
        (outputs(noisy(0.1), number(2)),),
        QUANTIZED,
        "distance of the logits",
        repair=CONVOLUTIONS,
    ),
    Mutant(
        "other classes",
        COMPRESSED,
        (outputs(confused, number(2)),),
        QUANTIZED,
        "class chosen there",
        repair=CONVOLUTIONS,
    ),
    Mutant(
        "other int8 logits",
        COMPRESSED,
        (outputs(noisy(5.0), number(3)),),
        QUANTIZED,
        "error of int8",
        repair=CONVOLUTIONS,
    ),
    Mutant(
        "other int8 classes",
        COMPRESSED,
        (outputs(confused, number(3)),),
        QUANTIZED,
        "int8 kernels choose",
        repair=CONVOLUTIONS,
    ),
    Mutant("another pruned model", COMPRESSED, (outputs(noisy(1e-2), number(2)),), PRUNED, "logits"),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
