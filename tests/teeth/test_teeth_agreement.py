"""Mutants of suites/test_agreement.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.execution.executor import Executor
from suites import test_agreement as suite
from suites.support.mutants.disturbances import (
    Arguments,
    Files,
    Result,
    argument,
    flipped,
    last_bit,
    option,
    outputs,
    runtime,
    setting,
    within,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

EXECUTE = "runtimes.execute"
LENET = {"model": "lenet", "target": "predictor"}
THREE = {"model": "two_inputs", "target": "static"}
FLIP = flipped("model.pdiparams")


def nudged_last_feed(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """The last run's input is one unit in the last place off everywhere."""
    *feeds, last = arguments["feeds"]
    return {**arguments, "feeds": [*feeds, [np.nextafter(array, np.float32(2)) for array in last]]}


def exchanged_classes(runs: Any) -> None:
    """The two likeliest classes of every tenth row change places: few of 500, and accuracy holds."""
    for run in runs:
        for row in run[0][::10]:
            second, first = np.argsort(row)[-2:]
            row[[first, second]] = row[[second, first]]


def one_element(runs: Any) -> None:
    """One wrong element, which the mean of a large output would hide."""
    runs[3][0][5, 7] += 1e-4


def not_a_number(runs: Any) -> None:
    runs[2][0][1, 1] = np.nan


def stale(runs: Any) -> None:
    """The run of other values gives what the first run gave."""
    runs[5] = runs[0]


def other_label(runs: Any) -> None:
    runs[3][2][4] = (runs[3][2][4] + 1) % 10


def swap(items: Any, one: int, other: int) -> None:
    items[one], items[other] = items[other], items[one]


def rolled(array: Any) -> Any:
    return np.roll(array, 1)


MUTANTS = (
    Mutant(
        "weight's exponent bit flipped",
        suite.test_first_and_later_runs,
        (Files(EXECUTE, FLIP),),
        LENET,
        "run 1 ",
    ),
    Mutant(
        "embedding's exponent bit flipped",
        suite.test_first_and_later_runs,
        (Files(EXECUTE, flipped("model.pdiparams", "classifier.bias", "two_inputs")),),
        THREE,
        "output 0",
    ),
    Mutant(
        "silently bfloat16",
        suite.test_first_and_later_runs,
        (option(EXECUTE, onednn=True, bfloat16=True),),
        # Not LeNet: behind a pooling, bfloat16 fails on processors that only emulate it.
        {**LENET, "model": "two_inputs"},
        "run 4 ",
        flag="avx512f",
    ),
    Mutant(
        "last input one unit off",
        suite.test_first_and_later_runs,
        (Arguments(EXECUTE, nudged_last_feed),),
        LENET,
        "run 7 repeats run 1",
    ),
    Mutant(
        "last run one bit off",
        suite.test_first_and_later_runs,
        (outputs(lambda runs: runs.__setitem__(6, [last_bit(array) for array in runs[6]])),),
        LENET,
        "run 7 repeats run 1",
    ),
    Mutant(
        "outputs of a row backwards",
        suite.test_first_and_later_runs,
        (outputs(lambda runs: runs.__setitem__(3, [runs[3][0][:, ::-1]])),),
        LENET,
        "run 4 ",
    ),
    Mutant(
        "rows in another order",
        suite.test_first_and_later_runs,
        (outputs(lambda runs: runs.__setitem__(3, [runs[3][0][::-1]])),),
        LENET,
        "run 4 ",
    ),
    Mutant(
        "wrong scale",
        suite.test_first_and_later_runs,
        (outputs(lambda runs: runs.__setitem__(3, [runs[3][0] * np.float32(1.0001)])),),
        LENET,
        "run 4 ",
    ),
    Mutant("one wrong element", suite.test_first_and_later_runs, (outputs(one_element),), LENET, "run 4 "),
    Mutant("a NaN", suite.test_first_and_later_runs, (outputs(not_a_number),), LENET, "run 3 "),
    Mutant("stale later run", suite.test_first_and_later_runs, (outputs(stale),), LENET, "run 6 "),
    Mutant(
        "shape frozen at the first run",
        suite.test_first_and_later_runs,
        (outputs(lambda runs: runs.__setitem__(3, [runs[3][0][:1]])),),
        LENET,
        "run 4 ",
    ),
    Mutant(
        "a run is missing",
        suite.test_first_and_later_runs,
        (outputs(lambda runs: runs.pop()),),
        LENET,
        "number of runs",
    ),
    Mutant(
        "an output is missing",
        suite.test_first_and_later_runs,
        (outputs(lambda runs: runs[2].pop()),),
        THREE,
        "run 3 (batch 3, seed 1): number of outputs",
    ),
    Mutant(
        "two outputs exchanged",
        suite.test_first_and_later_runs,
        (outputs(lambda runs: [swap(run, 0, 1) for run in runs]),),
        THREE,
        "output 1",
    ),
    Mutant(
        "one integer differs", suite.test_first_and_later_runs, (outputs(other_label),), THREE, "output 2"
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_accuracy_on_examples,
        (Files(EXECUTE, FLIP),),
        LENET,
        "accuracy",
    ),
    Mutant(
        "labels of the rows before",
        suite.test_accuracy_on_examples,
        (Result("training.loops.test_examples", within(rolled, "labels")),),
        LENET,
        "accuracy",
    ),
    Mutant(
        "few rows change class",
        suite.test_accuracy_on_examples,
        (outputs(exchanged_classes),),
        LENET,
        "classes",
    ),
    Mutant(
        "an oracle that prefers no class",
        suite.test_accuracy_on_examples,
        (
            outputs(
                lambda runs: [run.__setitem__(0, run[0] * 0) for run in runs],
                argument(runtime="dygraph", options={"dtype": "float64"}),
            ),
        ),
        LENET,
        "near-tie",
        oracle=True,
    ),
    Mutant(
        "weight's exponent bit flipped for the static executor",
        suite.test_static_program_built_by_hand,
        (Files(EXECUTE, FLIP, runtime("static")),),
        {"model": "lenet"},
        "static, run 1",
    ),
    Mutant(
        "weight's exponent bit flipped for the predictor",
        suite.test_static_program_built_by_hand,
        (Files(EXECUTE, FLIP, runtime("predictor")),),
        {"model": "lenet"},
        "predictor, run 1",
    ),
    Mutant(
        "no feed is run",
        suite.test_static_program_built_by_hand,
        (setting(EXECUTE, runtime("static"), feeds=[]),),
        {"model": "lenet"},
        "static, number of runs",
    ),
    Mutant(
        "a clone answers for another",
        suite.test_clones_and_threads,
        (Result("checks.concurrency.clones", lambda found: {**found, "clones": found["clones"][::-1]}),),
        {"model": "lenet"},
        "one by one",
    ),
    Mutant(
        "one bit off in one round",
        suite.test_clones_and_threads,
        (Result("checks.concurrency.clones", within(last_bit, "together", 2, 4, 0)),),
        {"model": "lenet"},
        "clone 2, together, round 4",
    ),
    Mutant(
        "never run together",
        suite.test_clones_and_threads,
        (setting("checks.concurrency.clones", rounds=0),),
        {"model": "lenet"},
        "rounds together",
    ),
    Mutant(
        "fewer clones than feeds",
        suite.test_clones_and_threads,
        (Result("checks.concurrency.clones", lambda found: {**found, "alone": found["alone"][:1]}),),
        {"model": "lenet"},
        "feeds run alone, by clones",
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_oracle_against_numpy,
        (Files("checks.roundtrip.load_arrays", flipped("model.pdparams")),),
        says="seed 0",
    ),
    Mutant(
        "the oracle computes in float32",
        suite.test_oracle_against_numpy,
        (Arguments(EXECUTE, lambda a, executor: {**a, "options": {}}),),
        says="seed 0",
        oracle=True,
    ),
    Mutant(
        "the oracle is one class off",
        suite.test_oracle_against_numpy,
        (outputs(lambda runs: runs[0].__setitem__(0, np.roll(runs[0][0], 1, axis=1))),),
        says="seed 2",
        oracle=True,
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
