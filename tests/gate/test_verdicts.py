"""Two records to a verdict, and two runs to a gate's status."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from report.builders import ENVIRONMENT, record, write_run

from harness.core.types import Record
from harness.gate.causes import causes
from harness.gate.judge import Asked, result_of, route_of
from harness.gate.policy import Numerics, Policy
from harness.gate.result import Change, GateResult
from harness.gate.verdicts import Pair, base_case, judge

OLD, NEW = "2.6.2", "3.3.1"
BASE = {**ENVIRONMENT, "profile": "pir"}


def environment(version: str, **more: Any) -> dict[str, Any]:
    return {**BASE, "paddle": {"version": version, "commit": version, "cuda": False}, **more}


def verdict(before: Record | None, after: Record | None, **more: Any) -> Change | None:
    return judge(Pair("agreement/outputs[lenet]", "", before, after, **more), Numerics())


def changed(result: GateResult) -> tuple[Change, ...]:
    return tuple(change for change in result.changes if change.verdict != "same")


def numeric(tolerance: float, **more: Any) -> Record:
    return record(numeric_budget_used=tolerance, **more)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (record(), record(), "same"),
        (record(), record(outcome="fail"), "broken"),
        (record(), record(outcome="error"), "broken"),
        (record(), record(outcome="crash"), "broken"),
        (record(), record(outcome="timeout"), "broken"),
        # Expected or not: a case that passed before and is a known failure now is broken now.
        (record(), record(outcome="fail", expected_failure="a known failure"), "broken"),
        (record(outcome="error"), record(), "fixed"),
        (record(outcome="error"), record(outcome="error"), "same"),
        (record(outcome="error"), record(outcome="fail"), "broken"),
        (record(outcome="fail"), record(outcome="error"), "same"),
        # It worked under neither.
        (record(outcome="error"), record(outcome="crash"), "same"),
        (record(outcome="timeout"), record(outcome="crash"), "same"),
        (record(outcome="crash"), record(outcome="fail"), "broken"),
        (record(), None, "missing"),
        (record(), record(outcome="not-run", reason="skipped"), "missing"),
        (record(outcome="fail"), None, "missing"),
        (None, record(), "new"),
        (record(outcome="not-run"), record(outcome="error"), "new"),
        (numeric(0.2), numeric(0.45), "same"),
        (numeric(0.2), numeric(0.6), "numerically worse"),
        (numeric(0.4), numeric(0.6), "same"),
        (numeric(0.0), numeric(0.9), "numerically worse"),
        (numeric(0.9), numeric(0.1), "numerically better"),
    ],
)
def test_verdict_of_two_records(before: Record | None, after: Record | None, expected: str) -> None:
    change = verdict(before, after)
    assert change is not None
    assert change.verdict == expected
    assert change.text or expected == "same"


def test_what_neither_ran_is_no_case() -> None:
    assert verdict(record(outcome="not-run"), record(outcome="not-run")) is None
    assert verdict(record(outcome="not-run"), None) is None


def test_what_an_interrupted_run_lacks_is_not_missing() -> None:
    pair = Pair("a/b", "", record(), None)
    assert getattr(judge(pair, Numerics(), (True, False)), "verdict", "") == "inconclusive"
    pair = Pair("a/b", "", None, record())
    assert getattr(judge(pair, Numerics(), (False, True)), "verdict", "") == "inconclusive"


def test_same_bits_are_counted_apart() -> None:
    same = verdict(record(digest="a"), record(digest="a"))
    other = verdict(record(digest="a"), record(digest="b"))
    none = verdict(record(), record())
    assert [change.identical for change in (same, other, none) if change] == [True, False, False]


@pytest.mark.parametrize(
    ("case", "producer", "base", "route"),
    [
        ("upgrade/outputs[lenet-from-2.6.2-jit-jit.load]", "2.6.2", "upgrade/outputs[lenet-jit-jit.load]",
         "jit → jit.load"),
        ("upgrade/states[lenet-from-my-env]", "my-env", "upgrade/states[lenet]", "states"),
        ("upgrade/states[from-x-lenet]", "x", "upgrade/states[lenet]", "states"),
        ("upgrade/model_load[lenet-from-3.3.1@legacy-ir]", "3.3.1@legacy-ir", "upgrade/model_load[lenet]",
         "model load"),
    ],
)  # fmt: skip
def test_case_without_its_producer(case: str, producer: str, base: str, route: str) -> None:
    crossing = record(case, producer=producer, model="lenet")
    assert base_case(crossing) == base
    assert route_of(crossing) == route


@pytest.mark.parametrize(
    ("method", "route"),
    [("qat-slim", "qat-slim → predictor"), ("qat-slim-legacy-ir", "legacy_qat-slim → predictor")],
)
def test_a_flow_is_a_kind_of_file(method: str, route: str) -> None:
    case = f"upgrade/compressed[lenet-{method}-from-2.6.2]"
    assert route_of(record(case, producer="2.6.2", model="lenet", method=method)) == route


# Whole gates


def crossing(consumer: str, producer: str, **more: Any) -> Record:
    case = f"upgrade/outputs[lenet-from-{producer}-jit-predictor]"
    return record(case, producer=producer, model="lenet", **{"digest": producer, **more})


def gate(
    folder: Path,
    before: list[Record],
    after: list[Record],
    policy: Policy | None = None,
    names: tuple[str, str] = (OLD, NEW),
    environments: tuple[dict[str, Any], dict[str, Any]] | None = None,
    footers: tuple[bool, bool] = (True, True),
    **asked: Any,
) -> GateResult:
    old, new = environments or (environment(names[0]), environment(names[1]))
    runs = (
        write_run(folder / "baseline", before, environment=old, footer=footers[0]),
        write_run(folder / "candidate", after, environment=new, footer=footers[1]),
    )
    question = Asked(*names, command="harness gate", started="2026-11-25T00:00:00Z", **asked)
    return result_of(*runs, policy or Policy(), question, date(2026, 11, 25))


def test_a_release_against_itself_passes(tmp_path: Path) -> None:
    records = [record(), record("a/b", "error"), record("c/d", "not-run"), crossing(OLD, OLD)]
    result = gate(tmp_path, records, records, names=(OLD, OLD))
    assert (result.status, result.exit_status, changed(result)) == ("pass", 0, ())
    assert (result.identical, result.identical_of) == (1, 1)
    assert result.differences == ()


def test_one_broken_case_blocks(tmp_path: Path) -> None:
    result = gate(tmp_path, [record(), record("a/b")], [record(), record("a/b", "fail", reason="wrong")])
    assert (result.status, result.exit_status) == ("blocked", 1)
    assert [change.case for change in result.blocking] == ["a/b"]
    assert "1 broken" in result.sentence
    assert result.rules == ("broken blocks",)


@pytest.mark.parametrize(
    ("before", "after"),
    [([], []), ([record(outcome="not-run")], [record(outcome="not-run")]), ([record(outcome="error")],) * 2],
)
def test_where_nothing_was_measured_nothing_passes(
    tmp_path: Path, before: list[Record], after: list[Record]
) -> None:
    result = gate(tmp_path, before, after)
    assert (result.status, result.exit_status) == ("inconclusive", 3)


@pytest.mark.parametrize("footers", [(False, True), (True, False)])
def test_an_interrupted_run_decides_nothing(tmp_path: Path, footers: tuple[bool, bool]) -> None:
    both = [record(), record("a/b")]
    before, after = (both if ended else both[:1] for ended in footers)
    result = gate(tmp_path, before, after, footers=footers)
    assert result.status == "inconclusive"
    assert "did not come to its end" in result.problems[0]
    # A wrong answer that was seen all the same still blocks.
    worse = [record(outcome="fail")] if not footers[1] else [record(outcome="fail"), record("a/b")]
    assert gate(tmp_path / "worse", before, worse, footers=footers).status == "blocked"


def test_files_cross_in_both_directions(tmp_path: Path) -> None:
    before = [crossing(OLD, OLD), crossing(OLD, NEW, outcome="crash", reason="SIGSEGV")]
    after = [crossing(NEW, OLD, digest="other bits"), crossing(NEW, NEW)]
    result = gate(tmp_path, before, after)
    found = {change.direction: (change.verdict, change.identical) for change in result.changes}
    assert found == {
        "old files": ("same", False),
        "new files": ("same", False),
        "rollback": ("broken", False),
    }
    assert result.status == "pass", "a rollback blocks nothing unless the policy says so"
    assert (result.identical, result.identical_of) == (0, 1)
    strict = gate(tmp_path / "strict", before, after, Policy(rollback=True))
    assert [change.direction for change in strict.blocking] == ["rollback"]
    cells = {(cell.producer, cell.consumer): (cell.outcome, cell.identical) for cell in result.grid}
    assert cells == {
        (OLD, OLD): ("pass", 1), (NEW, OLD): ("crash", 0), (OLD, NEW): ("pass", 0), (NEW, NEW): ("pass", 1),
    }  # fmt: skip


def test_what_another_machine_could_explain_is_not_comparable(tmp_path: Path) -> None:
    faster = {"cpu": {**ENVIRONMENT["cpu"], "model": "another processor"}}
    pair = (environment(OLD), environment(NEW, **faster))
    before, after = [numeric(0.1), record("a/b")], [numeric(0.9), record("a/b")]
    result = gate(tmp_path, before, after, environments=pair)
    assert (result.status, result.exit_status) == ("inconclusive", 3)
    (change,) = changed(result)
    assert (change.verdict, change.explained_by) == ("not comparable", ("processor",))
    # A processor does not explain that a file cannot be loaded any more.
    after[1] = record("a/b", "error")
    assert gate(tmp_path / "b", before, after, environments=pair).status == "blocked"


def test_what_a_companion_package_could_explain_is_not_paddles(tmp_path: Path) -> None:
    pair = tuple(
        environment(name, packages={"paddlepaddle": name, "paddle2onnx": converter})
        for name, converter in ((OLD, "1.3.1"), (NEW, "2.1.0"))
    )
    assert len(pair) == 2
    before = [record(), record("onnx/file[lenet]"), record("a/b")]
    after = [record(), record("onnx/file[lenet]", "error"), record("a/b")]
    result = gate(tmp_path, before, after, environments=pair)
    (change,) = changed(result)
    assert (change.verdict, change.explained_by) == ("not comparable", ("paddle2onnx",))
    # It explains nothing outside of what it does.
    after = [record(), record("onnx/file[lenet]"), record("a/b", "error")]
    assert gate(tmp_path / "b", before, after, environments=pair).status == "blocked"


def test_a_loader_that_fails_is_one_cause_in_every_area(tmp_path: Path) -> None:
    cases = [f"{area}/loads[{model}]" for area in ("agreement", "layout") for model in ("lenet", "lstm")]
    before = [*map(record, cases), crossing(OLD, OLD), crossing(OLD, NEW), record()]
    reason = {"reason": "UnicodeDecodeError: byte 0x86 in position 138"}
    after = [
        *(record(case, "error", **reason) for case in cases),
        *(crossing(NEW, name, outcome="error", **reason) for name in (OLD, NEW)),
        record(),
    ]
    result = gate(tmp_path, before, after)
    (cause,) = causes(result.blocking)
    assert len(cause.changes) == 6
    assert cause.where == "own files, old files, new files"
    assert "blocked by 1 cause in 6 cases: 6 broken" in result.sentence


def test_an_export_that_renames_its_outputs_says_so(tmp_path: Path) -> None:
    names = {OLD: "save_infer_model/scale_0.tmp_0 float32 [1, 10]", NEW: "fetch_name_0 float32 [1, 10]"}

    def case(consumer: str, producer: str) -> Record:
        return record(
            f"upgrade/interface[mine-from-{producer}]",
            producer=producer,
            model="mine",
            area="upgrade",
            measures={"interface": {"inputs": ["x float32"], "outputs": [names[producer]]}},
        )

    environments = (environment(OLD, user_models={"mine": "layer"}), environment(NEW))
    result = gate(
        tmp_path,
        [case(OLD, OLD), case(OLD, NEW)],
        [case(NEW, OLD), case(NEW, NEW)],
        environments=environments,
    )
    (model,) = result.models
    assert model.words.endswith(f"its export changes: outputs {names[OLD]} → {names[NEW]}")
    (drift,) = {drift for change in result.changes for drift in change.drifts if drift.kind == "interface"}
    assert (drift.what, drift.before, drift.after) == ("outputs", names[OLD], names[NEW])


def test_a_failure_that_does_not_repeat_is_inconclusive(tmp_path: Path) -> None:
    before, after = [record(), record("a/b")], [record(), record("a/b", "crash")]
    result = gate(tmp_path, before, after, flaky=("a/b",))
    assert result.status == "inconclusive"
    assert [(change.case, change.verdict) for change in changed(result)] == [("a/b", "inconclusive")]


def test_drift_shows_where_the_verdict_is_the_same(tmp_path: Path) -> None:
    old: dict[str, Any] = {
        "operators_by_name": {"relu": 2, "conv2d": 1},
        "sizes": {"model.pdmodel": 100, "model.pdiparams": 10},
        "loss_curve": [1.0, 0.5],
        "accuracy": 0.95,
        "latency": {
            "median_us": 5.0,
            "median_low_us": 4.0,
            "median_high_us": 6.0,
            "batch": 1,
            "load_ms": 3.0,
        },
    }
    new = msgspec.json.decode(msgspec.json.encode(old))
    new["operators_by_name"] = {"relu": 1, "conv2d": 1, "add": 1}
    new["sizes"] = {"model.json": 100, "model.pdiparams": 12}
    new["loss_curve"] = [1.0, 0.25]
    new["accuracy"] = 0.94
    before = [record(measures=old, warnings=("UserWarning: old",), numeric_budget_used=0.1)]
    after = [record(measures=new, warnings=("UserWarning: new",), numeric_budget_used=0.4)]
    result = gate(tmp_path, before, after)
    assert result.status == "pass"
    (change,) = result.changes
    told = {drift.kind: (drift.before, drift.after) for drift in change.drifts}
    assert told == {
        "operators": ("relu ×2", "add ×1"),
        "files": ("model.pdiparams, model.pdmodel", "model.json, model.pdiparams"),
        "file size": ("10 bytes", "12 bytes"),
        "loss curve": ("", "differs from step 1, by up to 0.25"),
        "accuracy": ("0.95", "0.94"),
        "tolerance": ("0.1", "0.4"),
    }
    assert result.warnings == {"new": ("UserWarning: new",), "gone": ("UserWarning: old",)}
    assert [(item.first_difference, item.largest) for item in result.curves] == [(1, 0.25)]
    assert [(item.before_us, item.load_after_ms, item.gated) for item in result.speed] == [(5.0, 3.0, False)]
    assert [(item.before, item.after) for item in result.numerics] == [(0.1, 0.4)]
    same = gate(tmp_path / "same", before, before)
    assert same.changes[0].drifts == ()
