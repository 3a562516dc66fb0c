"""The inference program is the training program cut down to what prediction needs."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.case import Case
from harness.execution.executor import Executor
from harness.targets.target import Target

pytestmark = [
    pytest.mark.area("Inference program cut down from the training program"),
    pytest.mark.runs("jit", "static", "predictor", "predictor_cpp"),
]

TRAINING_ONLY = (
    "grad", "cross_entropy", "softmax_with_cross_entropy", "adam", "sgd", "momentum", "adamw",
    "fill_constant_grad", "sum_grad", "label_smooth", "backward",
)  # fmt: skip
"""Parts of operator names that mean loss, backward or optimizer, in either IR."""


def training_operators(names: list[str]) -> list[str]:
    """Return those operators that belong to loss, backward or optimizer."""
    found = []
    for name in names:
        # Whole consecutive words only: `cross_entropy_with_softmax` matches, `gradual` does not.
        if any(f"_{part}_" in f"_{name.strip('_')}_" for part in TRAINING_ONLY):
            found.append(name)
    return found


def train_mode(operators: list[dict[str, Any]]) -> list[str]:
    """Return dropout and normalisation operators that are not in test mode."""
    return [
        op["name"]
        for op in operators
        if ("dropout" in op["name"] or "batch_norm" in op["name"])
        and not op["attributes"].get("is_test", False)
    ]


def inspect(executor: Executor, model: str, layout: str = "combined") -> Any:
    files = executor.builder.files(Target("static", "static"), model, layout)
    return executor.pool.call(
        "checks.topology.inspect", folder=files["folder"], program=files["program"], params=files["params"]
    )


@pytest.mark.claims("000-prune-topology", "000-export")
@pytest.mark.models(forms=("layer",))
def test_no_training_operators(case: Case, executor: Executor, model: str) -> None:
    """A network exported straight after training has no training operator and no layer in train mode."""
    found = inspect(executor, model)
    names = [op["name"] for op in found["operators"]]
    case.measures["operators"] = len(names)
    case.measures["operators_by_name"] = {name: names.count(name) for name in sorted(set(names))}
    case.measures["sizes"] = found["sizes"]
    case.at_least("operators in the inference program", float(len(names)), 3.0)
    case.exact("operators of loss, backward or optimizer", training_operators(names), [])
    case.exact("dropout and normalisation in train mode", train_mode(found["operators"]), [])
    case.exact("inputs", found["feeds"], [name for name, _, _ in executor.models[model].inputs])
    case.exact("number of outputs", found["fetches"], len(executor.models[model].outputs))


@pytest.mark.claims("000-prune-topology")
@pytest.mark.models(forms=())
def test_smaller_than_training_program(case: Case, executor: Executor, model: str) -> None:
    """The training program has the operators the inference program lacks, and is larger."""
    if executor.models[model].converted:
        pytest.skip(
            "a training program of tensor-valued control flow can't be built by a plain call in static mode"
        )
    training = [
        op["name"] for op in executor.pool.call("checks.topology.training_program", model=model)["operators"]
    ]
    inference = [op["name"] for op in inspect(executor, model)["operators"]]
    cut = training_operators(training)
    case.measures["operators"] = {"training": len(training), "inference": len(inference), "cut": len(cut)}
    case.at_least("operators of loss, backward and optimizer in the training program", float(len(cut)), 3.0)
    case.at_most("operators in the inference program", float(len(inference)), float(len(training) - 1))


@pytest.mark.claims("000-prune-topology")
@pytest.mark.models(forms=())
def test_normalized_program(case: Case, executor: Executor, model: str) -> None:
    """`normalize_program` cuts a training program down to prediction."""
    if executor.models[model].converted:
        pytest.skip(
            "a training program of tensor-valued control flow can't be built by a plain call in static mode"
        )
    names = [op["name"] for op in executor.pool.call("checks.topology.normalized", model=model)["operators"]]
    case.at_least("operators left", float(len(names)), 3.0)
    case.exact("operators of loss, backward or optimizer", training_operators(names), [])


@pytest.mark.claims("002-combined", "000-export")
@pytest.mark.models(forms=("layer",))
def test_parameters(case: Case, executor: Executor, model: str) -> None:
    """The combined file holds every parameter once, in float32, and little else."""
    found = inspect(executor, model)
    expected = executor.pool.call(
        "checks.topology.dygraph_parameters",
        model=model,
        weights=executor.builder.artifact("checkpoint", model).file("model.pdparams"),
    )
    # An LSTM's dropout state is an empty byte buffer, not a parameter.
    parameters = [item for item in found["parameters"] if "uint8" not in item["dtype"].lower()]
    shapes = sorted(item["shape"] for item in parameters)
    missing = [shape for shape in expected["shapes"] if shape not in shapes]
    case.exact("parameter shapes missing in the program", missing, [])
    case.exact("number of parameters", len(shapes), len(expected["shapes"]))
    dtypes = {item["dtype"].split(".")[-1].lower() for item in parameters}
    case.exact("dtypes of parameters", sorted(d for d in dtypes if d not in ("float32", "fp32")), [])
    size = found["sizes"]["model.pdiparams"]
    case.measures["size_bytes"] = size
    # Each parameter carries a header of under 100 bytes (name excluded: files hold no names).
    case.at_least("bytes of the parameter file", float(size), float(expected["bytes"]))
    case.at_most("bytes of the parameter file", float(size), float(expected["bytes"] + 100 * len(shapes)))
