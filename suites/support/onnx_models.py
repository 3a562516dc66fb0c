"""ONNX files of a model, and where one diverges from the program it was converted from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.checks.case import Case, CheckFailed
from harness.core.errors import NotApplicable
from harness.execution.executor import Executor, Feed
from harness.targets.target import Target

ONNXRUNTIME = "onnxruntime"
OPSET = 17
"""The opset of files for which a check asks for no other."""


def require_onnx(executor: Executor) -> None:
    """Raise NotApplicable where a package is missing, with the command that installs it."""
    reason = executor.pool.call("machine.engines.missing", packages=["paddle2onnx", "onnx", "onnxruntime"])
    if reason:
        raise NotApplicable(reason)


def converted(executor: Executor, model: str) -> str:
    """Return the file that the `paddle2onnx` command writes for the exported program."""
    return executor.builder.files(executor.targets[ONNXRUNTIME], model)["model"]


def exported(executor: Executor, model: str, opset: int = OPSET, opsets: tuple[int, ...] = (OPSET,)) -> str:
    """Return the file that `paddle.onnx.export` writes for the network; ``opsets`` are exported together.

    Raises:
        CheckFailed: it wrote no file, or an empty one.
    """
    made = executor.builder.artifact("onnx-export", model, opsets=list(opsets))
    if str(opset) not in made.values["files"]:
        raise CheckFailed(
            f"paddle.onnx.export of opset {opset} wrote nothing and raised "
            f"{made.values['raised'][str(opset)] or 'nothing'}"
        )
    return made.file(made.values["files"][str(opset)])


def program(executor: Executor, model: str) -> dict[str, str]:
    """Return folder, program and parameters that the command converts."""
    files = executor.builder.files(Target("static", "static"), model)
    return {"folder": files["folder"], "program": files["program"], "params": files["params"]}


def first_diverging(executor: Executor, model: str, path: str, feed: Feed) -> dict[str, Any]:
    """Find the first node of a file whose output differs from the value in Paddle's program."""
    found: dict[str, Any] = executor.pool.call(
        "checks.onnx_nodes.first_diverging",
        path=path,
        inputs=[name for name, *_ in executor.models[model].inputs],
        feed=feed,
        **program(executor, model),
    )
    return found


def explain(case: Case, executor: Executor, model: str, path: str, feed: Feed) -> None:
    """Where a comparison has failed, add a note that names the node at which the file diverges."""
    if all(comparison.ok for comparison in case.comparisons):
        return
    found = first_diverging(executor, model, path, feed)
    case.measures["diverging"] = found
    case.notes.append(sentence(found))


def sentence(found: dict[str, Any]) -> str:
    """Return in words what :func:`first_diverging` found."""
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
    """Write a program of the new IR without operators, and an empty parameter file; return the program."""
    path = folder / "model.json"
    path.write_text('{"base_code": {"magic": "pir", "trainable": true, "version": 1}, "program": {}}')
    path.with_suffix(".pdiparams").write_bytes(b"")
    return path
