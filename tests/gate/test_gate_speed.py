"""Two releases timed in turns: verdicts of the gate, its policy, its page."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import msgspec
import pytest
from pages import Page, section
from report.builders import record, write_run
from rich.console import Console

from gate.builders import gate, sample
from harness.core.errors import HarnessError, UsageError
from harness.core.options import Options
from harness.core.paths import ROOT
from harness.gate import policy, run, speed, timing
from harness.gate.page import render
from harness.gate.policy import Policy
from harness.gate.result import AATest, Detected, PairedSpeed
from harness.gate.run import Request
from harness.plugin.session import RunSession
from harness.speed import operators, session
from harness.speed.machine import Conditions, Placement
from harness.speed.measure import Measured, Plan, Quantity, Timed, Workload
from harness.speed.operators import OperatorTime
from harness.speed.session import Outcome, Result, Rules
from harness.targets.target import Target

NOW = Conditions(0.1, 0.0, 1.0, 100, "performance")
PREDICTOR = Target("predictor", "predictor")
CHANGED: dict[Quantity, str] = {"run": "change", "load": "load", "memory": "memory"}
"""The argument of :func:`measured` for each quantity."""


def measured(change: float, number: int, load: float = 0.0, memory: float = 0.0) -> Measured:
    """A pair whose candidate takes so much more: for a run, to load, in memory."""
    noise = 0.001 * (number % 3 - 1)
    run = math.log1p(change) + noise
    one = Timed(
        load_ms=(10.0, 10.0 * (1 + load) * math.exp(20 * noise)),
        memory_mib=(50.0, 50.0 + 350.0 * memory + 10 * noise),
        ratios=(run,),
        medians=(1e-4, 1e-4 * math.exp(run)),
        rounds=30,
    )
    return Measured(bool(number % 2), (0.0,), (one, one), (300.0, 300.0))


def course(model: str, quantity: Quantity = "run", works: int = 1) -> session._Course:
    work = Workload(model, 1, (PREDICTOR, PREDICTOR))
    return session._Course(work, quantity, Rules().of(quantity), session.FALSE_DISCOVERIES / works)


def result(
    model: str,
    change: float,
    again: float | None = None,
    pairs: int = 20,
    more: int = 24,
    works: int = 1,
    quantity: Quantity = "run",
) -> Result:
    """What a work comes to whose pairs are as given; ``again``: what it is when measured once more.

    ``pairs`` in all, of which a second measurement has at most ``more``.
    """
    found = course(model, quantity, works)
    for number in range(pairs + more):
        if not found.ended and (found.seen or number < pairs) and len(found.second) < more:
            value = change if found.seen is None or again is None else again
            found.add(measured(number=number, **{"change": 0.0, CHANGED[quantity]: value}))
    return found.result()


def outcome(*results: Result) -> Outcome:
    return Outcome(("2.6.2", "3.3.1"), results, Rules(), 16, 60.0, Placement((1,), (0,)), NOW, NOW)


RESULTS = (
    result("lenet", 0.05),
    result("conv_bn", -0.3),
    result("lstm", 0.001),
    result("transformer", 0.05, again=0.0),
    result("two_inputs", 0.05, pairs=3, more=0),
    result("mobilenet", 0.05, more=2),
)


def test_only_what_was_decided_is_a_case_of_the_gate() -> None:
    changes = {change.model: change for change in speed.changes(outcome(*RESULTS))}
    assert {model: change.verdict for model, change in changes.items()} == {
        "lenet": "slower",
        "conv_bn": "faster",
        "lstm": "same",
    }
    assert changes["lenet"].text.startswith("+5.0 % (")
    assert ", +5.0 % over 4 others: " in changes["lenet"].text
    rows = {row.model: row for row in speed.rows(outcome(*RESULTS))}
    assert rows["lenet"].confirmed is True
    assert rows["conv_bn"].confirmed is True
    assert (rows["lenet"].sessions, rows["lenet"].again_pairs) == (Plan().sessions, 4)
    assert rows["mobilenet"].why == "no time was left to measure it again"
    assert (rows["transformer"].answer, rows["transformer"].confirmed) == ("not enough data", False)
    assert "second measurement gave" in rows["transformer"].why
    assert (rows["two_inputs"].change, rows["two_inputs"].why) == (None, "too few pairs in the time given")


@pytest.mark.parametrize(
    ("text", "blocks"),
    [("", True), ("[block]\nslower = false\n", False)],
    ids=["default", "slower = false"],
)
def test_slower_blocks_unless_the_policy_says_no(text: str, blocks: bool, tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text(text)
    found, faults = policy.apply(
        policy.load(file), list(speed.changes(outcome(*RESULTS))), "2.6.2", "3.3.1", date(2026, 1, 1), True
    )
    assert not faults
    assert {change.model for change in found if change.blocks} == ({"lenet"} if blocks else set())


def test_policy_has_floor_and_threshold(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text("[speed]\nfloor = 0.1\nthreshold = 0.15\n")
    rule = policy.load(file).speed.rules.run
    assert (rule.floor, rule.threshold) == (0.1, 0.15)
    loose = msgspec.structs.replace(course("lenet"), rule=rule)
    for number in range(20):
        loose.add(measured(0.05, number))
    assert loose.result().answer == "same"
    file.write_text("[speed.load]\nfloor = 0.3\n[speed.memory]\nthreshold = 0.5\n")
    rules = policy.load(file).speed.rules
    usual = Rules()
    assert rules.run == usual.run
    assert rules.load == msgspec.structs.replace(usual.load, floor=0.3)
    assert rules.memory == msgspec.structs.replace(usual.memory, threshold=0.5)
    file.write_text("[speed]\nfloor = 'much'\n")
    with pytest.raises(UsageError):
        policy.load(file)
    assert Policy().speed.rules == Rules()


def test_many_works_pay_for_being_many() -> None:
    """A change that one work alone would show is not told when four hundred were looked at."""
    one = result("lenet", -0.05, works=402)
    assert one.estimate is not None
    assert one.p < one.estimate.p
    weak = msgspec.structs.replace(one, p=0.005)
    null = msgspec.structs.replace(one, answer="same", p=0.5)
    counted = session._counted([weak, one, *[null] * 400])
    assert counted[0].answer == "not enough data"
    assert counted[1].answer == "faster"
    assert session._counted([weak])[0].answer == "faster"


def test_a_failing_work_says_why_and_is_not_measured_on() -> None:
    found = course("lenet")
    found.failed("RuntimeError: no")
    assert found.ended
    assert (found.result().answer, found.result().why) == ("not enough data", "RuntimeError: no")


def test_pairs_after_a_change_was_seen_are_the_second_measurements() -> None:
    one = course("lenet", works=20)
    while not one.ended:
        one.add(measured(0.05, len(one.first) + len(one.second)))
    assert (len(one.first), len(one.second)) == (6, 4)
    assert {pair.swapped for pair in one.second} == {False, True}
    found = one.result()
    assert (found.answer, found.confirmed) == ("slower", True)
    assert found.again is not None
    assert found.again.change == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize(
    ("quantity", "change", "verdict", "unit"),
    [
        ("load", 0.5, "slower", "10.0 ms before, 15.0 ms now"),
        ("load", -0.4, "faster", "10.0 ms before, 6.0 ms now"),
        ("load", 0.03, "same", "10.0 ms before, 10.3 ms now"),
        ("memory", 0.2, "more memory", "350.0 MiB before, 420.0 MiB now"),
        ("memory", -0.1, "less memory", "350.0 MiB before, 315.0 MiB now"),
        ("memory", 0.01, "same", "350.0 MiB before, 353.5 MiB now"),
    ],
)
def test_loading_and_memory_decide_too(
    quantity: Quantity, change: float, verdict: str, unit: str, tmp_path: Path
) -> None:
    (found,) = speed.changes(outcome(result("lenet", change, quantity=quantity)))
    assert (found.case, found.verdict) == (f"speed/{quantity}[lenet-predictor-b1]", verdict)
    assert unit in found.text
    (decided,), _ = policy.apply(Policy(), [found], "2.6.2", "3.3.1", date(2026, 1, 1), True)
    assert decided.blocks is (verdict in ("slower", "more memory"))
    (row,) = speed.rows(outcome(result("lenet", change, quantity=quantity)))
    assert (row.quantity, row.answer) == (quantity, verdict)


def test_a_model_is_loaded_for_its_smallest_batch_alone() -> None:
    works = [Workload(model, batch, (PREDICTOR, PREDICTOR)) for model in ("a", "b") for batch in (1, 64)]
    found = [(work.id, session._quantities(work, works)) for work in works]
    assert found == [
        ("a-predictor-b1", ("run", "load", "memory")),
        ("a-predictor-b64", ("run",)),
        ("b-predictor-b1", ("run", "load", "memory")),
        ("b-predictor-b64", ("run",)),
    ]


def test_a_changed_run_names_its_operators() -> None:
    moved = (
        OperatorTime("add", 17.0, 230.0, 1, 1),
        OperatorTime("relu", 0.0, 40.0, 0, 1),
        OperatorTime("conv2d", 100.0, 70.0, 2, 1),
        OperatorTime("softmax", 5.0, 6.0, 1, 1),
    )
    slower = msgspec.structs.replace(RESULTS[0], operators=moved, medians=(400.0, 650.0))
    (change,) = speed.changes(outcome(slower))
    assert change.text.endswith(" now; add 17 to 230 µs; relu new, 40 µs")
    page = section(render(gate(paired=tuple(speed.rows(outcome(slower))))), "speed")
    assert "add 17 to 230 µs" in page
    assert "relu new, 40 µs" in page
    assert "softmax" not in page


def test_a_change_that_is_not_the_operators_says_so() -> None:
    moved = (OperatorTime("add", 17.0, 20.0, 1, 1), OperatorTime("relu", 9.0, 8.0, 1, 1))
    assert operators.explained(moved, 56.0) == ("operators account for 2 of 56 µs",)
    assert operators.explained(moved, -56.0) == ("operators account for 0 of 56 µs",)
    assert operators.explained(moved, 4.0) == ("add 17 to 20 µs",)
    assert operators.explained((), 56.0) == ()


def test_page_shows_intervals_and_what_was_not_decided() -> None:
    page = render(gate(paired=tuple(speed.rows(outcome(*RESULTS)))))
    table = section(page, "speed")
    assert "1 slower, 1 faster, 1 same, 3 not enough data" in table
    assert "A change of a run would have been detected from " in table
    assert f"with {Plan().sessions} sessions of each model per pair" in table
    assert "4 pairs" in table
    assert "+5.0 %" in table
    assert "-30.0 %" in table
    assert "too few pairs in the time given" in table
    assert '<td class="n">0</td><td class="n">0</td>' not in table, "no time is not a time of 0"
    assert "<svg" in table
    Page(page)


def test_page_says_how_far_this_machine_can_be_believed() -> None:
    rows = (
        Detected("run", 0.0, 1, 1000, 0.0, 0.006, 150),
        Detected("run", 0.02, 973, 1000, 0.961, 0.982, 310),
    )
    known = AATest("2026-01-01T00:00:00", "3.3.1", 8, 60, rows)
    paired = tuple(speed.rows(outcome(*RESULTS)))
    page = section(render(gate(paired=paired, aa_test=known)), "speed")
    assert "97.3 %" in page
    assert "96.1 % to 98.2 %" in page
    assert "31 %" in page
    assert "no A/A test" not in page
    assert "no A/A test" in section(render(gate(paired=paired)), "speed")


def test_page_without_pairs_says_how_to_get_them() -> None:
    assert "Speed is not gated" in section(render(gate()), "speed")
    assert "--speed MINUTES" in section(render(sample()), "speed")


def test_an_earlier_run_cannot_be_timed_and_that_is_said_first(tmp_path: Path) -> None:
    write_run(tmp_path / "earlier", [record()])
    request = Request(str(tmp_path / "earlier"), str(tmp_path / "earlier"), speed_minutes=1.0)
    with pytest.raises(UsageError, match="name releases, not an earlier run"):
        run.gate(request, Policy(), tmp_path, Console(quiet=True))
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    ("options", "works"),
    [
        (
            {"models": ("lenet",)},
            [
                "lenet-dygraph-b1",
                "lenet-predictor-b1",
                "lenet-predictor-b64",
                "lenet-predictor-no-onednn-b1",
            ],
        ),
        (
            {"models": ("lenet", "lstm"), "targets": ("predictor-no-onednn",)},
            ["lenet-predictor-no-onednn-b1", "lstm-predictor-no-onednn-b1"],
        ),
    ],
)
def test_what_was_asked_for_is_timed_and_nothing_else(
    options: dict[str, tuple[str, ...]], works: list[str], python: str, tmp_path: Path
) -> None:
    asked = RunSession(Options(python=python, folder=str(tmp_path), **options), ROOT, ROOT / "suites")
    try:
        assert [work.id for work in speed.works_of(asked, [asked.executor])] == works
    finally:
        asked.executor.pool.close()


def test_rows_survive_json() -> None:
    rows = tuple(speed.rows(outcome(*RESULTS)))
    assert msgspec.json.decode(msgspec.json.encode(rows), type=tuple[PairedSpeed, ...]) == rows


def test_what_a_timing_job_left_is_read_again(tmp_path: Path) -> None:
    left = outcome(*RESULTS)
    (tmp_path / timing.OUTCOME).write_bytes(msgspec.json.encode(left))
    assert timing.outcome_in(tmp_path) == left
    (tmp_path / timing.OUTCOME).write_bytes(b"{")
    with pytest.raises(HarnessError, match="left no outcome"):
        timing.outcome_in(tmp_path)
