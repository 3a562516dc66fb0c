"""Mutants of suites/test_topology.py: what an inference program must not hold, or lack."""

from __future__ import annotations

from typing import Any

import pytest

from harness.execution.executor import Executor
from harness.targets.target import Target
from suites import test_topology as suite
from suites.support.mutants.disturbances import Arguments, Result, within
from suites.support.mutants.machinery import Mutant, Teeth, parameters

INSPECT = "checks.topology.inspect"
LENET = {"model": "lenet"}
CONV = {"model": "conv_bn"}


def of_another_model(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """The inference model of two inputs and three outputs."""
    files = executor.builder.files(Target("static", "static"), "two_inputs")
    return {"folder": files["folder"], "program": files["program"], "params": files["params"]}


def unpruned(call: str) -> Arguments:
    """The training program itself, where a cut one was asked for."""
    return Arguments(call, lambda arguments, executor: arguments, instead="checks.topology.training_program")


def with_operator(name: str, **attributes: Any) -> Result:
    operator = {"name": name, "attributes": attributes}
    return Result(INSPECT, within(lambda found: [*found, operator], "operators"))


def pruned(call: str) -> Result:
    """Of the operators only those of prediction."""
    return Result(
        call,
        within(lambda found: [op for op in found if not suite.training_operators([op["name"]])], "operators"),
    )


def parameter(**changed: Any) -> Result:
    """The last parameter is another one; an empty change leaves it out."""

    def change(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*found[:-1], {**found[-1], **changed}] if changed else found[:-1]

    return Result(INSPECT, within(change, "parameters"))


def few(call: str) -> Result:
    return Result(call, within(lambda found: found[:2], "operators"))


PRUNED = suite.test_no_training_operators
SMALLER = suite.test_smaller_than_training_program
NORMALIZED = suite.test_normalized_program
PARAMETERS = suite.test_parameters

MUTANTS = (
    Mutant("an empty program", PRUNED, (few(INSPECT),), LENET, "operators in the inference program"),
    *(
        Mutant(
            f"has {name}", PRUNED, (with_operator(name),), LENET, "operators of loss, backward or optimizer"
        )
        for name in (
            "cross_entropy_with_softmax",
            "relu_grad",
            "adam_",
            "softmax_with_cross_entropy",
            "momentum",
            "sgd_",
        )
    ),
    Mutant(
        "dropout in train mode", PRUNED, (with_operator("dropout", is_test=False),), CONV, "in train mode"
    ),
    Mutant("normalisation without a mode", PRUNED, (with_operator("batch_norm_"),), CONV, "in train mode"),
    Mutant("another model's inputs", PRUNED, (Arguments(INSPECT, of_another_model),), LENET, "inputs"),
    Mutant(
        "another model's outputs", PRUNED, (Arguments(INSPECT, of_another_model),), LENET, "number of outputs"
    ),
    Mutant(
        "inputs in another order",
        PRUNED,
        (Result(INSPECT, within(lambda feeds: feeds[::-1], "feeds")),),
        {"model": "two_inputs"},
        "inputs",
    ),
    Mutant(
        "nothing to cut",
        SMALLER,
        (pruned("checks.topology.training_program"),),
        LENET,
        "in the training program",
    ),
    Mutant(
        "not cut",
        SMALLER,
        (Result(INSPECT, within(lambda found: found * 9, "operators")),),
        LENET,
        "operators in the inference program",
    ),
    Mutant(
        "a training program",
        NORMALIZED,
        (unpruned("checks.topology.normalized"),),
        LENET,
        "loss, backward or optimizer",
    ),
    Mutant("cut to nothing", NORMALIZED, (few("checks.topology.normalized"),), LENET, "operators left"),
    Mutant(
        "another model's shapes", PARAMETERS, (Arguments(INSPECT, of_another_model),), LENET, "shapes missing"
    ),
    Mutant("a parameter is missing", PARAMETERS, (parameter(),), LENET, "number of parameters"),
    Mutant("a parameter of another shape", PARAMETERS, (parameter(shape=[7, 7]),), LENET, "shapes missing"),
    Mutant("a parameter in float64", PARAMETERS, (parameter(dtype="FLOAT64"),), LENET, "dtypes"),
    Mutant(
        "the network has parameters more",
        PARAMETERS,
        (
            Arguments(
                "checks.topology.dygraph_parameters",
                lambda a, executor: {
                    "model": "two_inputs",
                    "weights": executor.builder.artifact("checkpoint", "two_inputs").file("model.pdparams"),
                },
            ),
        ),
        LENET,
        "number of parameters",
    ),
    Mutant(
        "a truncated file",
        PARAMETERS,
        (Result(INSPECT, within(lambda size: size // 2, "sizes", "model.pdiparams")),),
        LENET,
        "bytes of the parameter file",
    ),
    Mutant(
        "every parameter twice",
        PARAMETERS,
        (Result(INSPECT, within(lambda size: size * 2, "sizes", "model.pdiparams")),),
        LENET,
        "bytes of the parameter file",
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
