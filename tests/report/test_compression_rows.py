"""Rows of the table of compressed models: verdicts, order and advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from builders import record, write_run
from compression_builders import (
    CHECKS,
    CRASHED,
    KNOWN,
    RAISED,
    SKIPPED,
    UNMADE,
    by_technique,
    failed,
    found,
    int8,
    quantized,
)
from pages import Page, section
from sample_run import accuracy, compressed

from harness.core.types import Record
from harness.report import render, tables
from harness.report.compression import VERDICTS, Row

# Verdicts


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, "trust", ""),
        ({"int8_kernels": {"outcome": "not-run", "reason": "a CPU build", "parts": {}}}, "trust", ""),
        ({"scales": {"unexpected": "expected fail, but it passed"}}, "trust", ""),
        ({"quantized": quantized(3, 5)}, "caution", "weights left float in 2 of 5 layers"),
        ({"quantized": quantized(5, 1)}, "caution", "inputs left float in 4 of 5 layers"),
        ({"quantized": quantized(0, 0)}, "do not use", "nothing is quantized"),
        ({"quantized": failed("layers")}, "caution", "quantized: layers differs"),
        (
            {"scales": failed(scales={"least": 0.02, "largest": 3.1})},
            "caution",
            "scales are 0.02 to 3.1 of the range",
        ),
        ({"scales": failed(scales={"least": None})}, "caution", "scales: x differs"),
        ({"scales": {**failed(), **KNOWN}}, "caution", "scales: x differs"),
        ({"export_agrees": failed()}, "caution", "the export differs from the network in memory"),
        (
            {"export_agrees": failed(export={"moved": 0.03, "quantization_error": 0.05})},
            "caution",
            "the export differs from the network in memory by 60% of the quantization error",
        ),
        ({"cost": RAISED}, "caution", "cost: raises TypeError"),
        ({"cost": {"outcome": "timeout", "parts": {}}}, "caution", "cost: takes too long"),
        ({"cost": {"comparisons": 0}}, "caution", "cost: compared nothing"),
        ({"later_runs": failed("run 2")}, "do not use", "second run differs"),
        ({"later_runs": failed("run 10")}, "do not use", "tenth run differs"),
        ({"later_runs": failed("another process")}, "do not use", "another process gives other outputs"),
        ({"later_runs": failed("two threads")}, "do not use", "two threads give other outputs"),
        ({"later_runs": failed("number of runs")}, "do not use", "number of runs differs"),
        ({"later_runs": CRASHED}, "do not use", "later runs: ends the process SIGSEGV"),
        ({"int8_kernels": int8(0)}, "do not use", "int8 kernels did not run"),
        (
            {"int8_kernels": int8(8, int8_accuracy=accuracy(40, 0))},
            "do not use",
            "int8 kernels lose at least 2.51 points",
        ),
        ({"int8_kernels": int8(8, 0.9)}, "caution", "int8 kernels keep the class of 90.0% of digits only"),
        (
            {"int8_weights": failed("logits in float32")},
            "caution",
            "int8 kernels are given other weights than the file's",
        ),
        ({"int8_kernels": CRASHED}, "caution", "int8 kernels: ends the process SIGSEGV"),
        ({"accuracy": failed(accuracy=accuracy(60, 0))}, "do not use", "loses at least 4.18 points"),
        ({"accuracy": failed("logits")}, "do not use", "accuracy: logits differs"),
        (
            {
                "accuracy": {
                    "outcome": "not-run",
                    "reason": "x",
                    "parts": {"accuracy": accuracy(6, 0)},
                }
            },
            "not enough data",
            "may lose 1.22 points, allowed is 1",
        ),
        (
            {"accuracy": {"outcome": "not-run", "reason": "no digits", "parts": {}}},
            "not enough data",
            "accuracy: no digits",
        ),
        ({"accuracy": RAISED}, "does not work", "TypeError: clone(): no such overload"),
        (UNMADE, "does not work", "TypeError: clone(): no such overload"),
        (dict.fromkeys(CHECKS, CRASHED), "does not work", "WorkerDied (SIGSEGV): the worker died"),
        (
            {**UNMADE, "int8_kernels": {"outcome": "not-run", "reason": "no GPU", "parts": {}}},
            "does not work",
            "TypeError: clone(): no such overload",
        ),
        (
            dict.fromkeys(CHECKS, SKIPPED),
            "not run",
            "no static graph",
        ),
    ],
)
def test_verdict(tmp_path: Path, changes: dict[str, Any], verdict: str, reason: str) -> None:
    (row,) = found(tmp_path, *compressed("ptq-slim", changes=changes))
    assert row.verdict == verdict
    assert [item.text for item in row.reasons][:1] == ([reason] if reason else [])


def test_known_failures_do_not_make_a_model_better(tmp_path: Path) -> None:
    changes = {"later_runs": {**failed("run 2"), **KNOWN}}
    (row,) = found(tmp_path, *compressed("ptq-slim", changes=changes))
    assert row.verdict == "do not use"
    assert row.workaround == KNOWN["workaround"]


def test_the_gravest_reason_comes_first_and_all_are_told(tmp_path: Path) -> None:
    changes = {"quantized": quantized(3, 2), "later_runs": failed("run 2"), "cost": RAISED}
    (row,) = found(tmp_path, *compressed("ptq-slim", lost=6, changes=changes))
    assert row.verdict == "do not use"
    assert [reason.text for reason in row.reasons] == [
        "second run differs",
        "cost: raises TypeError",
        "weights left float in 2 of 5 layers",
        "inputs left float in 3 of 5 layers",
    ]
    light = {"cost": RAISED, "accuracy": {"outcome": "not-run", "parts": {"accuracy": accuracy(6, 0)}}}
    (row,) = found(tmp_path / "light", *compressed("ptq-slim", changes=light))
    assert (row.verdict, len(row.reasons)) == ("caution", 2)


def test_one_check_that_raises_is_not_a_flow_that_does_not_work(tmp_path: Path) -> None:
    records = [r for r in compressed("ptq-slim", changes={"cost": RAISED})
               if r.case.startswith(("compression/later_runs", "compression/cost"))]  # fmt: skip
    (row,) = found(tmp_path, *records)
    assert row.verdict == "caution"
    assert [reason.text for reason in row.reasons] == ["cost: raises TypeError", "accuracy was not compared"]


def test_pruned_models_have_their_own_checks(tmp_path: Path) -> None:
    def row(**changes: Any) -> Row:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (only,) = found(folder, *compressed("prune-l1", changes=changes))
        return only

    assert row().verdict == "trust"
    assert row(pruned_accuracy=RAISED).verdict == "does not work"
    lost = accuracy(120, 20, 0.05)
    narrow = row(pruned_accuracy={"parts": {"accuracy": lost, "against_control": accuracy(0, 0, 0.05)}})
    assert narrow.verdict == "caution"
    assert narrow.reasons[0].text.endswith("points, with or without PaddleSlim")
    whole = row(smaller=failed(cost={"elements_ratio": 1.0}))
    assert (whole.verdict, whole.reasons[0].text) == ("do not use", "nothing is pruned")
    most = row(smaller=failed(cost={"elements_ratio": 0.95}))
    assert (most.verdict, most.reasons[0].text) == ("caution", "95% of the parameters are left")
    wrong = row(filters=failed("conv1"))
    assert (wrong.verdict, wrong.reasons[0].text) == ("caution", "filters: conv1 differs")


# Rows


def test_a_row_collects_what_its_checks_measured(tmp_path: Path) -> None:
    (row,) = found(tmp_path, *compressed("ptq-slim", profile="legacy-ir", latency=0.7))
    assert (row.model, row.method, row.name) == ("lenet", "ptq-slim-legacy-ir", "ptq-slim")
    assert (row.technique, row.graph, row.profile) == ("ptq", "static", "legacy-ir")
    assert row.accuracy is not None
    assert (row.accuracy.delta, row.accuracy.interval) == ("0.00", "−0.52 to +0.52")
    assert row.quantized is not None
    assert row.quantized.answer == "yes"
    assert row.cost is not None
    assert (row.cost.bytes_ratio, row.cost.quantizers) == (0.267, 25)
    assert row.latency is not None
    assert row.latency.ratio == 0.7
    assert [run.target for run in row.int8] == ["predictor-int8"]
    assert row.int8[0].seen is not None
    assert row.int8[0].seen.computing == 8


def test_what_cannot_be_run_has_a_row_by_its_name(tmp_path: Path) -> None:
    one = record("compression/accuracy[lenet-qat-x-legacy-ir]", "not-run", reason="no", model="lenet",
                 method="qat-x-legacy-ir")  # fmt: skip
    (row,) = found(tmp_path, one)
    assert (row.technique, row.name, row.profile, row.verdict) == ("qat", "qat-x", "legacy-ir", "not run")


def test_legacy_flows_of_a_run_in_legacy_ir_are_the_plain_ones(tmp_path: Path) -> None:
    plain = compressed("qat-slim", profile="legacy-ir", own="legacy-ir")
    other = record("compression/accuracy[lenet-qat-slim-legacy-ir]", "not-run", model="lenet",
                   reason="in legacy-IR mode already", method="qat-slim-legacy-ir")  # fmt: skip
    (row,) = found(tmp_path, *plain, other, profile="legacy-ir")
    assert (row.method, row.profile) == ("qat-slim", "legacy-ir")


@pytest.mark.parametrize("key", [*("accuracy", "quantized", "scales", "export", "int8", "int8_accuracy"),
                                 *("cost", "latency", "profile", "technique", "api", "graph")])  # fmt: skip
def test_malformed_parts_do_not_stop_the_page(tmp_path: Path, key: str) -> None:
    odd: tuple[Any, ...] = (None, 3, "x", [], {}, [1], {"layers": "a"}, {"estimate": None}, {"ratio": []},
                            {"int8_primitives": 1}, {"operators": [1]}, {1: 2}, True)  # fmt: skip
    records = [
        record(f"compression/{check}[m-qat-{i}]", outcome, model="m", method=f"qat-{i}",
               measures={"compression": {key: value}})
        for i, value in enumerate(odd)
        for check, outcome in (("accuracy", "fail"), ("scales", "pass"), ("int8_kernels", "fail"),
                               ("quantized", "fail"), ("smaller", "fail"))
    ]  # fmt: skip
    records += [
        record(f"compression/cost[m-ptq-{i}]", model="m", method=f"ptq-{i}", measures={"compression": value})
        for i, value in enumerate(odd)
    ]
    text = render(write_run(tmp_path / "run", records))
    Page(text)
    assert section(text, "compression").count("ptq-") >= len(odd)


def test_the_measure_is_listed_once(tmp_path: Path) -> None:
    shown = next(compressed("qat-slim"))
    assert tables.measures(shown) == ()
    other = msgspec.structs.replace(shown, area="elsewhere")
    assert ("compression.technique", "qat") in tables.measures(other)
    assert ("compression.technique", "qat") in tables.measures(msgspec.structs.replace(shown, method=""))


# Order and advice


def test_flows_are_sorted_by_what_to_trust(tmp_path: Path) -> None:
    undecided = {"accuracy": {"outcome": "not-run", "parts": {"accuracy": accuracy(6, 0)}}}
    records = [
        *compressed("ptq-unmade", changes=UNMADE),
        *compressed("ptq-later", changes={"later_runs": failed("run 2")}),
        *compressed("ptq-odd", changes={"scales": failed()}),
        *compressed("ptq-few", changes=undecided),
        *compressed("ptq-loses-more", lost=4),
        *compressed("ptq-loses-less", lost=1),
        *compressed("ptq-legacy", changes=UNMADE),
        *compressed("ptq-legacy", profile="legacy-ir", lost=0),
        *compressed("qat-one"),
    ]
    found = by_technique(tmp_path, *records)
    assert list(found) == ["qat", "ptq"]
    assert [method.name for method in found["ptq"].methods] == [
        *("ptq-loses-less", "ptq-loses-more", "ptq-legacy", "ptq-few", "ptq-odd", "ptq-later", "ptq-unmade"),
    ]
    assert [method.best.verdict for method in found["ptq"].methods[2:]] == list(VERDICTS[:5])


def test_what_was_not_run_on_one_model_does_not_hide_the_others(tmp_path: Path) -> None:
    records = [
        *compressed("ptq-a", lost=5, gained=0),
        *compressed("ptq-b"),
        *compressed("ptq-b", "conv_bn", changes=dict.fromkeys(CHECKS, SKIPPED)),
    ]
    technique = by_technique(tmp_path, *records)["ptq"]
    first, second = technique.methods
    assert "on lenet," in technique.sentence
    assert (first.name, first.best.verdict) == ("ptq-b", "trust")
    assert [row.verdict for row in first.rows] == ["trust", "not run"]
    assert (second.name, second.best.verdict) == ("ptq-a", "not enough data")


def test_more_models_count_more_than_a_smaller_loss(tmp_path: Path) -> None:
    records = [r for m in ("lenet", "conv_bn") for r in compressed("ptq-both", m, lost=4)]
    (first, second) = by_technique(tmp_path, *compressed("ptq-one", lost=0), *records)["ptq"].methods
    assert (first.name, second.name) == ("ptq-both", "ptq-one")


def test_profiles_of_a_flow_stand_beside_each_other(tmp_path: Path) -> None:
    records = [r for p in ("legacy-ir", "pir") for m in ("lenet", "conv_bn")
               for r in compressed("ptq-slim", m, p)]  # fmt: skip
    (method,) = by_technique(tmp_path, *records)["ptq"].methods
    assert [(row.model, row.profile) for row in method.rows] == [
        *(("lenet", "pir"), ("lenet", "legacy-ir"), ("conv_bn", "pir"), ("conv_bn", "legacy-ir")),
    ]


def test_a_flow_is_no_better_than_on_its_worst_model(tmp_path: Path) -> None:
    records = [
        *compressed("ptq-one"),
        *compressed("ptq-one", "conv_bn", changes={"later_runs": failed("run 2")}),
        *compressed("ptq-two", lost=4),
        *compressed("ptq-two", "conv_bn", lost=3),
    ]
    technique = by_technique(tmp_path, *records)["ptq"]
    assert [method.name for method in technique.methods] == ["ptq-two", "ptq-one"]
    assert (
        technique.sentence
        == "take `ptq-two`: loses at most 0.82 points on lenet and conv_bn, 0.27 of the size."
    )


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        (
            [
                *compressed("ptq-a", lost=0, gained=9),
                *compressed("ptq-b"),
                *compressed("ptq-c", changes=UNMADE),
            ],
            "take `ptq-a`: loses nothing on lenet, 0.27 of the size. To trust as well: `ptq-b`.",
        ),
        (
            [*compressed("ptq-a", changes=UNMADE), *compressed("ptq-a", profile="legacy-ir")],
            "take `ptq-a` in legacy IR (`FLAGS_enable_pir_api=0`): loses at most 0.52 points on lenet, "
            "0.27 of the size. None is to be trusted in PIR.",
        ),
        (
            [r for i in range(7) for r in compressed(f"ptq-{i}", profile=("pir", "legacy-ir")[i > 2])],
            "take `ptq-0`: loses at most 0.52 points on lenet, 0.27 of the size. To trust as well: `ptq-1`, "
            "`ptq-2`, `ptq-3` in legacy IR, `ptq-4` in legacy IR and 2 more.",
        ),
        (
            [*compressed("ptq-a", lost=6, gained=0)],
            "nothing is decided; nearest is `ptq-a`: may lose 1.22 points, allowed is 1.",
        ),
        (
            [*compressed("ptq-a"), *compressed("ptq-a", "conv_bn", changes={"quantized": quantized(3, 5)})],
            "none without caution; nearest is `ptq-a`: weights left float in 2 of 5 layers on conv_bn.",
        ),
        ([*compressed("ptq-a", changes=UNMADE)], "none can be used."),
        (
            [
                record(
                    "compression/accuracy[m-ptq-a]", "not-run", reason="no digits", model="m", method="ptq-a"
                )
            ],
            "none was run: no digits.",
        ),
    ],
)
def test_the_sentence_says_which_flow_to_take(tmp_path: Path, records: list[Record], sentence: str) -> None:
    assert by_technique(tmp_path, *records)["ptq"].sentence == sentence
