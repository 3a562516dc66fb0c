"""What a check holds in its hand: no pass without a comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.checks.case import KEPT_DETAILS, Case, CheckFailed, bitwise_all, close_all, close_runs
from harness.checks.tolerance import Tolerance
from harness.core.types import Comparison


def comparison(what: str, ok: bool = True, budget_used: float | None = None, elements: int = 1) -> Comparison:
    return Comparison(what=what, rule="tolerance", ok=ok, elements=elements, budget_used=budget_used)


def test_no_comparison_is_no_pass() -> None:
    with pytest.raises(CheckFailed, match="compared nothing"):
        Case().conclude()


def test_no_element_is_no_pass() -> None:
    case = Case()
    case.bitwise("shape of nothing", np.zeros((0, 3)), np.zeros((0, 3)), empty_ok=True)
    with pytest.raises(CheckFailed, match="compared no element"):
        case.conclude()


def test_passing_comparisons_conclude() -> None:
    case = Case()
    case.exact("names", ["a"], ["a"])
    case.conclude()
    assert case.elements == 1
    assert case.budget_used is None


def test_missing_output_fails_with_its_name() -> None:
    case = Case()
    case.exact("fine", 1, 1)
    case.bitwise("weights", None, np.zeros(3))
    with pytest.raises(CheckFailed, match="1 of 2 comparisons failed; weights: the output is missing"):
        case.conclude()


def test_a_failed_empty_comparison_is_reported_as_what_it_is() -> None:
    case = Case()
    case.bitwise("weights", np.zeros((0, 3)), np.zeros((2, 3)))
    with pytest.raises(CheckFailed, match=r"shape \[0, 3\]"):
        case.conclude()


def test_all_failures_are_told() -> None:
    case = Case()
    for number in range(30):
        case.exact(f"value {number}", number, -1)
    with pytest.raises(CheckFailed) as failure:
        case.conclude()
    lines = str(failure.value).splitlines()
    assert lines[0].startswith("30 of 30 comparisons failed; value 0")
    assert 15 <= len(lines) <= 30


@pytest.mark.parametrize(
    ("method", "got", "bound", "ok"),
    [
        ("at_least", 0.95, 0.9, True),
        ("at_least", 0.9, 0.9, True),
        ("at_least", 0.89, 0.9, False),
        ("at_least", float("nan"), 0.9, False),
        ("at_least", float("inf"), 0.9, False),
        ("at_most", 1.0, 2.0, True),
        ("at_most", 3.0, 2.0, False),
        ("at_most", float("nan"), 2.0, False),
        ("at_most", float("-inf"), 2.0, False),
    ],
)
def test_bounds(method: str, got: float, bound: float, ok: bool) -> None:
    case = Case()
    getattr(case, method)("accuracy", got, bound)
    assert case.comparisons[0].ok is ok
    assert bool(case.comparisons[0].message) is not ok


def test_details_keep_failures_first_then_the_least_headroom() -> None:
    case = Case()
    for number in range(40):
        case.add(comparison(f"pass {number}", budget_used=number / 100))
    case.add(comparison("exact pass"))
    case.add(comparison("failed", ok=False, budget_used=1.5))
    case.add(comparison("failed badly", ok=False, budget_used=7.0))
    details = case.details()
    assert [item.what for item in details[:3]] == ["failed badly", "failed", "pass 39"]
    assert len(details) == KEPT_DETAILS
    assert case.budget_used == 7.0


def test_details_are_limited_when_everything_fails() -> None:
    case = Case()
    for number in range(500):
        case.add(comparison(f"failed {number}", ok=False))
    assert len(case.details()) == 50
    assert all(not item.ok for item in case.details())


@pytest.mark.parametrize(
    ("got", "ok"),
    [
        ({"a": [1], "b": [2]}, True),
        ({"b": [2], "a": [1]}, False),
        ({"a": [1]}, False),
        ({"a": [1], "b": [2], "c": [3]}, False),
        ({}, False),
    ],
    ids=["same", "order", "one lost", "one more", "none"],
)
def test_bitwise_all_compares_names_and_order(got: dict[str, Any], ok: bool) -> None:
    case = Case()
    bitwise_all(
        case,
        "state",
        {name: np.array(v) for name, v in got.items()},
        {"a": np.array([1]), "b": np.array([2])},
    )
    assert all(item.ok for item in case.comparisons) is ok


@pytest.mark.parametrize("count", [0, 1, 3])
def test_close_all_counts_outputs(count: int) -> None:
    case = Case()
    truth = [np.ones(3), np.ones(3)]
    yard = [Tolerance([o], [o]) for o in truth]
    close_all(case, "run 1", [np.ones(3)] * count, truth, yard)
    with pytest.raises(CheckFailed, match="number of outputs"):
        case.conclude()


def test_close_all_finds_swapped_outputs() -> None:
    truth = [np.zeros(3), np.ones(3)]
    yard = [Tolerance([o], [o]) for o in truth]
    case = Case()
    close_all(case, "run 1", list(reversed(truth)), truth, yard)
    with pytest.raises(CheckFailed, match="2 of 3"):
        case.conclude()


def test_a_missing_run_is_no_pass() -> None:
    """`close_runs` counts the runs before it compares them."""
    oracle = [[np.ones(3)], [np.ones(3)]]
    tolerances = [Tolerance([np.ones(3, "float32")], [np.ones(3)])]
    whole, short = Case(), Case()
    close_runs(whole, "", oracle, oracle, tolerances)
    whole.conclude()
    close_runs(short, "", oracle[:1], oracle, tolerances)
    with pytest.raises(CheckFailed, match="number of runs"):
        short.conclude()


def test_digest_is_of_what_was_compared_and_in_order() -> None:
    def digest(*arrays: Any) -> str:
        case = Case()
        for array in arrays:
            case.bitwise("x", array, np.zeros(2, "float32"))
        return case.digest

    one, two = np.ones(2, "float32"), np.full(2, 2, "float32")
    assert digest(one, two) == digest(one.copy(), two.copy())
    others = [
        digest(two, one),
        digest(one),
        digest(one.astype("float64"), two),
        digest(None, two),
        digest(one[:1], two),
    ]
    assert digest(one, two) not in others
    assert len(set(others)) == len(others)
    case = Case()
    case.exact("n", 1, 1)
    assert case.digest == ""


def test_tolerance_is_of_numerical_errors_alone() -> None:
    case = Case()
    case.at_most("share", 0.9, 1.0)
    assert case.budget_used == 0.9
    assert case.numeric_budget_used is None
    oracle = np.arange(4.0)
    case.close("out", oracle.astype("float32"), oracle, Tolerance([oracle + 1e-3], [oracle]))
    assert case.numeric_budget_used == 0.0
