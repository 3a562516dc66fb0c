"""Mutants of suites/test_onnx.py: files and engines that are others than they should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.execution.executor import Executor
from suites import test_onnx as suite
from suites.support import onnx_models
from suites.support.mutants.disturbances import (
    Arguments,
    Files,
    Result,
    flipped,
    option,
    outputs,
    put,
    runtime,
    setting,
    values,
    within,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

EXECUTE, INSPECT = "runtimes.execute", "inspection.onnx_files.inspect"
CONVERT, ATTEMPT = "recipes.onnx_export.convert", "recipes.onnx_export.attempt"
NODES, DIFFERENCES = "checks.onnx_nodes.first_diverging", "inspection.onnx_files.differences"
LENET = {"model": "lenet"}
ALL = tuple(range(7, 22))
ONNX = runtime("onnxruntime")


def emptied(pattern: str, share: float = 0.0) -> Callable[[Path, Executor], bool]:
    """Of the file only the first part is left."""

    def damage(folder: Path, executor: Executor) -> bool:
        files = list(folder.rglob(pattern))
        for file in files:
            content = file.read_bytes()
            file.write_bytes(content[: int(share * len(content))])
        return bool(files)

    return damage


def of_model(name: str, call: str = INSPECT, argument: str = "path") -> Arguments:
    """Another model's file."""
    return Arguments(
        call, lambda arguments, executor: {**arguments, argument: onnx_models.converted(executor, name)}
    )


def of_opset(opset: int, call: str = INSPECT, argument: str = "path") -> Arguments:
    """LeNet's file of another opset."""
    return Arguments(
        call,
        lambda arguments, executor: {
            **arguments,
            argument: onnx_models.exported(executor, "lenet", opset, ALL),
        },
    )


def found(call: str, name: str, value: Any) -> Result:
    return Result(call, within(put(value), name))


# Where paddle2onnx aborts, the mutants are of a refusal as it should be, and of a file as it should be.

REFUSAL = {"raised": "ValueError: the opset must be between 7 and 21", "bytes": -1}
REFUSED = (
    Arguments(ATTEMPT, lambda arguments, executor: {"value": dict(REFUSAL)}, instead="checks.selftest.echo"),
)
QUANTIZED = {"model": "lenet", "method": "qat-slim"}


def float_program(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """The float network's program converts."""
    files = onnx_models.program(executor, "lenet")
    program, params = (str(Path(files["folder"], files[name])) for name in ("program", "params"))
    return {**arguments, "program": program, "params": params}


def converted(method: str) -> tuple[Arguments, ...]:
    """The quantized program itself, in place of the file that should be made of it."""

    def by_the_predictor(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
        made = executor.builder.compressed(executor.builder.methods[method], "lenet")
        params = made.file("inference_model/model.pdiparams")
        files = {"model": made.file(made.values["program"]), "params": params}
        return {**arguments, "runtime": "predictor", "files": files, "options": {"onednn": False}}

    return Arguments(CONVERT, float_program), Arguments(EXECUTE, by_the_predictor, ONNX)


CONVERTED = converted("qat-slim")
AFTERWARDS = {"model": "lenet", "method": "ptq-static-hist-legacy-ir"}


def other_classes(runs: Any) -> None:
    """Every row's logits are another class's."""
    for run in runs:
        run[0] = np.roll(run[0], 1, axis=1)


def larger(runs: Any) -> None:
    """The same classes with twice the logits."""
    for run in runs:
        run[0] = 2 * run[0]


MUTANTS = (
    Mutant("an empty file", suite.test_file, (Files(INSPECT, emptied("*.onnx")),), LENET, "bytes"),
    Mutant(
        "a file cut short", suite.test_file, (Files(INSPECT, emptied("*.onnx", 0.7)),), LENET, "onnx.checker"
    ),
    Mutant(
        "types that do not fit", suite.test_file, (found(INSPECT, "shapes", "a"),), LENET, "shape inference"
    ),
    Mutant(
        "an engine refuses it",
        suite.test_file,
        (found(INSPECT, "loads", "a"),),
        LENET,
        "onnxruntime's loading",
    ),
    Mutant("another opset", suite.test_file, (of_opset(11),), LENET, "opset"),
    Mutant("another model's inputs", suite.test_file, (of_model("two_inputs"),), LENET, "inputs"),
    Mutant("another model's outputs", suite.test_file, (of_model("two_inputs"),), LENET, "number of outputs"),
    Mutant(
        "a fixed batch",
        suite.test_file,
        (Result(INSPECT, within(put([1, 1, 28, 28]), "inputs", 0, 1)),),
        LENET,
        "inputs",
    ),
    *(
        Mutant(
            f"weight's exponent bit flipped, {way}",
            suite.test_same_outputs,
            (Files(EXECUTE, flipped("model.onnx"), ONNX),),
            {**LENET, "way": way},
            "run 1",
        )
        for way in ("command", "export")
    ),
    Mutant(
        "a run is missing",
        suite.test_same_outputs,
        (outputs(lambda runs: runs.pop(), ONNX),),
        {**LENET, "way": "command"},
        "number of runs",
    ),
    Mutant(
        "another model",
        suite.test_both_ways,
        (of_model("lstm", DIFFERENCES, "second"),),
        LENET,
        "differences",
    ),
    Mutant(
        "another opset", suite.test_both_ways, (of_opset(15, DIFFERENCES, "second"),), LENET, "differences"
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_both_ways,
        (Files(DIFFERENCES, flipped("opset17/model.onnx")),),
        LENET,
        "differences",
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_every_node,
        (Files(NODES, flipped("model.onnx", "linear2.bias")),),
        LENET,
        "first diverging node",
    ),
    Mutant("nothing compared", suite.test_every_node, (found(NODES, "compared", 1),), LENET, "counterpart"),
    Mutant("a lower opset", suite.test_opset, (of_opset(11),), {"opset": 13}, "opset"),
    Mutant("a higher opset", suite.test_opset, (of_opset(21),), {"opset": 13}, "opset"),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_opset,
        (Files(EXECUTE, flipped("opset13/model.onnx"), ONNX),),
        {"opset": 13},
        "run 1",
    ),
    Mutant(
        "a lower opset",
        suite.test_opset_of_every_model,
        (of_opset(11),),
        {"model": "lenet", "opset": 13},
        "opset",
    ),
    Mutant(
        "an exit status of success",
        suite.test_opset_too_high,
        (found(CONVERT, "status", 0),),
        {"way": "command"},
        "exit status",
    ),
    Mutant(
        "an empty file",
        suite.test_opset_too_high,
        (found(CONVERT, "bytes", 0),),
        {"way": "command"},
        "bytes written",
    ),
    Mutant(
        "no reason",
        suite.test_opset_too_high,
        (found(CONVERT, "said", []),),
        {"way": "command"},
        "the reason",
    ),
    Mutant(
        "a supported opset",
        suite.test_opset_too_high,
        (setting(CONVERT, opset=17),),
        {"way": "command"},
        "bytes written",
    ),
    Mutant(
        "an empty file",
        suite.test_opset_too_high,
        (found(ATTEMPT, "bytes", 0),),
        {"way": "export"},
        "bytes written",
        repair=REFUSED,
    ),
    Mutant(
        "no reason",
        suite.test_opset_too_high,
        (found(ATTEMPT, "raised", ""),),
        {"way": "export"},
        "what is raised",
        repair=REFUSED,
    ),
    Mutant("another opset", suite.test_opset_too_low, (of_opset(11),), says="opset"),
    Mutant(
        "in silence",
        suite.test_opset_too_low,
        (values("onnx", lambda held: held.update(said=[])),),
        says="the opset used is told",
    ),
    Mutant("success", suite.test_no_program, (found(CONVERT, "status", 0),), says="exit status"),
    Mutant("an empty file", suite.test_no_program, (found(CONVERT, "bytes", 0),), says="bytes written"),
    Mutant("paddle2onnx itself", suite.test_quantized, given=QUANTIZED, says="exit status", repair=CONVERTED),
    Mutant(
        "paddle2onnx itself",
        suite.test_quantized_afterwards,
        given=AFTERWARDS,
        says="exit status",
        repair=converted(AFTERWARDS["method"]),
        slow=True,
    ),
    Mutant(
        "other classes",
        suite.test_quantized,
        (outputs(other_classes, ONNX),),
        QUANTIZED,
        "share of digits",
        repair=CONVERTED,
    ),
    Mutant(
        "logits of another scale",
        suite.test_quantized,
        (outputs(larger, ONNX),),
        QUANTIZED,
        "distance from Paddle's",
        repair=CONVERTED,
    ),
    Mutant(
        "another class's logits lose accuracy",
        suite.test_quantized,
        (outputs(other_classes, ONNX),),
        QUANTIZED,
        "more than the bound",
        repair=CONVERTED,
    ),
    Mutant(
        "two threads",
        suite.test_engine_as_asked,
        (option(EXECUTE, ONNX, threads=2),),
        {"target": "onnxruntime"},
        "runs with",
    ),
    Mutant(
        "bfloat16",
        suite.test_engine_as_asked,
        (option(EXECUTE, runtime("openvino"), precision="bf16"),),
        {"target": "openvino"},
        "runs with",
        needs="OpenVINO",
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_engine_as_asked,
        (Files(EXECUTE, flipped("model.onnx"), ONNX),),
        {"target": "onnxruntime"},
        "outputs",
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
