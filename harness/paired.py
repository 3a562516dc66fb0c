"""Two models judged on the same examples: what one loses against the other, with its uncertainty.

Most of a test set tells nothing about a difference, since both models are right or both wrong; the
examples where only one of them is right carry all of it. Comparing two accuracies as if they came
from different examples throws that away, and calls a loss of a point noise until there are tens of
thousands of images.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from harness.statistics import CONFIDENCE


class Standing(StrEnum):
    """What an interval says of a bound."""

    within = "within"
    worse = "worse"
    undecided = "not enough data"


class Loss(msgspec.Struct, frozen=True):
    """Accuracy a candidate loses against a baseline on the same ``n`` examples, in shares of one.

    ``lost`` counts examples that only the baseline gets right, ``gained`` those that only the
    candidate does. ``low`` and ``high`` each bound the difference at ``confidence``: that a loss is at
    most so much is a one-sided statement (a test of non-inferiority). ``p`` is McNemar's exact one.
    """

    n: int
    baseline: float
    candidate: float
    lost: int
    gained: int
    low: float
    high: float
    p: float
    confidence: float = CONFIDENCE

    @property
    def estimate(self) -> float:
        return (self.lost - self.gained) / self.n

    def against(self, bound: float) -> Standing:
        """Whether the loss is at most ``bound``, more than it, or may be either."""
        if self.high <= bound:
            return Standing.within
        return Standing.worse if self.low > bound else Standing.undecided

    def sentence(self) -> str:
        """The difference with its interval, in points (hundredths)."""
        return (
            f"accuracy {self.baseline:.4f} -> {self.candidate:.4f}: "
            f"loses {100 * self.estimate:+.2f} points "
            f"({100 * self.low:+.2f} to {100 * self.high:+.2f} at {self.confidence:.0%}) "
            f"over {self.n:,} images, {self.lost} lost and {self.gained} gained"
        )


def loss(baseline: NDArray[np.bool_], candidate: NDArray[np.bool_], confidence: float = CONFIDENCE) -> Loss:
    """What the candidate loses, from each example's correctness under both (shape ``[n]``).

    Raises:
        ValueError: the two differ in length, or there is no example.
    """
    if baseline.shape != candidate.shape or baseline.ndim != 1 or not baseline.size:
        raise ValueError(f"correctness of {baseline.shape} and {candidate.shape} examples is no pair")
    n = int(baseline.size)
    lost, gained = int((baseline & ~candidate).sum()), int((~baseline & candidate).sum())
    low, high = difference_interval(lost, gained, n, 2 * confidence - 1)
    p = float(stats.binomtest(lost, lost + gained, 0.5).pvalue) if lost + gained else 1.0
    return Loss(
        n=n,
        baseline=float(baseline.mean()),
        candidate=float(candidate.mean()),
        lost=lost,
        gained=gained,
        low=low,
        high=high,
        p=p,
        confidence=confidence,
    )


def difference_interval(
    lost: int, gained: int, n: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Score interval of the difference of two paired proportions, ``(lost - gained) / n``.

    Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design" (Statistics in Medicine 17, 1998): it keeps its coverage with few discordant
    pairs, where the usual normal interval collapses to a point.
    """
    z = float(stats.norm.ppf((1 + confidence) / 2))
    estimate = (lost - gained) / n

    def score(difference: float) -> float:
        b = -lost - gained + (2 * n - lost + gained) * difference
        c = -gained * difference * (1 - difference)
        share = (np.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * share + difference * (1 - difference))
        distance = lost - gained - n * difference
        if variance <= 0:
            return float(np.sign(distance) * np.inf) if distance else 0.0
        return float(distance / np.sqrt(variance))

    edge = 1 - 1e-12

    def root(target: float, low: float, high: float) -> float:
        return float(optimize.brentq(lambda d: np.clip(score(d), -1e6, 1e6) - target, low, high, xtol=1e-9))

    low = -1.0 if score(-edge) < z else root(z, -edge, min(estimate, edge))
    high = 1.0 if score(edge) > -z else root(-z, max(estimate, -edge), edge)
    return low, high
