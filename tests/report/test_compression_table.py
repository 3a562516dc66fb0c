"""The table of compressed models: what each flow is worth, told in a minute."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from browser import in_frames, needs_chromium, sizes
from builders import record, write_run
from gate.builders import gate
from pages import HOSTILE, Page, section
from sample_run import accuracy, compressed

from harness.gate.result import Subject
from harness.report import compression_gate, render, tables
from harness.report.compression import VERDICTS, Row, rows
from harness.report.compression_views import LOOK, MOST_OPEN_FLOWS, Method, methods
from harness.report.gate import render as render_gate
from harness.types import Comparison, Record, RemoteFailure

CHECKS = ("accuracy", "quantized", "scales", "export_agrees", "int8_kernels", "later_runs", "cost")
RAISED: dict[str, Any] = {
    "outcome": "error",
    "parts": {},
    "failure": RemoteFailure("TypeError", "clone(): no such overload\nThe following are supported:"),
}
CRASHED: dict[str, Any] = {
    "outcome": "crash",
    "parts": {},
    "failure": RemoteFailure("WorkerDied", "the worker died", signal="SIGSEGV"),
}
SKIPPED: dict[str, Any] = {"outcome": "not-run", "reason": "no static graph", "parts": {}}
UNMADE = dict.fromkeys(CHECKS, RAISED)
KNOWN = {"known": "the pass is not ported", "known_instead": "export under `FLAGS_enable_pir_api=0`"}


def failed(what: str = "x", **parts: Any) -> dict[str, Any]:
    """A check that found something wrong, with what it measured."""
    return {"outcome": "fail", "details": (Comparison(what, "bitwise", False, 10),), "parts": parts}


def quantized(weights: int, inputs: int, layers: int = 5) -> dict[str, Any]:
    return failed(quantized={"layers": layers, "weights": weights, "inputs": inputs, "float": 0})


def int8(primitives: int = 8, same: float = 0.993, **loss: Any) -> dict[str, Any]:
    seen = {"int8_primitives": {"reorder": 4, **({"convolution": primitives} if primitives else {})}}
    return failed(int8={**seen, "same_class": same}, **loss)


def found(tmp_path: Path, *records: Record, profile: str = "pir") -> tuple[Row, ...]:
    environment = {"paddle": {"version": "3.3.1"}, "profile": profile}
    run = write_run(tmp_path / "run", records, environment=environment)
    return rows(run, tables.cases(run))


def by_method(tmp_path: Path, *records: Record) -> dict[str, Method]:
    return {method.name: method for method in methods(found(tmp_path, *records))}


def many(flows: int = 50) -> Iterator[Record]:
    """So many flows under two profiles, of every kind of verdict."""
    faults: tuple[dict[str, Any], ...] = (
        {},
        {"scales": failed(scales={"least": 0.02, "largest": 3.1})},
        UNMADE,
        {"later_runs": failed("run 2")},
        {"int8_kernels": int8(0)},
        {"quantized": quantized(3, 5)},
    )
    for i in range(flows):
        method = ("qat", "ptq", "ptq", "weights")[i % 4]
        for j, profile in enumerate(("pir", "legacy-ir")):
            changes = faults[(i + 3 * j) % len(faults)]
            yield from compressed(
                f"{method}-{'static' if i % 3 else 'dynamic'}-{'calibrated-'[: i % 12]}{i}",
                profile=profile,
                lost=i % 7,
                size=0.26 + 0.01 * (i % 5),
                latency=0.7 + 0.02 * i if i % 2 else None,
                changes=changes,
            )


# Verdicts


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, "trust", ""),
        ({"int8_kernels": {"outcome": "not-run", "reason": "a CPU build", "parts": {}}}, "trust", ""),
        ({"scales": {"surprise": "expected fail, but it passed"}}, "trust", ""),
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
    assert row.instead == KNOWN["known_instead"]


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
    whole = row(smaller=failed(cost={"elements_ratio": 1.0}))
    assert (whole.verdict, whole.reasons[0].text) == ("do not use", "nothing is pruned")
    most = row(smaller=failed(cost={"elements_ratio": 0.95}))
    assert (most.verdict, most.reasons[0].text) == ("caution", "95% of the parameters are left")
    wrong = row(filters=failed("conv1"))
    assert (wrong.verdict, wrong.reasons[0].text) == ("caution", "filters: conv1 differs")


# Rows


def test_a_row_collects_what_its_checks_measured(tmp_path: Path) -> None:
    (row,) = found(tmp_path, *compressed("ptq-slim", profile="legacy-ir", latency=0.7))
    assert (row.model, row.flow, row.name) == ("lenet", "ptq-slim-legacy-ir", "ptq-slim")
    assert (row.method, row.graph, row.profile) == ("ptq", "static", "legacy-ir")
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
                 flow="qat-x-legacy-ir")  # fmt: skip
    (row,) = found(tmp_path, one)
    assert (row.method, row.name, row.profile, row.verdict) == ("qat", "qat-x", "legacy-ir", "not run")


def test_legacy_flows_of_a_run_in_legacy_ir_are_the_plain_ones(tmp_path: Path) -> None:
    plain = compressed("qat-slim", profile="legacy-ir", own="legacy-ir")
    other = record("compression/accuracy[lenet-qat-slim-legacy-ir]", "not-run", model="lenet",
                   reason="in legacy-IR mode already", flow="qat-slim-legacy-ir")  # fmt: skip
    (row,) = found(tmp_path, *plain, other, profile="legacy-ir")
    assert (row.flow, row.profile) == ("qat-slim", "legacy-ir")


@pytest.mark.parametrize("key", [*("accuracy", "quantized", "scales", "export", "int8", "int8_accuracy"),
                                 *("cost", "latency", "profile", "method", "api", "graph")])  # fmt: skip
def test_malformed_parts_do_not_stop_the_page(tmp_path: Path, key: str) -> None:
    odd: tuple[Any, ...] = (None, 3, "x", [], {}, [1], {"layers": "a"}, {"estimate": None}, {"ratio": []},
                            {"int8_primitives": 1}, {"operators": [1]}, {1: 2}, True)  # fmt: skip
    records = [
        record(f"compression/{check}[m-qat-{i}]", outcome, model="m", flow=f"qat-{i}",
               measures={"compression": {key: value}})
        for i, value in enumerate(odd)
        for check, outcome in (("accuracy", "fail"), ("scales", "pass"), ("int8_kernels", "fail"),
                               ("quantized", "fail"), ("smaller", "fail"))
    ]  # fmt: skip
    records += [
        record(f"compression/cost[m-ptq-{i}]", model="m", flow=f"ptq-{i}", measures={"compression": value})
        for i, value in enumerate(odd)
    ]
    text = render(write_run(tmp_path / "run", records))
    Page(text)
    assert section(text, "compression").count("ptq-") >= len(odd)


def test_the_measure_is_listed_once(tmp_path: Path) -> None:
    shown = next(compressed("qat-slim"))
    assert tables.measures(shown) == ()
    other = msgspec.structs.replace(shown, area="elsewhere")
    assert ("compression.method", "qat") in tables.measures(other)
    assert ("compression.method", "qat") in tables.measures(msgspec.structs.replace(shown, flow=""))


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
    found = by_method(tmp_path, *records)
    assert list(found) == ["qat", "ptq"]
    assert [flow.name for flow in found["ptq"].flows] == [
        *("ptq-loses-less", "ptq-loses-more", "ptq-legacy", "ptq-few", "ptq-odd", "ptq-later", "ptq-unmade"),
    ]
    assert [flow.best.verdict for flow in found["ptq"].flows[2:]] == list(VERDICTS[:5])


def test_what_was_not_run_on_one_model_does_not_hide_the_others(tmp_path: Path) -> None:
    records = [
        *compressed("ptq-a", lost=5, gained=0),
        *compressed("ptq-b"),
        *compressed("ptq-b", "conv_bn", changes=dict.fromkeys(CHECKS, SKIPPED)),
    ]
    method = by_method(tmp_path, *records)["ptq"]
    first, second = method.flows
    assert "on lenet," in method.sentence
    assert (first.name, first.best.verdict) == ("ptq-b", "trust")
    assert [row.verdict for row in first.rows] == ["trust", "not run"]
    assert (second.name, second.best.verdict) == ("ptq-a", "not enough data")


def test_more_models_count_more_than_a_smaller_loss(tmp_path: Path) -> None:
    records = [r for m in ("lenet", "conv_bn") for r in compressed("ptq-both", m, lost=4)]
    (first, second) = by_method(tmp_path, *compressed("ptq-one", lost=0), *records)["ptq"].flows
    assert (first.name, second.name) == ("ptq-both", "ptq-one")


def test_profiles_of_a_flow_stand_beside_each_other(tmp_path: Path) -> None:
    records = [r for p in ("legacy-ir", "pir") for m in ("lenet", "conv_bn")
               for r in compressed("ptq-slim", m, p)]  # fmt: skip
    (flow,) = by_method(tmp_path, *records)["ptq"].flows
    assert [(row.model, row.profile) for row in flow.rows] == [
        *(("lenet", "pir"), ("lenet", "legacy-ir"), ("conv_bn", "pir"), ("conv_bn", "legacy-ir")),
    ]


def test_a_flow_is_no_better_than_on_its_worst_model(tmp_path: Path) -> None:
    records = [
        *compressed("ptq-one"),
        *compressed("ptq-one", "conv_bn", changes={"later_runs": failed("run 2")}),
        *compressed("ptq-two", lost=4),
        *compressed("ptq-two", "conv_bn", lost=3),
    ]
    method = by_method(tmp_path, *records)["ptq"]
    assert [flow.name for flow in method.flows] == ["ptq-two", "ptq-one"]
    assert (
        method.sentence == "take `ptq-two`: loses at most 0.82 points on lenet and conv_bn, 0.27 of the size."
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
            [record("compression/accuracy[m-ptq-a]", "not-run", reason="no digits", model="m", flow="ptq-a")],
            "none was run: no digits.",
        ),
    ],
)
def test_the_sentence_says_which_flow_to_take(tmp_path: Path, records: list[Record], sentence: str) -> None:
    assert by_method(tmp_path, *records)["ptq"].sentence == sentence


# The page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(write_run(tmp_path_factory.mktemp("r") / "run", [*many(), *compressed("prune-l1")]))


def test_every_row_is_there_once_with_its_links(page: str) -> None:
    text = section(page, "compression")
    parsed = Page(page)
    assert {link[1:] for link in parsed.links() if link[:1] == "#"} <= set(parsed.ids())
    chips = re.findall(r'<td class="why"><a href="#([\w-]+)"><span class="chip', text)
    assert len(chips) == 101
    assert sum(anchor.startswith("case-") for anchor in chips) > 50
    assert {anchor for anchor in chips if not anchor.startswith("case-")} <= {"cases", "not-run"}
    assert text.count('<th scope="row" rowspan="2">') == 50


def test_every_reason_leads_to_the_case_that_shows_it(tmp_path: Path) -> None:
    changes = {"quantized": quantized(3, 5), "later_runs": failed("run 2")}
    text = render(write_run(tmp_path / "run", compressed("qat-a", changes=changes)))
    table = section(text, "compression")
    links = dict(re.findall(r'<a href="#(case-\d+)">([\w ]+)</a>', table))
    assert set(links.values()) == {"second run differs", "weights left float in 2 of 5 layers"}
    for anchor, reason in links.items():
        finding = text[text.index(f'<article class="finding unexpected" id="{anchor}">') :]
        check = "later_runs" if "run" in reason else "quantized"
        assert f"compression/{check}[" in finding[: finding.index("</summary>")]
    (verdict,) = re.findall(r'<td class="why"><a href="#([\w-]+)">', table)
    assert links[verdict] == "second run differs"


def test_captions_name_release_and_profiles(page: str) -> None:
    text = section(page, "compression")
    assert "Post-training quantization on Paddle 3.3.1, pir and legacy-ir; accuracy on 1,000 digits" in text
    assert "with bounds at 99 %." in text
    assert "Pruning on Paddle 3.3.1, pir;" in text
    assert 'href="#compression"' in page[: page.index("</header>")]


def test_an_error_is_told_once(page: str, tmp_path: Path) -> None:
    text = section(page, "compression")
    # Once for each method: a note that all its rows refer to.
    assert text.count("no such overload") == 3
    one = render(write_run(tmp_path / "run", [*compressed("qat-slim", changes={**UNMADE})]))
    assert section(one, "compression").count("no such overload") == 1
    assert 'class="notes' not in section(one, "compression")


def test_instead_is_told_beside_what_does_not_work(tmp_path: Path) -> None:
    changes = {check: {**RAISED, **KNOWN} for check in CHECKS}
    for folder, flows in (("one", ["qat-a"]), ("two", ["qat-a", "qat-b"])):
        records = [item for flow in flows for item in compressed(flow, changes=changes)]
        text = section(render(write_run(tmp_path / folder, records)), "compression")
        assert text.count("export under <code>FLAGS_enable_pir_api=0</code>") == 1


def test_numbers_stand_in_their_columns(tmp_path: Path) -> None:
    records = compressed("ptq-slim", lost=5, gained=3, latency=0.8)
    text = section(render(write_run(tmp_path / "run", records)), "compression")
    head = re.sub(r"<span.*?</span>", "", text[text.index("<thead>") : text.index("</thead>")])
    row = text[text.index("<tbody>") : text.index("</tbody>")]
    names = re.findall(r"<th[^>]*>(.*?)</th>", head)
    cells = [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
    values = dict(zip(names[1:], cells, strict=True))
    assert values["Model"] == ["lenet", "pir"]
    assert values["Verdict"] == ["✓", "trust"]
    assert values["Accuracy"] == ["−0.20", "−0.90", "to", "+0.50"]
    assert (values["Size"], values["FLOPs"]) == (["0.27"], ["1.00"])
    assert values["Latency"] == ["0.80", "0.72–0.88"]
    assert values["Quantized"] == ["yes"]
    assert values["Real int8"] == ["−0.10", "−0.67", "to", "+0.47"]


def test_measurements_have_all_the_rest(tmp_path: Path) -> None:
    timed = {"ratio": 0.8, "batch": 32, "median_us": 7812.2, "memory_before_mib": 8.4, "memory_mib": 2.1}
    cost = {"elements_ratio": 1.0, "operators": {"quantize_linear": 10, "conv2d": 2}}
    changes = {"cost": {"parts": {"latency": timed, "cost": cost}}}
    text = section(render(write_run(tmp_path / "run", compressed("ptq-a", changes=changes))), "compression")
    table = text[text.index("All measurements in numbers") :]
    names = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", table)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", table)
    values = dict(zip(names[1:], cells, strict=True))
    assert values["Call"] == "paddleslim.quant.quant_post_static"
    assert (values["Lost, gained"], values["Weights, inputs of layers"]) == ("2, 2", "5, 5 of 5")
    assert (values["Scales"], values["Export"], values["Int8"]) == ("0.85–1.00", "0.20", "1.20")
    assert (values["Same class"], values["Int8 primitives"], values["Quantizers"]) == ("0.993", "8", "10")
    assert (values["Median, µs"], values["Batch"], values["Memory, MiB"]) == ("7812", "32", "8.4 → 2.1")


def test_columns_that_a_method_cannot_fill_are_left_out(tmp_path: Path) -> None:
    text = section(render(write_run(tmp_path / "run", compressed("prune-l1"))), "compression")
    head = text[: text.index("</thead>")]
    assert "Accuracy" in head
    assert not any(name in head for name in ("Latency<", "Quantized<", "Real int8<"))


def test_int8_that_fell_back_is_no_number(tmp_path: Path) -> None:
    changes = {"int8_kernels": int8(0, int8_accuracy=accuracy(0, 0))}
    text = section(render(write_run(tmp_path / "run", compressed("ptq-a", changes=changes))), "compression")
    assert '<td class="n">fell back</td>' in text


def test_the_best_flows_are_open_and_the_others_folded(page: str) -> None:
    text = section(page, "compression")
    ptq = text[text.index('id="flows-ptq"') : text.index('id="flows-weights"')]
    shown, _, folded = ptq.partition("<details")
    assert shown.count("<code>ptq-") == MOST_OPEN_FLOWS
    assert folded.count("<code>ptq-") == 25 - MOST_OPEN_FLOWS
    assert "13 more flows:" in folded
    verdicts = [verdict for verdict, (mark, _) in LOOK.items() if f"</span> {verdict}</span>" in shown]
    assert verdicts[0] == "trust"


def test_a_hundred_rows_are_cheap(page: str, tmp_path: Path) -> None:
    assert len(section(page, "compression")) < 130_000
    assert "No case of this run compressed a model." in render(write_run(tmp_path / "run", [record()]))


@pytest.mark.parametrize("bad", [HOSTILE, HOSTILE * 100])
def test_hostile_text_stays_text(tmp_path: Path, bad: str) -> None:
    who = {"method": bad, "graph": bad, "api": bad, "profile": bad}
    seen = {"layers": 10**30, "weights": 3, "inputs": -4, "float": 0, "stored": [bad]}
    parts = {
        "accuracy": {**accuracy(3, 1), "standing": bad, "estimate": 1e300, "high": 1e300},
        "quantized": seen,
        "latency": {"ratio": 1e300, "low": -1e300},
        "int8": {"int8_primitives": {bad: 3}},
    }
    records = [
        record(f"compression/{check}[{bad}]", outcome, model=bad, flow=bad, target=bad, reason=bad,
               known_instead=bad, measures={"compression": {**who, **parts}})
        for check, outcome in ((bad, "fail"), ("quantized", "fail"), ("accuracy", "pass"))
    ]  # fmt: skip
    records += [record(f"compression/accuracy[{i}]", "error", model=bad, flow=f"{bad}{i}", reason=bad,
                       known_instead=bad) for i in range(2)]  # fmt: skip
    run = write_run(tmp_path / "run", records, environment={"paddle": {"version": bad}, "profile": bad})
    text = render(run)
    parsed = Page(text)
    assert not {"script", "img"} & {tag for tag, _ in parsed.tags}
    assert not any(name.startswith("on") for _, attrs in parsed.tags for name in attrs)
    assert "\x1b" not in text
    assert "\x00" not in text
    assert len(section(text, "compression")) < 60_000
    ids = parsed.ids()
    assert len(ids) == len(set(ids))


@needs_chromium
def test_a_telephone_shows_flow_and_verdict(page: str, tmp_path: Path) -> None:
    """At 360 pixels nothing overflows, and flow, profile and verdict are seen without scrolling."""
    small = page[: page.index("<body>")] + "<body><div class='page'>" + section(page, "compression")
    small += "</section></div></body></html>"
    for width, (scroll, client, high) in zip((360, 1280), sizes(tmp_path, small, 360, 1280), strict=True):
        assert client == width
        assert scroll <= width
        assert high > 3000
    measure = (
        "Math.max(...[...d.querySelectorAll('.flows .chip')].map(e => e.getBoundingClientRect().right))"
        " + '|' + [...d.querySelectorAll('.flows')].map(e => { e.scrollLeft = 200;"
        " return e.querySelector('tbody th').getBoundingClientRect().left -"
        " e.getBoundingClientRect().left; }).join(',')"
    )
    (telephone,) = in_frames(tmp_path, [(small, 360, 900)], measure)
    right, _, lefts = telephone.partition("|")
    assert float(right) <= 360
    assert all(abs(float(left)) <= 2 for left in lefts.split(",") if left)


# The gate's page


def side(folder: Path, name: str, profile: str, *records: Record) -> tuple[Row, ...]:
    environment = {"paddle": {"version": name}, "profile": profile}
    run = write_run(folder / name, records, environment=environment)
    return rows(run, tables.cases(run))


def test_pairs_stand_beside_each_other_whatever_the_profile(tmp_path: Path) -> None:
    old = side(tmp_path, "2.6.2", "legacy-ir",
               *compressed("qat-a", profile="legacy-ir", own="legacy-ir"),
               *compressed("qat-gone", profile="legacy-ir", own="legacy-ir"))  # fmt: skip
    new = side(tmp_path, "3.3.1", "pir", *compressed("qat-a", changes=UNMADE),
               *compressed("qat-a", profile="legacy-ir"), *compressed("qat-new"))  # fmt: skip
    told = [(p.name, p.profiles, p.step, p.differs) for p in compression_gate.pairs(old, new)]
    assert told == [
        ("qat-a", "legacy-ir → pir", 4, True),
        ("qat-a", "legacy-ir", 0, False),
        ("qat-gone", "legacy-ir", 0, True),
        ("qat-new", "pir", 0, True),
    ]
    back = [(p.name, p.profiles, p.step) for p in compression_gate.pairs(new, old)]
    assert ("qat-a", "pir → legacy-ir", -4) in back
    both = [(p.name, p.profiles) for p in compression_gate.pairs(new, new)]
    assert both == [
        ("qat-a", "pir"),
        ("qat-a", "legacy-ir"),
        ("qat-new", "pir"),
    ]


def test_what_became_worst_is_first_and_what_one_side_lacks_last(tmp_path: Path) -> None:
    later = {"later_runs": failed("run 2")}
    before: dict[str, Any] = {"qat-worse": {}, "qat-better": later, "qat-gone": {}, "ptq-same": {}}
    old = side(
        tmp_path,
        "2.6.2",
        "legacy-ir",
        *(
            item
            for name, changes in before.items()
            for item in compressed(name, profile="legacy-ir", own="legacy-ir", changes=changes)
        ),
    )
    after = [*compressed("ptq-same"), *compressed("qat-better"), *compressed("qat-worse", changes=later)]
    told = compression_gate.pairs(old, side(tmp_path, "3.3.1", "pir", *after))
    assert [pair.name for pair in told] == ["qat-worse", "ptq-same", "qat-better", "qat-gone"]


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, False),
        ({"lost": 4}, False),  # within the bounds of either
        ({"lost": 40, "gained": 36}, True),
        ({"size": 0.275}, False),
        ({"size": 0.6}, True),
        ({"latency": 0.1}, False),
        ({"gained": 60}, True),
    ],
)
def test_only_what_matters_differs(tmp_path: Path, changes: dict[str, Any], differs: bool) -> None:
    old = side(tmp_path, "a", "pir", *compressed("qat-a"))
    new = side(tmp_path, "b", "pir", *compressed("qat-a", **changes))
    (pair,) = compression_gate.pairs(old, new)
    assert pair.differs is differs


def test_gate_page_unfolds_what_differs(tmp_path: Path) -> None:
    for name, changes in (("baseline", {}), ("candidate", {"later_runs": failed("run 2")})):
        records = [*compressed("qat-a", changes=changes), *compressed("ptq-same")]
        write_run(tmp_path / name, records)
    text = render_gate(gate(), tmp_path)
    parsed = Page(text)
    assert {link[1:] for link in parsed.links() if link[:1] == "#"} <= set(parsed.ids())
    shown, _, folded = section(text, "compression").partition("<details")
    assert "2 compressed models: 1 with a worse verdict under Paddle 3.3.1, 0 with a better one" in shown
    assert "qat-a" in shown
    assert "qat-a" not in folded
    assert "ptq-same" in folded
    assert "ptq-same" not in shown
    for needed in ("Paddle 2.6.2<", "Paddle 3.3.1<", "✓", "second run differs", "0.27"):
        assert needed in shown, needed
    assert 'href="baseline/index.html#cases"' in shown
    assert re.search(r'href="candidate/index.html#case-\d+">second run differs', shown)


def test_gate_page_links_no_run_that_lies_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    write_run(tmp_path / "elsewhere", compressed("qat-a"))
    write_run(tmp_path / "gate" / "candidate", compressed("qat-a", size=0.6))
    earlier = Subject("2.6.2", "2.6.2", run=str(tmp_path / "elsewhere"), reused=True)
    text = section(render_gate(gate(baseline=earlier), tmp_path / "gate"), "compression")
    assert text.count("</span> trust</span>") == 2
    assert "0.60" in text
    assert re.findall(r'href="([^"]+)"', text) == ["candidate/index.html#cases"]


def test_gate_page_says_why_it_has_no_table(tmp_path: Path) -> None:
    missing = "are not beside this page"
    assert missing in html.unescape(section(render_gate(gate()), "compression"))
    assert missing in section(render_gate(gate(), tmp_path), "compression")
    unnamed = gate(baseline=Subject("2.6.2", "2.6.2"))
    assert missing in section(render_gate(unnamed, tmp_path), "compression")
    for name in ("baseline", "candidate"):
        write_run(tmp_path / name, [record()])
    assert "No case compressed a model." in section(render_gate(gate(), tmp_path), "compression")


@needs_chromium
def test_gate_table_fits_a_telephone(tmp_path: Path) -> None:
    for name, count in (("baseline", 20), ("candidate", 24)):
        write_run(tmp_path / name, many(count))
    text = render_gate(gate(), tmp_path)
    for width, (scroll, client, _) in zip((360, 1280), sizes(tmp_path, text, 360, 1280), strict=True):
        assert (client, scroll <= width) == (width, True)
