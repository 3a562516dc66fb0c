"""Mutants of suites/test_models.py, and of what a deployed model without an oracle is held to."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from harness.core.choices import Limits
from harness.execution.executor import Executor
from harness.models.catalogue import user_info
from harness.models.first_run import FirstRuns
from harness.models.specification import parse
from suites import test_agreement as agreement
from suites import test_models as suite
from suites.support.mutants.disturbances import (
    Files,
    Result,
    flipped,
    last_bit,
    outputs,
    put,
    runtime,
    within,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

EXECUTE = "runtimes.execute"
RUN = "checks.first_run.run"
OWN = {"model": "own"}
ON_PREDICTOR = {"model": "own", "target": "predictor"}


def with_own(executor: Executor) -> Executor:
    """An executor with one model of the user's: the exported LeNet, deployed; it has not been run yet."""
    path = executor.builder.artifact("jit", "lenet").file("inference_model", "model")
    models = parse(f"{path},name=own,spec=x:-1..1")
    other = copy.copy(executor)
    other.builder = copy.copy(executor.builder)
    other.builder.first_runs = FirstRuns(executor.pool, models, Limits())
    other.builder.models = {**executor.models, **{model.name: user_info(model) for model in models}}
    other.models = other.builder.models
    return other


def not_a_number(runs: Any) -> Any:
    for run in runs:
        run[0] = np.array(run[0])
        run[0][0, 0] = np.nan
    return runs


def nothing(answer: Any) -> Any:
    return {**answer, "outputs": [], "runs": [[], []]}


def one_element(runs: Any) -> None:
    runs[3][0][5, 7] += 1e-4


def scaled(runs: Any) -> None:
    runs[3][0] = runs[3][0] * np.float32(1.0001)


MUTANTS = (
    Mutant(
        "the second run is one bit off",
        suite.test_usable,
        (Result(RUN, within(last_bit, "runs", 1, 0)),),
        OWN,
        "second run: output 0",
        executor=with_own,
    ),
    Mutant(
        "a NaN",
        suite.test_usable,
        (Result(RUN, within(not_a_number, "runs")),),
        OWN,
        "values that are not finite",
        executor=with_own,
    ),
    Mutant("no outputs", suite.test_usable, (Result(RUN, nothing),), OWN, "outputs", executor=with_own),
    Mutant(
        "another batch size is one again",
        suite.test_batches,
        (Result("checks.first_run.other_batch", put(1)),),
        OWN,
        "batch sizes that run",
        executor=with_own,
    ),
    Mutant(
        "weight's exponent bit flipped in a deployed model",
        agreement.test_first_and_later_runs,
        (Files(EXECUTE, flipped("model.pdiparams"), runtime("predictor")),),
        ON_PREDICTOR,
        "run 1 ",
        executor=with_own,
    ),
    Mutant(
        "one wrong element of a deployed model",
        agreement.test_first_and_later_runs,
        (outputs(one_element, runtime("predictor")),),
        ON_PREDICTOR,
        "run 4 ",
        executor=with_own,
    ),
    Mutant(
        "wrong scale of a deployed model",
        agreement.test_first_and_later_runs,
        (outputs(scaled, runtime("predictor")),),
        ON_PREDICTOR,
        "run 4 ",
        executor=with_own,
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
