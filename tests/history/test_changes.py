"""Change points: found where one is, and not where none is, as often as promised."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest

from harness.core.errors import HarnessError
from harness.history import changes
from harness.history.changes import PENALTIES, SHORTEST, change_points, penalty

pytest.importorskip("ruptures", reason="the history extra is not installed")


def noise(seed: int, runs: int, spread: float = 0.05) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Medians in microseconds: a twentieth of spread, and now and then a run that was disturbed."""
    draw = np.random.default_rng(seed)
    disturbed = np.abs(draw.normal(0, 0.3, runs)) * (draw.random(runs) < 0.05)
    return np.asarray(100 * np.exp(draw.normal(0, spread, runs) + disturbed))


@pytest.mark.parametrize(("at", "factor"), [(40, 1.15), (75, 0.85), (92, 1.3)])
def test_a_change_is_found_where_it_was_put(at: int, factor: float) -> None:
    near = 0
    for seed in range(20):
        values = noise(seed, 100)
        values[at:] *= factor
        found = change_points(values, 0.001)
        assert len(found) == 1, "one change, one point"
        near += abs(found[0] - at) <= 3
    # A disturbed run beside a change moves its place.
    assert near >= 18


def test_a_slowdown_that_was_mended_has_two_ends() -> None:
    for seed in range(20):
        values = noise(seed, 120)
        values[60:75] *= 1.3
        start, end = change_points(values, 0.001)
        assert abs(start - 60) + abs(end - 75) <= 4


def test_a_small_change_beside_a_large_one_is_found() -> None:
    """Among all ranks it moves only a few: each segment is looked at by ranks of its own."""
    for seed in range(20):
        values = noise(seed, 100)
        values[50:] *= 0.5
        values[80:] *= 1.2
        large, small = change_points(values, 0.001)
        assert abs(large - 50) + abs(small - 80) <= 8


@pytest.mark.parametrize("runs", [8, 13, 20, 33, 100, 250])
def test_noise_has_no_more_false_alarms_than_promised(runs: int) -> None:
    alpha, series = 0.05, 600
    alarms = sum(bool(change_points(noise(seed, runs), alpha)) for seed in range(series))
    # Five standard deviations above what is promised; a rule twice as lax would be past it.
    assert alarms <= series * alpha + 5 * (series * alpha * (1 - alpha)) ** 0.5


def test_a_few_runs_or_the_same_number_say_nothing() -> None:
    assert change_points([1.0] * 3 + [2.0] * 3, 0.01) == []
    assert change_points([7.0] * 200, 0.05) == []
    assert change_points([], 0.05) == []
    assert penalty(2 * SHORTEST, 0.05) == float("inf")


def test_a_change_below_the_floor_is_not_told() -> None:
    quiet = noise(1, 200, spread=0.001)
    quiet[100:] *= 1.01
    assert change_points(quiet, 0.05) == []
    quiet[100:] *= 1.03
    assert change_points(quiet, 0.05) == [100]


def test_penalties_grow_with_length_and_strictness() -> None:
    for alpha in (0.05, 0.003, 1e-4, 1e-6):
        assert all(a <= b + 0.2 for a, b in pairwise(penalty(n, alpha) for n in (40, 60, 100, 300, 400)))
    for runs in (40, 150, 400):
        assert all(a < b for a, b in pairwise(penalty(runs, alpha) for alpha in (0.05, 0.01, 1e-3, 1e-5)))


@pytest.mark.slow
@pytest.mark.parametrize("runs", [20, 100])
def test_the_table_is_what_permutations_say(runs: int) -> None:
    """Each entry is a quantile over permutations of the penalty that keeps off the first change point."""
    draws = 4000
    draw = np.random.default_rng(7)
    for level, limit in zip(changes.LEVELS[:2], PENALTIES[runs][:2], strict=True):
        alarms = 0
        for _ in range(draws):
            order = draw.permutation(runs) + 1.0
            alarms += bool(changes._segment(order, limit * float(np.var(order, ddof=1))))
        assert alarms / draws == pytest.approx(level, abs=4 * (level / draws) ** 0.5)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ruptures", None)
    with pytest.raises(HarnessError, match="pip install duckdb ruptures"):
        change_points(noise(0, 50), 0.05)
