"""ONNX files of a model, and where one leaves the program it was converted from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.checks.case import Case, CheckFailed
from harness.core.errors import NotApplicable
from harness.execution.executor import Executor, Feed
from harness.targets.target import Target

ONNXRUNTIME = "onnxruntime"
OPSET = 17
"""The opset that files are made in unless a check asks for another."""


def require_onnx(executor: Executor) -> None:
    """Raises NotApplicable, with the command that gets it, where a package is missing."""
    reason = executor.pool.call("machine.engines.missing", packages=["paddle2onnx", "onnx", "onnxruntime"])
    if reason:
        raise NotApplicable(reason)


def converted(executor: Executor, model: str) -> str:
    """The file that the `paddle2onnx` command makes of the exported program."""
    return executor.builder.files(executor.targets[ONNXRUNTIME], model)["model"]


def exported(executor: Executor, model: str, opset: int = OPSET, opsets: tuple[int, ...] = (OPSET,)) -> str:
    """The file that `paddle.onnx.export` makes of the network, one of several opsets made together.

    Raises:
        CheckFailed: it wrote none, or an empty one.
    """
    made = executor.builder.artifact("onnx-export", model, opsets=list(opsets))
    if str(opset) not in made.values["files"]:
        raise CheckFailed(
            f"paddle.onnx.export of opset {opset} wrote nothing and raised "
            f"{made.values['raised'][str(opset)] or 'nothing'}"
        )
    return made.file(made.values["files"][str(opset)])


def program(executor: Executor, model: str) -> dict[str, str]:
    """Folder, program and parameters that the command converts."""
    files = executor.builder.files(Target("static", "static"), model)
    return {"folder": files["folder"], "program": files["program"], "params": files["params"]}


def first_diverging(executor: Executor, model: str, path: str, feed: Feed) -> dict[str, Any]:
    """The first node of a file whose output is not the value that Paddle's program has there."""
    found: dict[str, Any] = executor.pool.call(
        "checks.onnx_nodes.first_diverging",
        path=path,
        inputs=[name for name, *_ in executor.models[model].inputs],
        feed=feed,
        **program(executor, model),
    )
    return found


def explain(case: Case, executor: Executor, model: str, path: str, feed: Feed) -> None:
    """Where a comparison has failed, a note that names the node at which the file leaves the program."""
    if all(comparison.ok for comparison in case.comparisons):
        return
    found = first_diverging(executor, model, path, feed)
    case.measures["diverging"] = found
    case.notes.append(sentence(found))


def sentence(found: dict[str, Any]) -> str:
    """What :func:`first_diverging` found, in words."""
    if not found["first"]:
        return (
            f"none of the {found['compared']} intermediate tensors that Paddle's program has too differs "
            "from it: the cause is not in the file's float32 values"
        )
    return (
        f"the first diverging node is {found['first']} ({found['operator']}): {found['tensor']} is off by "
        f"{found['error']:.3g} where its root mean square is {found['scale']:.3g}"
    )


def json_program(folder: Path) -> Path:
    """A program of the new IR that holds nothing, and parameters that are none."""
    path = folder / "model.json"
    path.write_text('{"base_code": {"magic": "pir", "trainable": true, "version": 1}, "program": {}}')
    path.with_suffix(".pdiparams").write_bytes(b"")
    return path
