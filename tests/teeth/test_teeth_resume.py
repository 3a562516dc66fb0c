"""Mutants of suites/test_resume.py: what a resumed training may lose on its way."""

from __future__ import annotations

import pytest

from suites import test_resume as suite
from suites.support.mutants.disturbances import (
    Arguments,
    Files,
    Result,
    config,
    flipped,
    last_bit,
    put,
    setting,
    within,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

RESUMED = "checks.resume.resumed"
WHOLE = "checks.resume.uninterrupted"
STEP_DECAY = {"optimizer": "Adam", "scheduler": "StepDecay"}
MOMENTUM = {"optimizer": "Momentum"}
LENET = {"model": "lenet"}


def lost(*parts: str) -> tuple[Arguments, ...]:
    """The checkpoint is loaded without these parts of it."""
    return (setting(RESUMED, without=list(parts)),)


MUTANTS = (
    Mutant(
        "optimizer state lost", suite.test_optimizers_and_schedulers, lost("optimizer"), STEP_DECAY, "losses"
    ),
    Mutant(
        "scheduler's state lost", suite.test_optimizers_and_schedulers, lost("optimizer"), STEP_DECAY, "rates"
    ),
    Mutant(
        "order of the data lost", suite.test_optimizers_and_schedulers, lost("order"), STEP_DECAY, "losses"
    ),
    Mutant(
        "no scheduler",
        suite.test_optimizers_and_schedulers,
        (config(RESUMED, scheduler=""),),
        STEP_DECAY,
        "rates",
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_optimizers_and_schedulers,
        (Files(RESUMED, flipped("model.pdparams", of="model.pdparams")),),
        STEP_DECAY,
        "step 6: losses",
    ),
    Mutant(
        "one bit of the final state off",
        suite.test_optimizers_and_schedulers,
        (Result(RESUMED, within(last_bit, "state", "network/linear3.bias")),),
        STEP_DECAY,
        "final state: network/linear3.bias",
    ),
    Mutant(
        "last loss one bit off",
        suite.test_optimizers_and_schedulers,
        (Result(RESUMED, within(last_bit, "losses")),),
        STEP_DECAY,
        "step 11: losses",
    ),
    Mutant(
        "half the steps",
        suite.test_optimizers_and_schedulers,
        (setting(WHOLE, steps=6, save_after=[1, 6]), setting(RESUMED, when=lambda c: c.number < 3, steps=6)),
        STEP_DECAY,
        "loss steps",
    ),
    Mutant("velocity lost", suite.test_after_any_step, lost("optimizer"), {"after": 5}, "losses"),
    Mutant(
        "another optimizer",
        suite.test_after_any_step,
        (config(RESUMED, optimizer="SGD"),),
        {"after": 5},
        "losses",
    ),
    Mutant(
        "optimizer state lost", suite.test_every_model, lost("optimizer"), {"model": "two_inputs"}, "losses"
    ),
    Mutant("random state lost", suite.test_every_model, lost("random"), {"model": "conv_bn"}, "losses"),
    Mutant(
        "velocity lost",
        suite.test_mixed_precision,
        lost("optimizer"),
        MOMENTUM,
        "losses",
        repair=(Result("checks.resume.casts", put(True)),),
    ),
    Mutant(
        "without auto_cast",
        suite.test_mixed_precision,
        (config(RESUMED, amp=False),),
        MOMENTUM,
        "losses",
        needs="a GPU",
    ),
    Mutant(
        "scaler's state lost",
        suite.test_mixed_precision,
        lost("scaler"),
        MOMENTUM,
        "final state: scaler",
        needs="a GPU",
    ),
    Mutant("without clipping", suite.test_gradient_clipping, (config(RESUMED, clip=False),), {}, "losses"),
    Mutant(
        "optimizer state lost",
        suite.test_parameters_used_now_and_then,
        lost("optimizer"),
        {"after": 6},
        "losses",
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
