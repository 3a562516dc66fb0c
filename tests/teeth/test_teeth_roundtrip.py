"""Mutants of suites/test_roundtrip.py: what does not come back as it was saved."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from harness.artifacts.store import Manifest
from harness.execution.executor import Executor
from suites import test_roundtrip as suite
from suites.support.mutants.disturbances import (
    Arguments,
    Files,
    Made,
    Result,
    argument,
    flipped,
    last_bit,
    number,
    path_has,
    put,
    setting,
    within,
    without,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

LOADED, RESTORED = "checks.roundtrip.state_of", "checks.roundtrip.set_and_read"
OBJECTS = "checks.roundtrip.save_load_objects"
STATE = suite.test_network_state
LENET = {"model": "lenet"}
FLOAT32 = {"dtype": "float32", "return_numpy": False}
FLOAT8 = {"dtype": "float8_e4m3fn", "return_numpy": False}
BFLOAT16 = {"dtype": "bfloat16", "return_numpy": True}
NESTED = {"form": "file", "protocol": 4}
BUFFER = {"form": "buffer", "protocol": 2}


def untrained(arguments: dict[str, Any], executor: Executor) -> str:
    """A checkpoint of the same names and shapes with other values: document 003's after one epoch."""
    return executor.builder.artifact("document_003", "lenet").file("mnist_checkpoint", "0.pdparams")


def trainable(answer: Any) -> Any:
    """Parameters come back as they were saved: `stop_gradient` false."""
    for fact in answer["facts"].values():
        fact["stop_gradient"] = False
    return answer


def swapped_names(state: dict[str, Any]) -> dict[str, Any]:
    """The same names in the same order, two arrays of one shape exchanged."""
    first, second = list(state)[:2]
    state[first], state[second] = state[second], state[first]
    return state


def turned_round(state: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(state.items()))


def without_second_file(manifest: Manifest) -> Manifest:
    return msgspec.structs.replace(manifest, files={"model.pdparams": manifest.files["model.pdparams"]})


def another_value(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """What is saved is not what was described: another bit in each example's first tensor."""

    def change(description: Any) -> Any:
        kind, items = description
        (name, (_, array)), *others = items
        return kind, [(name, ("tensor", last_bit(array))), *others]

    return {**arguments, "descriptions": [change(description) for description in arguments["descriptions"]]}


def first(kind: str, change: Any) -> Result:
    """In all that came back, the first thing of a kind is another."""

    def find(value: Any) -> bool:
        if value[0] == kind:
            value[:] = change(value)
            return True
        children = [item for _, item in value[1]] if value[0] == "dict" else value[1]
        return value[0] in ("dict", "list", "tuple") and any(find(child) for child in children)

    def changed(answer: Any) -> Any:
        assert any(find(example) for example in answer), kind
        return answer

    return Result(OBJECTS, changed)


def longer(value: Any) -> Any:
    return [value[0], [*value[1], ["int", 1]]]


def arrays_kept(answer: Any) -> Any:
    """The pair of a text and an array stays a pair, and an array an array."""
    (_, items) = answer[0]
    names = [name for name, _ in items]
    if names == ["t", "a"]:
        items[1][1] = ["tuple", [["str", "name"], ["array", np.arange(3.0)]]]
    else:
        items[0][1] = ["array", np.arange(3.0)]
    return answer


AMBIGUOUS = tuple({"what": what} for what in suite.AMBIGUOUS)

NETWORK = (
    Mutant(
        "weight's exponent bit flipped on disk",
        STATE,
        (Files(LOADED, flipped("model-3.pdparams", of="model-3.pdparams"), path_has("model-3")),),
        LENET,
        "protocol 3: paddle.load: linear3.bias",
    ),
    Mutant(
        "weight's exponent bit flipped for the network",
        STATE,
        (Files(RESTORED, flipped("model-4.pdparams", of="model-4.pdparams"), path_has("model-4")),),
        LENET,
        "protocol 4: set_state_dict: linear3.bias",
    ),
    Mutant(
        "a bit off",
        STATE,
        (Result(LOADED, within(last_bit, "arrays", "conv1.bias")),),
        LENET,
        "paddle.load: conv1.bias",
    ),
    Mutant(
        "a name lost",
        STATE,
        (Result(LOADED, within(without("conv1.bias"), "arrays")),),
        LENET,
        "paddle.load: names",
    ),
    Mutant(
        "another order", STATE, (Result(LOADED, within(turned_round, "arrays")),), LENET, "paddle.load: names"
    ),
    Mutant(
        "two exchanged",
        STATE,
        (Result(RESTORED, within(swapped_names, "arrays")),),
        LENET,
        "set_state_dict: ",
    ),
    Mutant(
        "an older file",
        STATE,
        (Arguments(RESTORED, lambda a, executor: {**a, "path": untrained(a, executor)}, number(3)),),
        LENET,
        "protocol 4: set_state_dict",
    ),
    Mutant(
        "a dtype lost",
        STATE,
        (Result(LOADED, within(put("float64"), "facts", "conv1.bias", "dtype")),),
        LENET,
        "conv1.bias: dtype",
    ),
    Mutant(
        "a generated name lost",
        STATE,
        (Result(LOADED, within(put("generated_tensor_7"), "facts", "conv1.bias", "name")),),
        LENET,
        "conv1.bias: name",
    ),
    Mutant(
        "frozen after loading",
        STATE,
        (Result(RESTORED, within(put(True), "facts", "conv1.bias", "stop_gradient")),),
        LENET,
        "conv1.bias: stop_gradient after set_state_dict",
    ),
    Mutant(
        "not matched", STATE, (Result(RESTORED, within(put(["conv9"]), "missing")),), LENET, "not matched"
    ),
    Mutant(
        "not known", STATE, (Result(RESTORED, within(put(["conv9"]), "unexpected")),), LENET, "not matched"
    ),
    Mutant(
        "Paddle itself",
        suite.test_stop_gradient_of_loaded_tensors,
        repair=(Result(LOADED, trainable),),
        says="stop_gradient",
    ),
    Mutant(
        "one frozen",
        suite.test_stop_gradient_of_loaded_tensors,
        (Result(LOADED, within(put(True), "facts", "conv1.bias", "stop_gradient")),),
        says="conv1.bias: stop_gradient",
        repair=(Result(LOADED, trainable),),
    ),
    Mutant(
        "no optimizer file",
        suite.test_optimizer_state,
        (Made("checkpoint", without_second_file),),
        LENET,
        "files",
    ),
    Mutant(
        "weight's exponent bit flipped the second time",
        suite.test_optimizer_state,
        (Files("models.states.flat", flipped("model.pdparams"), argument(return_numpy=False)),),
        LENET,
        "model.pdparams: linear3.bias",
    ),
    Mutant(
        "a moment dropped the second time",
        suite.test_optimizer_state,
        (Result("models.states.flat", without("linear_2.b_0_moment1_0"), number(2)),),
        LENET,
        "names",
    ),
)

DTYPES = (
    Mutant(
        "a bit off",
        suite.test_dtype,
        (Result("checks.roundtrip.state_of", within(last_bit, "arrays", "special")),),
        BFLOAT16,
        "special",
    ),
    Mutant(
        "negative zero lost",
        suite.test_dtype,
        (Result("checks.roundtrip.state_of", within(lambda a: a + 0, "arrays", "special")),),
        FLOAT32,
        "special",
    ),
    Mutant(
        "widened",
        suite.test_dtype,
        (Result("checks.roundtrip.state_of", within(lambda a: a.astype("float64"), "arrays", "scalar")),),
        FLOAT32,
        "scalar",
    ),
    Mutant(
        "rank 0 lost",
        suite.test_dtype,
        (Result("checks.roundtrip.state_of", within(lambda a: a.reshape(1), "arrays", "scalar")),),
        FLOAT32,
        "scalar",
    ),
    Mutant(
        "shape of nothing lost",
        suite.test_dtype,
        (Result("checks.roundtrip.state_of", within(lambda a: a.reshape(0), "arrays", "empty")),),
        FLOAT32,
        "empty",
    ),
    Mutant(
        "a tensor lost",
        suite.test_dtype,
        (Result("checks.roundtrip.state_of", within(without("vector"), "arrays")),),
        FLOAT32,
        "names",
    ),
    Mutant(
        "saved in float64",
        suite.test_dtype,
        (setting("checks.roundtrip.save_dtype", dtype="float64"),),
        FLOAT32,
        "matrix: dtype",
    ),
    Mutant(
        "no tensors",
        suite.test_dtype,
        (Result("checks.roundtrip.state_of", within(put({}), "facts")),),
        FLOAT32,
        "tensors",
    ),
    Mutant(
        "loaded as arrays",
        suite.test_dtype,
        (setting("checks.roundtrip.state_of", return_numpy=True),),
        FLOAT32,
        "tensors",
    ),
    Mutant(
        "Paddle itself",
        suite.test_dtype,
        given=FLOAT8,
        repair=(
            Result(
                "checks.roundtrip.state_of",
                lambda got: {
                    **got,
                    "facts": {name: {**f, "dtype": "float8_e4m3fn"} for name, f in got["facts"].items()},
                },
            ),
        ),
        says="dtype",
    ),
)

OBJECT = (
    Mutant(
        "saved another bit",
        suite.test_nested_objects,
        (Arguments(OBJECTS, another_value),),
        NESTED,
        "example 0.anchor",
    ),
    Mutant(
        "tuple turned list",
        suite.test_nested_objects,
        (first("tuple", lambda v: ["list", v[1]]),),
        NESTED,
        "kind",
    ),
    Mutant(
        "array turned tensor",
        suite.test_nested_objects,
        (first("array", lambda v: ["tensor", v[1]]),),
        NESTED,
        "kind",
    ),
    Mutant(
        "bool turned int",
        suite.test_nested_objects,
        (first("bool", lambda v: ["int", int(v[1])]),),
        BUFFER,
        "kind",
    ),
    Mutant(
        "key dropped",
        suite.test_nested_objects,
        (first("dict", lambda v: ["dict", v[1][1:]]),),
        NESTED,
        "keys",
    ),
    Mutant(
        "keys in another order",
        suite.test_nested_objects,
        (Result(OBJECTS, lambda got: [["dict", v[::-1]] for _, v in got]),),
        NESTED,
        "keys",
    ),
    Mutant("list longer", suite.test_nested_objects, (first("list", longer),), NESTED, "length"),
    Mutant(
        "array bit off",
        suite.test_nested_objects,
        (first("tensor", lambda v: ["tensor", last_bit(v[1])]),),
        BUFFER,
        "anchor",
    ),
    Mutant(
        "number off",
        suite.test_nested_objects,
        (first("int", lambda v: ["int", v[1] + 1]),),
        NESTED,
        "example",
    ),
    Mutant(
        "text cut",
        suite.test_nested_objects,
        (first("str", lambda v: ["str", v[1] + "x"]),),
        NESTED,
        "example",
    ),
    Mutant("an example lost", suite.test_nested_objects, (Result(OBJECTS, without(-1)),), NESTED, "examples"),
    *(
        Mutant(
            f"Paddle itself, {given['what']}",
            suite.test_ambiguous_objects,
            given=given,
            repair=(Result(OBJECTS, arrays_kept),),
            says=given["what"],
        )
        for given in AMBIGUOUS
    ),
    Mutant(
        "accepted",
        suite.test_protocol_out_of_range,
        (setting("checks.roundtrip.save_object", protocol=4),),
        {"protocol": 5},
        "exception",
    ),
    Mutant(
        "written",
        suite.test_protocol_out_of_range,
        (setting("checks.roundtrip.save_object", protocol=4),),
        {"protocol": 1},
        "file written",
    ),
)

MUTANTS = (*NETWORK, *DTYPES, *OBJECT)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
