"""The rule for speed: intervals that hold, changes found, looks paid for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.speed import decide
from harness.speed.decide import Rule, Sample

SPREAD = 0.012
"""What a pair of pinned processes scatters by on a shared machine (shown by ``harness calibrate``)."""
TRIES = 1000


def pairs(rng: np.random.Generator, change: float, spread: float = SPREAD, bias: float = 0.0) -> list[Sample]:
    """Twenty pairs; ``bias`` is what the side that starts first loses."""
    return [
        Sample(math.log1p(change) + (bias if i % 2 else -bias) + rng.normal(0, spread), bool(i % 2))
        for i in range(20)
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
    assert decide.sequential(pairs(rng, 0.5), Rule())[0].pairs <= 4


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
