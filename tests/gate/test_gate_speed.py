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
from harness.gate import policy, run, speed, timing
from harness.gate.page import render
from harness.gate.policy import Policy
from harness.gate.result import Calibrated, PairedSpeed, Told
from harness.gate.run import Request
from harness.speed import session
from harness.speed.decide import Rule
from harness.speed.machine import Conditions, Placement
from harness.speed.measure import Measured, Plan, Timed, Workload
from harness.speed.session import Outcome, Result
from harness.targets.target import Target

NOW = Conditions(0.1, 0.0, 1.0, 100, "performance")
PREDICTOR = Target("predictor", "predictor")


def measured(change: float, number: int) -> Measured:
    value = math.log1p(change) + 0.001 * (number % 3 - 1)
    one = Timed((value,), (1e-4, 1e-4 * math.exp(value)), 0.01, (1, 1), 30, 0.0, False)
    return Measured(bool(number % 2), (0.0,), (one, one))


def result(
    model: str, change: float, again: float | None = None, pairs: int = 20, more: int = 24, works: int = 1
) -> Result:
    """What a work comes to whose pairs are as given; ``again``: what it is when measured once more.

    ``pairs`` in all, of which a second measurement has at most ``more``.
    """
    course = session._Course(
        Workload(model, 1, (PREDICTOR, PREDICTOR)), Rule(), session.FALSE_DISCOVERIES / works
    )
    for number in range(pairs + more):
        if not course.ended and (course.seen or number < pairs) and len(course.second) < more:
            value = change if course.seen is None or again is None else again
            course.add(measured(value, number))
    return course.result()


def outcome(*results: Result) -> Outcome:
    return Outcome(("2.6.2", "3.3.1"), results, Rule(), 16, 60.0, Placement((1,), (0,)), NOW, NOW)


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
    rule = policy.load(file).speed.rule
    assert (rule.floor, rule.threshold) == (0.1, 0.15)
    assert (
        session._result(
            Workload("lenet", 1, (PREDICTOR, PREDICTOR)), [measured(0.05, i) for i in range(20)], "", rule
        ).answer
        == "same"
    )
    file.write_text("[speed]\nfloor = 'much'\n")
    with pytest.raises(UsageError):
        policy.load(file)
    assert Policy().speed.rule == Rule()


def test_many_works_pay_for_being_many() -> None:
    """A change that one work alone would show is not told when four hundred were looked at."""
    one = result("lenet", -0.05, works=402)
    assert one.estimate is not None
    assert one.p < one.estimate.p
    weak = msgspec.structs.replace(one, p=0.005)
    null = msgspec.structs.replace(one, answer="same", p=0.5)
    many = {"weak": weak, "strong": one, **{str(i): null for i in range(400)}}
    counted = session._counted(many)
    assert counted["weak"].answer == "not enough data"
    assert counted["strong"].answer == "faster"
    assert session._counted({"weak": weak})["weak"].answer == "faster"


def test_a_failing_work_says_why_and_is_not_measured_on() -> None:
    course = session._Course(Workload("lenet", 1, (PREDICTOR, PREDICTOR)), Rule(), 1e-3)
    course.failed("RuntimeError: no")
    assert course.ended
    assert (course.result().answer, course.result().why) == ("not enough data", "RuntimeError: no")


def test_pairs_after_a_change_was_seen_are_the_second_measurements() -> None:
    course = session._Course(Workload("lenet", 1, (PREDICTOR, PREDICTOR)), Rule(), 1e-3)
    while not course.ended:
        course.add(measured(0.05, len(course.first) + len(course.second)))
    assert (len(course.first), len(course.second)) == (6, 4)
    assert {one.swapped for one in course.second} == {False, True}
    found = course.result()
    assert (found.answer, found.confirmed) == ("slower", True)
    assert found.again is not None
    assert found.again.change == pytest.approx(0.05, abs=0.002)


def test_page_shows_intervals_and_what_was_not_decided() -> None:
    page = render(gate(paired=tuple(speed.rows(outcome(*RESULTS)))))
    table = section(page, "speed")
    assert "1 slower, 1 faster, 1 same, 3 not enough data" in table
    assert f"with {Plan().sessions} sessions of each model per pair" in table
    assert "4 pairs" in table
    assert "+5.0 %" in table
    assert "-30.0 %" in table
    assert "too few pairs in the time given" in table
    assert '<td class="n">0</td><td class="n">0</td>' not in table, "no time is not a time of 0"
    assert "<svg" in table
    Page(page)


def test_page_says_how_far_this_machine_can_be_believed() -> None:
    rows = (Told(0.0, 1, 1000, 0.0, 0.006, 150), Told(0.02, 973, 1000, 0.961, 0.982, 310))
    known = Calibrated("2026-01-01T00:00:00", "3.3.1", 8, 60, rows)
    paired = tuple(speed.rows(outcome(*RESULTS)))
    page = section(render(gate(paired=paired, calibration=known)), "speed")
    assert "97.3 %" in page
    assert "96.1 % to 98.2 %" in page
    assert "31 %" in page
    assert "not calibrated" not in page
    assert "not calibrated" in section(render(gate(paired=paired)), "speed")


def test_page_without_pairs_says_how_to_get_them() -> None:
    assert "Speed is not gated" in section(render(gate()), "speed")
    assert "--speed MINUTES" in section(render(sample()), "speed")


def test_an_earlier_run_cannot_be_timed_and_that_is_said_first(tmp_path: Path) -> None:
    write_run(tmp_path / "earlier", [record()])
    request = Request(str(tmp_path / "earlier"), str(tmp_path / "earlier"), speed_minutes=1.0)
    with pytest.raises(UsageError, match="name releases, not an earlier run"):
        run.gate(request, Policy(), tmp_path, Console(quiet=True))
    assert not (tmp_path / "reports").exists()


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
