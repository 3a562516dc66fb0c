"""Form `deployed`: a program and its parameters as they are, without the code that made them."""

from __future__ import annotations

import os
from typing import Any, List, Mapping

from harness.worker.inspection import programs
from harness.worker.models.user import inputs as users_inputs


def model(given: Mapping[str, Any]) -> users_inputs.UserModel:
    """Return the declared model, with its inputs as :func:`feeds` found them.

    Raises:
        Whatever loading the program raises, where its inputs are not known yet.
    """
    found = given["feeds"] if "feeds" in given else feeds(given)
    stated = []
    for name, shape, dtype, levels in found:
        stated.append(users_inputs.plain(name, shape, dtype))
        if levels > 1:
            raise ValueError(
                f"input {name} has sequences of sequences (LoD of level {levels}), not of level 1"
            )
        stated += [users_inputs.lod(name)] * levels
    inputs = users_inputs.with_specs(stated, given["spec"])
    examples = users_inputs.load_examples(given["inputs"]) if given["inputs"] else {}
    return users_inputs.UserModel(
        name=given["name"],
        summary=os.path.basename(given["path"]) + ", deployed",
        build=_no_code,
        inputs=tuple(inputs),
        outputs=tuple(given.get("outputs", ())),
        form="deployed",
        examples=users_inputs.matched(examples, inputs),
    )


def _no_code(**arguments: Any) -> Any:
    raise TypeError("a deployed model has no Python code that could build a network")


def load(given: Mapping[str, Any]) -> Any:
    """Return program, feed names and fetch targets of `load_inference_model`; call it in static mode."""
    folder, program = os.path.split(given["path"])
    return programs.load(
        folder, program, os.path.relpath(given["params"], folder) if given["params"] else None
    )[1:]


def feeds(given: Mapping[str, Any]) -> List[Any]:
    """Return ``[name, shape, dtype, LoD levels]`` of each input in order; open dimensions are None.

    Raises:
        Whatever Paddle raises for a file of another kind or release.
    """
    with programs.static_mode():
        program, names, _ = load(given)
        return describe(program, names)


def describe(program: Any, names: List[str]) -> List[Any]:
    """Return ``[name, shape, dtype, LoD levels]`` of a loaded program's feeds; the new IR knows no LoD."""
    block = program.global_block()
    if programs.is_pir(program):
        data = {op.attrs()["name"]: op.results()[0] for op in block.ops if op.name() == "pd_op.data"}
        variables = [data[name] for name in names]
    else:
        variables = [block.var(name) for name in names]
    return [
        [
            name,
            list(users_inputs.opened(variable.shape)),
            users_inputs.dtype_name(variable.dtype),
            int(getattr(variable, "lod_level", 0) or 0),
        ]
        for name, variable in zip(names, variables)
    ]
