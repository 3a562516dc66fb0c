"""Runs side by side: columns, right before fast, ratios, costs, and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pages import Page
from report.builders import record, write_run

from harness.core.errors import UsageError
from harness.gate import comparison
from harness.gate.comparison import Comparison
from harness.gate.comparison_page import render
from harness.records.files import Run
from harness.targets.target import Target

ENVIRONMENT = {"paddle": {"version": "3.3.1"}, "cpu": {"model": "Xeon"}, "host": "desk"}
TARGETS = {
    "predictor": Target("predictor", "predictor"),
    "bf16": Target("bf16", "predictor", {"bfloat16": True}, storage="bfloat16"),
    "box": Target("box", "predictor", {"threads": 8}, price_per_hour=3.6),
}


def timed(model: str, target: str, median: float, batch: int = 1, outcome: Any = "pass", **more: Any) -> Any:
    figures = {
        "median_us": median,
        "median_low_us": 0.9 * median,
        "median_high_us": 1.1 * median,
        "batch": batch,
        "load_ms": 12.0,
        "session_memory_mib": 3.0,
        "flops": 1_000_000 * batch,
        "parameter_bytes": 1 << 15,
        "io_bytes": 0,
    }
    case = f"latency/run[{model}-{target}-{batch}]"
    return record(case, outcome, model=model, target=target, measures={"latency": figures, **more})


def judged(model: str, target: str, outcome: Any = "pass", **more: Any) -> Any:
    return record(f"agreement/outputs[{model}-{target}]", outcome, model=model, target=target, **more)


PEAK = {"by": "program", "interpreter": "", "float32": 1e11, "bfloat16": 4e11, "read": [[1 << 14, 2e11]]}
LIMITS = record("latency/machine", measures={"limits": [{**PEAK, "threads": 1}]})

RECORDS = [
    judged("lenet", "predictor"),
    judged("lenet", "bf16", "fail", expected_failure="wrong behind a pooling"),
    judged("lenet", "box"),
    judged("lstm", "box", "not-run", reason="no such engine"),
    timed("lenet", "predictor", 100.0),
    timed("lenet", "predictor", 400.0, batch=8),
    timed("lenet", "bf16", 50.0),
    LIMITS,
    timed("lenet", "box", 200.0, where={**ENVIRONMENT, "host": "far", "cpu": {"model": "EPYC"}}),
]


def run(folder: Path, records: list[Any] | None = None, **environment: Any) -> Run:
    return write_run(
        folder, RECORDS if records is None else records, environment={**ENVIRONMENT, **environment}
    )


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    return comparison.compare([run(tmp_path / "one")], TARGETS)


def test_columns_say_where_and_how(found: Comparison) -> None:
    predictor, bf16, box = found.columns
    assert (predictor.id, predictor.paddle, predictor.cpu, predictor.precision) == (
        "one:predictor",
        "3.3.1",
        "Xeon",
        "float32",
    )
    assert bf16.precision == "bfloat16"
    assert (box.cpu, box.host, box.threads) == ("EPYC", "far", 8)


def test_a_wrong_answer_has_no_time(found: Comparison) -> None:
    row = found.rows[0]
    assert (row.model, row.batch) == ("lenet", 1)
    assert [cell.median_us if cell else None for cell in row.cells] == [100.0, None, 200.0]
    assert [cell.outcome if cell else None for cell in found.conformance["lenet"]] == ["pass", "fail", "pass"]
    assert found.conformance["lstm"][2] is not None
    assert found.conformance["lstm"][2].reason == "no such engine"


def test_ratios_throughput_and_costs(found: Comparison) -> None:
    one, eight = found.rows
    assert found.reference == "one:predictor"
    box = one.cells[2]
    assert box is not None
    assert box.ratio == pytest.approx((2.0, 180 / 110, 220 / 90))
    assert box.million == pytest.approx(200e-6 * 3.6 / 3600 * 1e6)
    assert eight.cells[0] is not None
    assert eight.cells[0].throughput == pytest.approx(20_000)
    assert eight.cells[2] is None


def test_distance_to_the_limit(found: Comparison) -> None:
    one, eight = found.rows
    cell = one.cells[0]
    assert cell is not None
    assert cell.least is not None
    assert (cell.least.us, cell.least.by) == (pytest.approx(10.0), "operations")
    assert cell.reached == pytest.approx(0.1)
    assert eight.cells[0] is not None
    assert eight.cells[0].reached == pytest.approx(0.2)
    # Nobody measured eight threads.
    assert one.cells[2] is not None
    assert one.cells[2].least is None


def test_another_reference_and_fewer_targets(tmp_path: Path) -> None:
    one = run(tmp_path / "one")
    found = comparison.compare([one], TARGETS, ("predictor", "box"), "box")
    assert [column.target for column in found.columns] == ["predictor", "box"]
    assert found.rows[0].cells[0] is not None
    assert found.rows[0].cells[0].ratio == pytest.approx((0.5, 90 / 220, 110 / 180))
    for wanted, reference in (("nothing", ""), ("predictor", "bf16")):
        with pytest.raises(UsageError):
            comparison.compare([one], TARGETS, (wanted,), reference)


def test_a_run_without_targets_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        comparison.compare([run(tmp_path / "one", [record("roundtrip/arrays[x]")])], TARGETS)


def test_page_of_two_machines(tmp_path: Path) -> None:
    runs = [
        run(tmp_path / "desk"),
        run(tmp_path / "rack", cpu={"model": "EPYC"}, paddle={"version": "2.6.2"}),
    ]
    text = render(comparison.compare(runs, TARGETS), "harness compare desk rack")
    page = Page(text)
    assert {"conformance", "latency", "gaps"} <= set(page.ids())
    for expected in ("predictor (desk)", "predictor (rack)", "2.6.2", "wrong behind a pooling", "× 2.00"):
        assert expected in text
    assert {"curves", "limits"} <= set(page.ids())
    assert text.count("<table>") == 6
    assert "10 %" in text
    assert "lenet: throughput against latency" in text


def test_a_busy_machine_is_told(tmp_path: Path) -> None:
    for load, told in ((1.1, False), (7.0, True)):
        cpu = {"model": "Xeon", "cores": 2, "load1": load}
        found = comparison.compare([run(tmp_path / f"load-{load}", cpu=cpu)], TARGETS)
        assert ("Other programs were at work" in render(found, "harness compare")) is told


def test_page_without_a_probe_says_so(tmp_path: Path) -> None:
    records = [record for record in RECORDS if record is not LIMITS]
    text = render(comparison.compare([run(tmp_path / "one", records)], TARGETS), "harness compare one")
    assert "No run measured the limits of its machine" in text


def test_page_without_latencies_says_so(tmp_path: Path) -> None:
    found = comparison.compare([run(tmp_path / "one", RECORDS[:4])], TARGETS)
    assert found.reference == ""
    assert "No case measured a latency" in render(found, "harness compare one")
