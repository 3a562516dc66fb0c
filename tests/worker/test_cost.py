"""Operations and bytes of a run, held against sums by hand."""

from __future__ import annotations

from typing import Any

import pytest

from harness.execution.executor import Executor
from harness.targets.target import Target

PROFILES = ("", "legacy-ir")


def counted(executor: Executor, model: str, batch: int, profile: str) -> dict[str, Any]:
    target = Target("counted", "static", profile=profile)
    files = executor.builder.files(target, model)
    found: dict[str, Any] = executor.pool.call(
        "inspection.cost.count",
        spec=executor.spec(target),
        folder=files["folder"],
        program=files["program"],
        params=files["params"],
        feed=executor.sample(model, batch),
    )
    return found


def stored_bytes(executor: Executor, model: str) -> int:
    """Bytes of the checkpoint's parameters."""
    weights = executor.builder.files(Target("dygraph", "dygraph"), model)["params"]
    return int(
        executor.pool.call("checks.topology.dygraph_parameters", model=model, weights=weights)["bytes"]
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("batch", [1, 3])
def test_lenet(executor: Executor, batch: int, profile: str) -> None:
    # Convolutions: outputs times inputs of each; then three matrices (reference_models/lenet.py).
    multiplied = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25 + 400 * 120 + 120 * 84 + 84 * 10
    found = counted(executor, "lenet", batch, profile)
    assert found["flops"] == 2 * batch * multiplied
    assert found["parameter_bytes"] == stored_bytes(executor, "lenet")
    assert found["io_bytes"] == 4 * batch * (28 * 28 + 10)
    assert found["uncounted"] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_depthwise_convolutions(executor: Executor, profile: str) -> None:
    """As many operations as another count of the same program has, and more with more examples."""
    target = Target("counted", "static", profile=profile)
    files = executor.builder.files(target, "mobilenet_v1_x0_125")
    told = executor.pool.call(
        "inspection.compressed.inspect",
        spec=executor.spec(target),
        **{name: files[name] for name in ("folder", "program", "params")},
    )
    one, four = (counted(executor, "mobilenet_v1_x0_125", batch, profile) for batch in (1, 4))
    assert one["flops"] == 2 * told["macs"] > 0
    assert four == {**one, "flops": 4 * one["flops"], "io_bytes": 4 * one["io_bytes"]}


def test_recurrent_layers(executor: Executor) -> None:
    """Four gates, each a matrix of the row and one of the state, at every step; then the classifier."""
    batch, steps, width, hidden = 2, 28, 28, 64
    multiplied = steps * 4 * hidden * (width + hidden) + hidden * 10
    assert counted(executor, "lstm", batch, "")["flops"] == 2 * batch * multiplied


def test_a_table_is_read_where_it_is_looked_up(executor: Executor) -> None:
    """Attention's products are counted at the shapes of the run, and of a table only the rows looked up."""
    one, two = (counted(executor, "transformer", batch, "") for batch in (1, 2))
    assert two["flops"] == 2 * one["flops"] > 0
    assert one["parameter_bytes"] < stored_bytes(executor, "transformer")


def test_bodies_are_told(executor: Executor) -> None:
    assert counted(executor, "control_flow", 2, "")["uncounted"] == ["if", "while"]
