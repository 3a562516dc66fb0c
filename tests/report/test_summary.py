"""The arithmetic behind the page: verdict, claims, grid."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import crashed, record, write_run, wrong_answer

from harness.core.types import OUTCOMES
from harness.records.files import read_run
from harness.report import summary, tables

KNOWN: dict[str, Any] = {"expected_failure": "fit also writes .pdopt", "issue": "Paddle#1"}
PASSES = [record(f"agreement/outputs[m{i}]") for i in range(3)]


@pytest.mark.parametrize(
    ("records", "options", "status", "words"),
    [
        (PASSES, {}, "pass", ["Paddle 3.3.1 passes", "3 of 3 cases", "9 comparisons"]),
        ([*PASSES, record("a/k", "fail", **KNOWN)], {}, "pass", ["1 known finding"]),
        ([*PASSES, record("a/k", "crash", **KNOWN)], {"exit_status": 1}, "pass", ["3 of 4 cases"]),
        ([*PASSES, record("a/n", "not-run", reason="no GPU")], {}, "pass", ["1 case not run"]),
        ([*PASSES, wrong_answer()], {}, "fail", ["1 unexpected result (1 fail)"]),
        (
            [*PASSES, wrong_answer(), crashed()],
            {},
            "fail",
            ["2 unexpected results (1 fail, 1 crash)"],
        ),
        ([*PASSES, record("a/t", "timeout")], {}, "fail", ["1 timeout"]),
        ([*PASSES, record("a/e", "error")], {}, "fail", ["1 error"]),
        (
            [*PASSES, record("a/s", unexpected="passed", **KNOWN)],
            {},
            "fail",
            ["1 departure from known"],
        ),
        (
            [*PASSES, record("a/s", "error", unexpected="not a fail", **KNOWN)],
            {},
            "fail",
            ["departure"],
        ),
        (
            PASSES,
            {"problems": ("a stale entry", "a repair")},
            "fail",
            ["2 faults of the run itself"],
        ),
        ([], {}, "fail", ["no case was recorded"]),
        ([record("a/n", "not-run", reason="x")], {}, "fail", ["nothing was compared"]),
        ([record("a/k", "error", **KNOWN)], {}, "fail", ["nothing was compared"]),
        ([*PASSES, record("a/empty", comparisons=0)], {}, "fail", ["passed without comparing"]),
        ([*PASSES, record("a/empty", elements=0)], {}, "fail", ["passed without comparing"]),
        (PASSES, {"exit_status": 3}, "fail", ["exit status 3"]),
        (PASSES, {"exit_status": 1}, "fail", ["exit status 1"]),
        (PASSES, {"exit_status": 2}, "incomplete", ["interrupted"]),
        (PASSES, {"collected": 5}, "incomplete", ["2 of 5 collected cases left no record"]),
        ([*PASSES, PASSES[0]], {"collected": 4}, "incomplete", ["1 of 4 collected cases left no record"]),
        (
            PASSES,
            {"footer": False},
            "incomplete",
            ["interrupted after 3 cases", "nothing unexpected"],
        ),
        ([*PASSES, crashed()], {"footer": False}, "incomplete", ["1 unexpected result"]),
        ([], {"footer": False}, "incomplete", ["after 0 cases", "no case was recorded"]),
    ],
)
def test_verdict(
    tmp_path: Path, records: list[Any], options: dict[str, Any], status: str, words: list[str]
) -> None:
    verdict = summary.verdict(write_run(tmp_path / "run", records, **options))
    assert verdict.status == status, verdict.sentence
    for word in words:
        assert word in verdict.sentence
    assert verdict.sentence.endswith(".")
    assert verdict.sentence.count(". ") == 0
    assert bool(verdict.reasons) == (status != "pass")


def test_a_line_that_cannot_be_read_keeps_a_finished_run_from_passing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", PASSES)
    lines = (run.folder / "records.jsonl").read_bytes().splitlines(keepends=True)
    lines[1] = lines[1][:40] + b"\n"
    (run.folder / "records.jsonl").write_bytes(b"".join(lines))
    verdict = summary.verdict(read_run(run.folder))
    assert verdict.status == "incomplete"
    assert "1 line of records.jsonl cannot be read" in verdict.sentence


def test_outcome_counts_name_all_six(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [*PASSES, crashed()])
    assert tuple(summary.outcome_counts(run)) == OUTCOMES
    assert summary.outcome_counts(run)["pass"] == 3
    assert summary.outcome_counts(run)["crash"] == 1
    assert summary.outcome_counts(run)["timeout"] == 0


def _claim(tmp_path: Path, *records: Any, **options: Any) -> summary.ClaimRow:
    run = write_run(tmp_path / "run", records, claims={"c": "it works"}, **options)
    (row,) = summary.claim_rows(run)
    return row


def test_claim_holds_beside_cases_that_were_not_run(tmp_path: Path) -> None:
    row = _claim(
        tmp_path,
        record("a/1", claims=("c",)),
        record("a/2", "not-run", reason="no GPU", claims=("c",)),
        record("a/3", "not-run", reason="no GPU", claims=("c",)),
    )
    assert (row.verdict, row.reasons, row.cases) == ("holds", (("no GPU", 2),), 3)


def test_known_failure_breaks_its_claim_with_the_known_reason(tmp_path: Path) -> None:
    bad = record("a/2", "fail", claims=("c",), target="jit", reason="differs", **KNOWN)
    row = _claim(tmp_path, record("a/1", claims=("c",)), bad)
    assert row.verdict == "broken"
    (seen,) = row.observed
    assert (seen.text, seen.known, seen.issue) == ("fit also writes .pdopt", True, "Paddle#1")
    assert seen.targets == ("jit",)


def test_unexpected_failure_breaks_its_claim_with_its_own_cause(tmp_path: Path) -> None:
    row = _claim(tmp_path, crashed(claims=("c", "c")))
    assert row.verdict == "broken"
    assert row.cases == 1
    assert row.observed[0].text == "WorkerDied (SIGSEGV): the worker died during Predictor.run()"
    assert not row.observed[0].known


@pytest.mark.parametrize(
    ("records", "options", "reason"),
    [
        ([], {}, summary.NOT_COVERED),
        ([], {"footer": False}, summary.NOT_REACHED),
        ([record("a/1", "not-run", reason="no GPU", claims=("c",))], {}, "no GPU"),
        ([record("a/1", comparisons=0, claims=("c",))], {}, "passed without comparing anything"),
    ],
)
def test_claim_not_run_says_why(
    tmp_path: Path, records: list[Any], options: dict[str, Any], reason: str
) -> None:
    row = _claim(tmp_path, *records, **options)
    assert (row.verdict, row.reasons[0][0]) == ("not run", reason)


def test_claim_that_only_records_name_gets_a_row(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [record("a/1", claims=("new",))], claims={"c": "it works"})
    assert [(row.id, row.verdict) for row in summary.claim_rows(run)] == [
        ("c", "not run"),
        ("new", "holds"),
    ]


def test_grid_cell_has_gravest_outcome_cases_and_headroom(tmp_path: Path) -> None:
    place: dict[str, Any] = {"model": "lenet", "target": "jit"}
    records = [
        record("a/1", numeric_budget_used=0.5, **place),
        record("a/2", "fail", numeric_budget_used=3.0, **KNOWN, **place),
        record("a/3", "error", **place),
        record("a/4", numeric_budget_used=0.1, model="lenet", target="static"),
        record("a/5"),
    ]
    grid = summary.grid(write_run(tmp_path / "run", records))
    assert (grid.models, grid.targets, grid.outside) == (("lenet",), ("jit", "static"), 1)
    cell = grid.cells["lenet", "jit"]
    # The unexpected error decides over the known failure of a graver kind.
    assert (cell.worst, cell.cases, cell.budget_used, cell.first_bad) == ("error", 3, 3.0, 2)
    assert (cell.unexpected, cell.known) == (1, 1)
    assert grid.cells["lenet", "static"].first_bad is None


def test_grid_cell_of_passes_and_skips_is_a_pass(tmp_path: Path) -> None:
    place: dict[str, Any] = {"model": "lenet", "target": "jit"}
    records = [record("a/1", "not-run", reason="x", **place), record("a/2", **place)]
    cell = summary.grid(write_run(tmp_path / "run", records)).cells["lenet", "jit"]
    assert (cell.worst, cell.counts["not-run"]) == ("pass", 1)


@pytest.mark.parametrize(
    ("value", "drawn"),
    [
        ({"uninterrupted": [2.0, 1.0], "resumed": [1.0], "interrupted_at": 1}, True),
        ({"uninterrupted": [2.0, None], "resumed": [], "interrupted_at": 1}, True),
        ({"uninterrupted": []}, False),
        ({"uninterrupted": "oops"}, False),
        ("oops", False),
        (None, False),
    ],
)
def test_curves_are_read_or_left_to_the_generic_listing(tmp_path: Path, value: Any, drawn: bool) -> None:
    run = write_run(tmp_path / "run", [record("resume/x", measures={"curves": value})])
    found = tables.cases(run)
    assert bool(tables.curves(found)) == drawn
    assert bool(tables.measures(found[0].record)) == (not drawn)


@pytest.mark.parametrize(
    ("resumed", "first", "largest"),
    [([1.0, 0.5], None, 0.0), ([1.0, 0.75], 2, 0.25), ([None, 0.5], 1, 0.0), ([], None, None)],
)
def test_curve_difference(
    tmp_path: Path, resumed: list[float | None], first: int | None, largest: float | None
) -> None:
    value = {"uninterrupted": [2.0, 1.0, 0.5], "resumed": resumed, "interrupted_at": 1}
    run = write_run(tmp_path / "run", [record("resume/x", measures={"curves": value})])
    (curve,) = tables.curves(tables.cases(run))
    assert (curve.first_difference, curve.largest) == (first, largest)


@pytest.mark.parametrize("case", ["a/plain", "a/x[lenet-jit]", "a/x[it's]", "a/x[$(rm -rf /)]", "a/x[`id`]"])
def test_rerun_survives_a_shell(tmp_path: Path, case: str) -> None:
    run = write_run(tmp_path / "a run", [record(case)])
    command = tables.rerun(run, case)
    assert shlex.split(command) == ["harness", "rerun", "a run", case]
    assert command.endswith("'")


CAUSES: list[tuple[Callable[[], Any], str]] = [
    (wrong_answer, "output 0 is 4.3 times further from the oracle than allowed"),
    (
        lambda: wrong_answer(reason=""),
        "Predictor.run() output 0 'linear_2.tmp_1', second run differs",
    ),
    (lambda: record("a/b", "timeout"), "timeout, no cause recorded"),
]


@pytest.mark.parametrize(("make", "text"), CAUSES)
def test_cause_is_never_empty(make: Callable[[], Any], text: str) -> None:
    assert summary.cause(make()) == text
