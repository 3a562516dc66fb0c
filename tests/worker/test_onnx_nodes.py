"""Which node of an ONNX file leaves Paddle's program: found by damaging one node's weight at a time."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from harness.execution.executor import Executor
from suites.support import damage, onnx_models

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("paddle2onnx", "onnx", "onnxruntime")),
    reason="needs the paddle extra: paddle2onnx, onnx and onnxruntime",
)


def damaged(executor: Executor, weight: str, folder: Path) -> str:
    """LeNet's file with an exponent bit of one value of a weight flipped."""
    path = Path(shutil.copy(onnx_models.converted(executor, "lenet"), folder))
    state = executor.builder.artifact("checkpoint", "lenet").file("model.pdparams")
    payload = damage.payload_of(executor.pool.call("models.states.flat", path=state)[weight])
    path.write_bytes(damage.flip_value(path.read_bytes(), payload))
    return str(path)


@pytest.mark.parametrize(
    ("weight", "node"),
    [
        ("conv1.weight", "Conv.0"),
        ("conv2.weight", "Conv.1"),
        ("linear1.weight", "MatMul.0"),
        ("linear2.weight", "MatMul.1"),
        ("linear2.bias", "Add.6"),
        ("linear3.bias", "Add.8"),
    ],
)
def test_the_node_with_the_wrong_weight_is_named(
    executor: Executor, tmp_path: Path, weight: str, node: str
) -> None:
    path = damaged(executor, weight, tmp_path)
    found = onnx_models.first_diverging(executor, "lenet", path, executor.sample("lenet", 3))
    assert found["first"] == node
    assert node in found["between"]
    assert node in onnx_models.sentence(found)


def test_a_true_file_has_none(executor: Executor) -> None:
    found = onnx_models.first_diverging(
        executor, "lenet", onnx_models.converted(executor, "lenet"), executor.sample("lenet", 3)
    )
    assert found["first"] == ""
    assert found["compared"] >= 10
