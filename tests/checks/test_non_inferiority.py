"""Paired accuracies: intervals that cover, verdicts that do not come of chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.checks.non_inferiority import Standing, difference_interval, loss, over_seeds


def correctness(n: int, lost: int, gained: int, both: int) -> tuple[np.ndarray, np.ndarray]:
    """Two models' correctness with so many examples of each kind; the rest both get wrong."""
    a, b = np.zeros(n, bool), np.zeros(n, bool)
    a[:lost] = True
    b[lost : lost + gained] = True
    a[lost + gained : lost + gained + both] = b[lost + gained : lost + gained + both] = True
    return a, b


@pytest.mark.parametrize(
    ("n", "lost", "gained", "standing"),
    [
        (1000, 0, 0, Standing.within),
        (1000, 4, 4, Standing.within),
        (1000, 12, 10, Standing.undecided),
        (10_000, 120, 100, Standing.within),
        (1000, 60, 5, Standing.worse),
        (1000, 5, 60, Standing.within),
        (100, 0, 0, Standing.undecided),
    ],
)
def test_standing_of_a_point(n: int, lost: int, gained: int, standing: Standing) -> None:
    found = loss(*correctness(n, lost, gained, n // 2))
    assert found.against(0.01) is standing
    assert found.low <= found.estimate <= found.high
    assert found.estimate == pytest.approx(found.baseline - found.candidate)


def test_interval_covers_what_it_says() -> None:
    """At 95 %, over networks that disagree rarely and often; 1,000 draws tell 95 from 92."""
    rng = np.random.default_rng(7)
    for lost, gained in ((0.004, 0.004), (0.02, 0.01), (0.2, 0.1)):
        draws = rng.multinomial(500, [lost, gained, 1 - lost - gained], size=1000)
        kinds, counts = np.unique(draws[:, :2], axis=0, return_counts=True)
        covered = 0
        for (b, c), count in zip(kinds, counts, strict=True):
            low, high = difference_interval(int(b), int(c), 500, 0.95)
            covered += count * (low <= lost - gained <= high)
        assert covered >= 925


def test_interval_and_score_test_agree() -> None:
    """Without zero in the interval, McNemar's statistic is beyond the quantile, and the other way round."""
    z = stats.norm.ppf(0.995)
    for lost in range(40):
        for gained in range(0, 40, 3):
            if lost + gained:
                low, high = difference_interval(lost, gained, 1000)
                beyond = abs(lost - gained) / np.sqrt(lost + gained) > z
                assert beyond == (low > 0 or high < 0)


def test_extremes_stay_within_one() -> None:
    for lost, gained in ((10, 0), (0, 10), (0, 0)):
        low, high = difference_interval(lost, gained, 10)
        assert -1 <= low <= (lost - gained) / 10 <= high <= 1
        assert low < high


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        loss(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="cannot be paired"):
        loss(np.ones(0, bool), np.ones(0, bool))


Arrays = list[np.ndarray]


def trainings(shifts: np.ndarray, n: int, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    """Correctness of both ways of training for each seed, the candidate's worse by that seed's shift.

    Images differ in how hard they are, for all seeds and both ways alike.
    """
    hard = rng.beta(8, 1, n) * 0.9
    first = [rng.random(n) < hard for _ in shifts]
    return first, [rng.random(n) < np.clip(hard - shift, 0, 1) for shift in shifts]


@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_interval_over_seeds_covers_what_it_says(spread: float) -> None:
    """Each end at 95 %, with seeds alike and with seeds that disagree; 200 draws tell 95 from 90."""
    rng = np.random.default_rng(5)
    below = above = 0
    for _ in range(200):
        found = over_seeds(*trainings(0.04 + spread * rng.standard_normal(3), 400, rng), 0.95)
        below += found.low <= 0.04
        above += found.high >= 0.04
    assert min(below, above) >= 181


def test_seeds_that_disagree_decide_nothing_however_many_images_there_are() -> None:
    rng = np.random.default_rng(3)
    apart = np.array([0.1, 0.01, 0.02])
    found = over_seeds(*trainings(apart, 20_000, rng))
    assert found.against(0.0) is Standing.undecided
    assert over_seeds(*trainings(np.full(3, apart.mean()), 20_000, rng)).against(0.0) is Standing.worse
    # As if every seed had images of its own: that was decided.
    first, second = trainings(apart, 20_000, rng)
    assert loss(np.concatenate(first), np.concatenate(second)).against(0.0) is Standing.worse


def test_trainings_that_never_differ_are_not_certain() -> None:
    same = [np.arange(100) % 9 > 0] * 3
    found = over_seeds(same, same)
    assert found.estimate == 0
    assert found.low < 0 < found.high
    assert found.against(0.0) is Standing.undecided


def test_one_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="no spread"):
        over_seeds([np.ones(9, bool)], [np.ones(9, bool)])
