"""The table of latencies beside the yardstick engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import record, write_run

from harness.report import page, tables, yardstick

RATIO = {"ratio": 1.5, "low": 1.4, "high": 1.6, "median_us": 75.0}


def measured(model: str = "lenet", **changes: Any) -> Any:
    values = {
        "engine": "onnxruntime",
        "version": "1.19.2",
        "batch": 1,
        "median_us": 50.0,
        "targets": {"predictor": RATIO},
    }
    return record(
        f"latency/beside_onnxruntime[{model}]", model=model, measures={"yardstick": {**values, **changes}}
    )


def test_models_by_targets(tmp_path: Path) -> None:
    other = {"predictor": RATIO, "openvino": {**RATIO, "ratio": 0.8}}
    run = write_run(tmp_path, [measured(), measured("conv_bn", targets=other), record()])
    table = yardstick.table(tables.cases(run))
    assert table is not None
    assert table.engine == "onnxruntime 1.19.2"
    assert table.targets == ("predictor", "openvino")
    assert [row.model for row in table.rows] == ["lenet", "conv_bn"]
    assert table.rows[1].ratios["openvino"].ratio == 0.8
    assert "openvino" not in table.rows[0].ratios


def test_on_the_page(tmp_path: Path) -> None:
    text = page.render(write_run(tmp_path, [measured()]))
    assert "Compared with onnxruntime 1.19.2" in text
    assert "[1.4–1.6]" in text
    assert "No case of this run measured latency" not in text


@pytest.mark.parametrize(
    "changes", [{"targets": {"predictor": 3}}, {"targets": None}, {"batch": None}, {"median_us": "fast"}]
)
def test_what_is_malformed_is_left_out(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = write_run(tmp_path, [measured(**changes)])
    assert yardstick.table(tables.cases(run)) is None
    page.render(run)


def test_nothing_measured(tmp_path: Path) -> None:
    assert yardstick.table(tables.cases(write_run(tmp_path, [record()]))) is None
