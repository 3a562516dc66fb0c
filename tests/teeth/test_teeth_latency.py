"""Mutants of suites/test_latency.py: a timing of something else, or of nothing."""

from __future__ import annotations

import pytest

from suites import test_latency as suite
from teeth.disturbances import Files, Result, flipped, option, put, runtime, setting, within
from teeth.machinery import Benchmark, Mutant, Teeth, parameters

OPEN, BLOCK = "runtimes.open_session", "timing.block"
RUN = {"model": "lenet", "target": "predictor", "batch": 1}
FULL = {"model": "lenet", "target": "dygraph"}
FLIP = flipped("model.pdiparams")

MUTANTS = (
    Mutant(
        "weight's exponent bit flipped",
        suite.test_run,
        (Files(OPEN, FLIP),),
        RUN,
        "outputs while timed: output 0",
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_run_on_gpu,
        (Files(OPEN, FLIP),),
        {**RUN, "target": "predictor-gpu"},
        "outputs while timed: output 0",
        needs="a GPU",
    ),
    Mutant(
        "silently bfloat16",
        suite.test_run,
        (option(OPEN, onednn=True, bfloat16=True),),
        RUN,
        "outputs while timed",
    ),
    Mutant(
        "timed without outputs",
        suite.test_run,
        (Result(BLOCK, within(put([]), "outputs")),),
        RUN,
        "number of outputs",
    ),
    Mutant(
        "half of the rounds",
        suite.test_run,
        given=RUN,
        swapped={"benchmark": Benchmark(0.5)},
        says="every run was timed",
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_full_size,
        (Files(OPEN, flipped("model.pdparams")),),
        FULL,
        "outputs while timed: output 0",
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_beside_onnxruntime,
        (Files(OPEN, flipped("model.onnx"), runtime("onnxruntime")),),
        {"model": "lenet"},
        "onnxruntime, outputs: output 0",
    ),
    Mutant(
        "weight's exponent bit flipped for the predictor",
        suite.test_full_size_beside_onnxruntime,
        (Files(OPEN, FLIP, runtime("predictor")),),
        {"model": "lenet"},
        "predictor, outputs: output 0",
    ),
    Mutant(
        "half of the blocks",
        suite.test_beside_onnxruntime,
        (setting("timing.paired", blocks=6),),
        {"model": "lenet"},
        "blocks timed",
    ),
    Mutant(
        "a slow clock",
        suite.test_clock,
        (Result("timing.clock_cost", lambda cost: cost + 1e-4),),
        says="clock",
    ),
    Mutant("no clock", suite.test_clock, (Result("timing.clock_cost", put(float("nan"))),), says="clock"),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
