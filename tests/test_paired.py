"""Paired accuracies: intervals that cover, verdicts that do not come of chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.paired import Standing, difference_interval, loss


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
    with pytest.raises(ValueError, match="no pair"):
        loss(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(ValueError, match="no pair"):
        loss(np.ones(0, bool), np.ones(0, bool))
