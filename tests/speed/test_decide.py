"""The rule for speed: intervals that hold, changes found, looks paid for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.speed import decide
from harness.speed.aa import CASES
from harness.speed.decide import Rule, Sample
from harness.speed.session import FALSE_DISCOVERIES

SPREAD = 0.012
"""What a pair of pinned processes scatters by on a shared machine (shown by ``harness aa-test``)."""
TRIES = 1000


def pairs(
    rng: np.random.Generator, change: float, spread: float = SPREAD, bias: float = 0.0, count: int = 20
) -> list[Sample]:
    """Pairs of processes; ``bias`` is what the side that starts first loses."""
    return [
        Sample(math.log1p(change) + (bias if i % 2 else -bias) + rng.normal(0, spread), bool(i % 2))
        for i in range(count)
    ]


def share(answers: Sequence[str], *wanted: str) -> float:
    return sum(answer in wanted for answer in answers) / len(answers)


def answers(change: float, seed: int, **more: float) -> list[str]:
    rng = np.random.default_rng(seed)
    return [decide.sequential(pairs(rng, change, **more), Rule())[1] for _ in range(TRIES)]


def test_two_of_a_kind_are_seldom_told_apart() -> None:
    told = answers(0.0, 1)
    assert share(told, "slower", "faster") <= 0.01
    assert share(told, "same") >= 0.9


@pytest.mark.parametrize("change", [0.02, 0.05, 0.3])
def test_a_slowdown_of_two_per_cent_is_found(change: float) -> None:
    assert share(answers(change, 2), "slower") >= 0.95
    assert share(answers(-change, 3), "faster") >= 0.95


def test_what_starts_first_is_no_change() -> None:
    told = answers(0.0, 4, bias=0.05)
    assert share(told, "slower", "faster") <= 0.01
    assert share(answers(0.02, 5, bias=0.05), "slower") >= 0.95


def test_interval_holds_at_the_last_look() -> None:
    rng = np.random.default_rng(6)
    rule = Rule()
    found = [decide.estimate(pairs(rng, 0.01), rule) for _ in range(TRIES)]
    misses = sum(not one.low <= 0.01 <= one.high for one in found) / TRIES
    assert misses <= rule.alpha


def test_noise_is_not_enough_data_and_says_what_it_could_show() -> None:
    rng = np.random.default_rng(7)
    estimate, told = decide.sequential(pairs(rng, 0.02, spread=0.2), Rule())
    assert told == "not enough data"
    assert estimate.pairs == 20
    assert 0.1 < estimate.detectable < 0.6


def test_a_change_below_the_floor_is_none() -> None:
    rng = np.random.default_rng(8)
    estimate, told = decide.sequential(pairs(rng, 0.005, spread=1e-4), Rule())
    assert told == "same"
    assert estimate.low > 0


def test_large_changes_end_early() -> None:
    rng = np.random.default_rng(9)
    assert decide.sequential(pairs(rng, 0.5), Rule())[0].pairs <= 6


MOST = FALSE_DISCOVERIES / CASES
"""The p-value with which one of forty works is told whatever the others are."""


def told(change: float, spread: float, tries: int, seed: int) -> dict[str, float]:
    """What both measurements make of a work: shares of the tries, and pairs that either takes."""
    rng = np.random.default_rng(seed)
    rule = Rule()
    found: list[str] = []
    first: list[int] = []
    second: list[int] = []
    for _ in range(tries):
        estimate, answer = decide.sequential(pairs(rng, change, spread), rule)
        first.append(estimate.pairs)
        if answer in ("slower", "faster"):
            again = decide.again(estimate, pairs(rng, change, spread, count=24), rule, MOST)
            assert again is not None
            assert again.ends
            second.append(again.estimate.pairs)
            answer = answer if again.holds and again.p <= MOST else "not enough data"
        found.append(answer)
    return {
        "changed": share(found, "slower", "faster"),
        "slower": share(found, "slower"),
        "same": share(found, "same"),
        "first": float(np.mean(first)),
        "second": float(np.mean(second)) if second else 0.0,
    }


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_false_alarms_of_both_measurements(spread: float) -> None:
    assert told(0.0, spread, 1000, 11)["changed"] <= 0.001


@pytest.mark.parametrize(("spread", "least"), [(0.01, 0.99), (0.015, 0.95), (0.02, 0.6)])
def test_two_per_cent_is_told_by_both_measurements(spread: float, least: float) -> None:
    found = told(0.02, spread, 400, 12)
    assert found["slower"] >= least
    assert found["changed"] == found["slower"]


def test_second_measurement_of_a_large_change_is_short() -> None:
    found = told(0.3, 0.02, 200, 13)
    assert found["slower"] == 1.0
    assert found["first"] < 7
    assert found["second"] < 7


def test_second_measurement_decides_by_itself_too() -> None:
    """However sure the first one was, one that chose nothing must agree, or the change is refuted."""
    rng = np.random.default_rng(14)
    first = decide.estimate(pairs(rng, -0.2), Rule())
    assert first.p < 1e-9
    agrees = decide.again(first, pairs(rng, -0.2, count=24), Rule(), MOST)
    refutes = decide.again(first, pairs(rng, 0.0, count=24), Rule(), MOST)
    other = decide.again(first, pairs(rng, 0.2, count=24), Rule(), MOST)
    assert agrees is not None
    assert refutes is not None
    assert other is not None
    assert (agrees.holds, agrees.ends) == (True, True)
    assert agrees.estimate.change == pytest.approx(-0.2, abs=0.02)
    assert (refutes.holds, refutes.ends) == (False, True)
    assert (other.holds, other.ends, other.estimate.change > 0.1) == (False, True, True)
    assert other.estimate.pairs < 10
    assert decide.again(first, pairs(rng, -0.2, count=3), Rule(), MOST) is None


def test_second_measurement_goes_on_until_both_are_sure() -> None:
    rng = np.random.default_rng(15)
    first = decide.estimate(pairs(rng, 0.02, 0.015), Rule())
    weak = msgspec.structs.replace(first, p=0.009)
    early = decide.again(weak, pairs(rng, 0.02, 0.004, count=6), Rule(), 1e-12)
    assert early is not None
    assert early.holds
    assert not early.ends


@given(st.floats(1e-300, 1), st.floats(1e-300, 1))
def test_two_p_values_together(first: float, second: float) -> None:
    both = decide.combined(first, second)
    assert first * second <= both <= 1 + 1e-12
    assert both == decide.combined(second, first)


def test_two_chances_together_are_one() -> None:
    rng = np.random.default_rng(16)
    found = np.array([decide.combined(a, b) for a, b in rng.uniform(size=(20000, 2))])
    for level in (0.5, 0.05, 0.005):
        assert (found <= level).mean() == pytest.approx(level, rel=0.2)
    assert decide.combined(0.0, 0.5) == 0.0


@given(st.integers(2, 40), st.floats(0.5, 4))
def test_looks_spend_alpha_and_no_more(last: int, growth: float) -> None:
    rule = Rule(looks=tuple(range(2, 2 * last + 1, 2)), growth=growth)
    assert sum(rule.share(look) for look in rule.looks) == pytest.approx(1)
    assert rule.share(1) == rule.share(2) == rule.share(3)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_pairs(count: int) -> None:
    samples = pairs(np.random.default_rng(0), 0.0)[:count]
    with pytest.raises(ValueError, match="pairs"):
        decide.estimate(samples, Rule())
    with pytest.raises(ValueError, match="first look"):
        decide.sequential(samples, Rule())
    assert decide.look(samples, Rule()) is None


def test_pairs_of_one_order_only() -> None:
    with pytest.raises(ValueError, match="each order"):
        decide.estimate([Sample(0.0, False)] * 6, Rule())


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0.001, 0.5))
def test_discoveries_are_the_smallest_values(values: list[float], rate: float) -> None:
    found = decide.discoveries(values, rate)
    assert len(found) == len(values)
    told = [value for value, hit in zip(values, found, strict=True) if hit]
    left = [value for value, hit in zip(values, found, strict=True) if not hit]
    assert not told or not left or max(told) <= min(left)
    assert all(value <= rate for value in told)
    assert all(hit for value, hit in zip(values, found, strict=True) if value <= rate / len(values))


def test_discoveries_among_many_chances() -> None:
    rng = np.random.default_rng(10)
    values = [*rng.uniform(size=400), *[1e-5] * 5]
    found = decide.discoveries(values, 0.01)
    assert all(found[-5:])
    assert sum(found[:-5]) <= 1
