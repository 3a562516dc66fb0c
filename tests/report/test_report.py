"""The page as text: everything the issue asks for is in it, and nothing a browser would fetch."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from builders import (
    CLAIMS,
    crashed,
    curves,
    latency,
    record,
    write_run,
    wrong_answer,
)
from pages import HOSTILE, Page
from sample_run import sample

from harness.core.types import Comparison, RemoteFailure
from harness.report import render

SECTIONS = (
    "findings",
    "claims",
    "grid",
    "damaged",
    "resume",
    "latency",
    "not-run",
    "cases",
    "environment",
    "rerun",
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(write_run(tmp_path_factory.mktemp("r") / "full", sample(), exit_status=1))


def test_every_section_is_there_with_or_without_content(full: str, tmp_path: Path) -> None:
    empty = render(write_run(tmp_path / "empty", [], claims={}, environment={}))
    for text in (full, empty):
        page = Page(text)
        ids = page.ids()
        assert set(SECTIONS) <= set(ids)
        assert len(ids) == len(set(ids)), "ids clash"
        anchors = {a["href"] for tag, a in page.tags if tag == "a" and (a["href"] or "")[:1] == "#"}
        assert {a[1:] for a in anchors if a} <= set(ids), "a link within the page leads nowhere"


def test_nothing_is_fetched_and_nothing_runs(full: str) -> None:
    for tag, attrs in Page(full).tags:
        assert tag not in ("script", "iframe", "object", "embed", "base")
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "srcset", "data", "action", "poster") and tag != "a":
                assert (value or "").startswith(("#", "data:")), (tag, name, value)
    assert "@import" not in full
    assert not re.search(r"url\((?!#)", full)
    # What is left of addresses: links to upstream issues that the records name.
    assert set(re.findall(r"https?://[^\s\"'<]+", full)) == {
        "https://github.com/PaddlePaddle/Paddle/issues/1"
    }


def test_tables_are_readable_without_seeing_them(full: str) -> None:
    page = Page(full)
    names = [tag for tag, _ in page.tags]
    assert names.count("table") == names.count("caption") > 5
    assert all(a.get("scope") in ("row", "rowgroup", "col") for tag, a in page.tags if tag == "th")
    assert names.count("main") == names.count("h1") == names.count("nav") == 1
    assert all(a.get("role") == "img" and a.get("aria-label") for t, a in page.tags if t == "svg")
    scrolls = [a for _, a in page.tags if "scroll" in (a.get("class") or "").split()]
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in scrolls)


def test_failures_come_first_and_say_all(tmp_path: Path) -> None:
    text = render(write_run(tmp_path / "run", [record(), wrong_answer(), crashed()], exit_status=1))
    findings = text[text.index('id="findings"') : text.index('id="claims"')]
    for needed in (
        "Predictor.run() output 0",
        "[-3.127, 0.419, 7.031, …]",
        "[-3.118, 0.402, 7.004, …]",
        "[17, 3]: got 7.031, expected 7.004",
        "0.00626",
        "0.027",
        "4.31",
        "SIGSEGV",
        "AnalysisPredictor::ZeroCopyRun",
        "Segmentation fault",
        "harness rerun run &#39;agreement/outputs[transformer-predictor-bf16]&#39;",
    ):
        assert needed in findings, needed
    assert "agreement/outputs[lenet]" not in findings
    assert "<details open>" in findings


def test_first_finding_of_every_cause_is_unfolded(tmp_path: Path) -> None:
    alike = [record(f"a/x[{i}]", "error", reason="no kernel") for i in range(30)]
    others = [record(f"a/y[{i}]", "error", reason=f"cause {i}") for i in range(30)]
    for name, records, most in (("alike", alike, 1), ("others", others, 12)):
        text = render(write_run(tmp_path / name, records, exit_status=1))
        findings = text[text.index('id="findings"') : text.index('id="claims"')]
        assert findings.count("<details open>") == most
        assert findings.count("<article") == 30


def test_known_failures_are_shown_as_findings(full: str) -> None:
    findings = full[full.index('id="findings"') : full.index('id="claims"')]
    assert "Known (17)" in findings
    assert "Model.load before prepare drops the optimizer state" in findings
    assert "PaddlePaddle/Paddle#65012" in findings


def test_interrupted_run_says_so_first(tmp_path: Path) -> None:
    text = render(write_run(tmp_path / "run", [record()], footer=False))
    assert "<title>Incomplete: run" in text
    assert "This run is incomplete." in text
    assert text.index("Incomplete: the run was interrupted after 1 case") < text.index('id="findings"')


def test_damaged_files_are_a_table(full: str) -> None:
    section = full[full.index('id="damaged"') : full.index('id="resume"')]
    for word in (
        "silent wrong answer",
        "crash",
        "error",
        "one byte flipped",
        "create_predictor (json)",
    ):
        assert word in section
    assert "Deserialize failed" in section


def test_reasons_for_not_running_are_shown(full: str) -> None:
    section = full[full.index('id="not-run"') : full.index('id="cases"')]
    assert "this Paddle is compiled without CUDA" in section
    assert "agreement/outputs[lenet-predictor-gpu]" in section


def test_every_case_has_its_rerun_command(full: str) -> None:
    text = html.unescape(full)
    for item in sample():
        assert f"<code>harness rerun full {shlex.quote(item.case)}</code>" in text


def test_every_claim_has_a_row(full: str) -> None:
    for claim in CLAIMS:
        assert f'id="claim-{claim}"' in full


def test_environment_names_what_is_missing(full: str, tmp_path: Path) -> None:
    section = full[full.index('id="environment"') :]
    for word in (
        "4f1ad6c9e0b7",
        "onnxruntime",
        "avx512_vnni",
        "Governor",
        "0.42",
        "1.87",
        "artifacts made",
        "memory_gib",
    ):
        assert word in section, word
    environment = {
        "cpu": "a string where a mapping should be",
        "deep": {"a": {"b": [1, {"c": None}]}},
    }
    text = render(write_run(tmp_path / "odd", [record()], environment=environment))
    assert "a string where a mapping should be" in text
    assert text.count("not recorded") >= 8


@pytest.mark.parametrize("bad", [HOSTILE, HOSTILE * 200])
def test_hostile_text_stays_text(tmp_path: Path, bad: str) -> None:
    item = Comparison(bad, bad, False, 1, bad, bad, 2.0, 2.0, 1.0, bad, bad)
    failure = RemoteFailure(type=bad, message=bad, traceback=bad, signal=bad, log_tail=bad)
    numbers = {**latency(10.0, 1), "runtime": bad}
    everything: dict[str, Any] = {
        "nodeid": bad,
        "area": bad,
        "title": bad,
        "claims": (bad,),
        "model": bad,
        "target": bad,
        "reason": bad,
        "details": (item,),
        "failure": failure,
        "notes": (bad,),
    }
    measures = {
        bad: bad,
        "curves": curves(8, 4),
        "latency": numbers,
        "corruption": {"loader": bad, "format": bad, "damage": bad, "behaviour": bad, "message": bad},
    }
    records = [
        record(bad, "fail", measures=measures, **everything),
        record(bad, "crash", expected_failure=bad, issue="javascript:alert(1)", **everything),
        record(bad, unexpected=bad, expected_failure=bad, issue=bad, **everything),
        record(bad, "not-run", **everything),
    ]
    run = write_run(
        tmp_path / "run",
        records,
        problems=(bad,),
        claims={bad: bad},
        environment={bad: {bad: [bad]}},
    )
    text = render(run)
    page = Page(text)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert "javascript:" not in "".join(a.get("href") or "" for _, a in page.tags)
    assert "\x1b" not in text
    assert "\x00" not in text


def test_special_measures_that_are_malformed_do_not_stop_the_page(tmp_path: Path) -> None:
    odd: list[Any] = [None, 3, "x", [], {}, {"median_us": "fast"}, {"uninterrupted": [None, "x"]}]
    records = [
        record(f"odd/{key}[{i}]", measures={key: value})
        for key in ("curves", "latency", "corruption")
        for i, value in enumerate(odd)
    ]
    Page(render(write_run(tmp_path / "run", records)))


def test_latency_without_a_tail_says_why(tmp_path: Path) -> None:
    reason = "p99 needs 1,000 samples, there are 400"
    records = [record("latency/a", measures={"latency": latency(90.0, 1, p99_reason=reason)})]
    assert reason in render(write_run(tmp_path / "run", records))
    records = [record("latency/a", measures={"latency": latency(90.0, 1)})]
    assert "too few samples" in render(write_run(tmp_path / "other", records))


def test_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", list(sample())[:120])
    assert render(run) == render(run)


def test_log_of_megabytes_is_cut_and_says_so(tmp_path: Path) -> None:
    failure = RemoteFailure("WorkerDied", "gone", log_tail="x" * 3_000_000 + "THE END")
    text = render(write_run(tmp_path / "run", [record("a/b", "crash", failure=failure)]))
    assert len(text) < 200_000
    assert "THE END" in text
    assert "characters left out" in text
