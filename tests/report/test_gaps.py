"""What each target lacks: from records to rows, and on the page."""

from __future__ import annotations

from pathlib import Path

from report.builders import record, write_run

from harness.report import tables
from harness.report.page import render

REASON = "this build of Paddle sees no GPU"
RECORDS = [
    record("agreement/outputs[lenet-jit]", model="lenet", target="jit"),
    *(
        record(
            f"agreement/outputs[{model}-bf16]",
            "error",
            model=model,
            target="bf16",
            expected_failure="a pooling fails",
            workaround="float32",
        )
        for model in ("lenet", "conv_bn")
    ),
    record(
        "agreement/outputs[lstm-bf16]",
        "crash",
        model="lstm",
        target="bf16",
        expected_failure="control flow dies",
    ),
    record("agreement/outputs[lenet-gpu]", "not-run", model="lenet", target="gpu", reason=REASON),
    record(
        "compression/int8[lenet-qat-int8]",
        "fail",
        model="lenet",
        target="int8",
        method="qat",
        expected_failure="x",
    ),
    record("lite/operators[lenet]", "error", model="lenet", expected_failure="no such operator"),
    record(
        "resume/every_model[lenet]",
        "error",
        model="lenet",
        expected_failure="no target, and no engine's area",
    ),
]


def test_rows_by_target_gravest_first(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", RECORDS)
    found = dict(tables.gaps(tables.cases(run), run.areas))
    assert list(found) == ["bf16", "gpu", "lite"]
    crash, error = found["bf16"]
    assert (crash.text, crash.models) == ("control flow dies", ("lstm",))
    assert (error.outcome, error.models, error.workaround) == ("error", ("lenet", "conv_bn"), "float32")
    assert [(gap.text, gap.outcome) for gap in found["gpu"]] == [(REASON, "not-run")]


def test_a_gap_nobody_expected_is_not_shown_as_known(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [record("agreement/a[jit]", "fail", target="jit", reason="off")])
    (one,) = dict(tables.gaps(tables.cases(run), {}))["jit"]
    assert not one.known


def test_page_has_the_table_and_says_why_a_cell_is_not_run(tmp_path: Path) -> None:
    page = render(write_run(tmp_path / "run", RECORDS))
    table = page[page.index('id="gaps"') : page.index("</details>", page.index('id="gaps"'))]
    assert all(text in table for text in ("a pooling fails", "Instead: float32", "lenet, conv_bn", REASON))
    assert f'<td title="{REASON}">' in page


def test_page_of_a_run_without_gaps_has_no_table(tmp_path: Path) -> None:
    assert 'id="gaps"' not in render(write_run(tmp_path / "run", RECORDS[:1]))
