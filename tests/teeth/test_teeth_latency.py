"""Mutants of suites/test_latency.py: a timing of something else, or of nothing."""

from __future__ import annotations

import pytest

from suites import test_latency as suite
from suites.support.mutants.disturbances import Files, Result, flipped, option, put, runtime, setting, within
from suites.support.mutants.machinery import Benchmark, Mutant, Teeth, parameters

OPEN, BLOCK = "runtimes.open_session", "checks.timing.block"
MACHINE = "machine.limits.measure"
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
        flag="avx512f",
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
        suite.test_batches,
        (Files(OPEN, FLIP),),
        {**RUN, "batch": 4},
        "outputs while timed: output 0",
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
        (setting("checks.timing.paired", blocks=6),),
        {"model": "lenet"},
        "blocks timed",
    ),
    Mutant(
        "a slow clock",
        suite.test_clock,
        (Result("checks.timing.clock_cost", lambda cost: cost + 1e-4),),
        says="clock",
    ),
    Mutant(
        "chains of multiply-adds that the compiler made one",
        suite.test_machine,
        (Result(MACHINE, lambda told: {**told, "float32": 12 * told["float32"]}),),
        says="1 threads: share of the limit of arithmetic",
    ),
    Mutant(
        "a cache taken for the memory",
        suite.test_machine,
        (Result(MACHINE, lambda told: {**told, "read": [[size, 20 * rate] for size, rate in told["read"]]}),),
        says="1 threads: share of the limit of memory",
    ),
    Mutant(
        "a vector counted as one number",
        suite.test_machine,
        (Result(MACHINE, lambda told: {**told, "float32": told["float32"] / 16}),),
        says="1 threads: share of the limit of arithmetic",
    ),
    Mutant(
        "no clock", suite.test_clock, (Result("checks.timing.clock_cost", put(float("nan"))),), says="clock"
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
