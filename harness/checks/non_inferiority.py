"""Compare two models on the same examples: the accuracy that one loses, with its uncertainty.

Most of a test set says nothing about a difference, since both models are right or both are wrong. All
information is in the examples where only one of them is right. Comparing two accuracies as if they came
from different examples discards it: a loss of a point then counts as noise until there are tens of
thousands of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from harness.core.statistics import CONFIDENCE


class Standing(StrEnum):
    """What an interval says about a bound."""

    within = "within"
    worse = "worse"
    undecided = "not enough data"


class Bounds(msgspec.Struct, frozen=True):
    """The least and the largest loss of a candidate, as fractions of 1.

    ``low`` and ``high`` each bound the loss at the confidence: "the loss is at most ``high``" is a
    one-sided statement (a test of non-inferiority).
    """

    low: float
    high: float

    def against(self, bound: float) -> Standing:
        """Whether the loss is at most ``bound``, more than it, or may be either."""
        if self.high <= bound:
            return Standing.within
        return Standing.worse if self.low > bound else Standing.undecided


class Loss(Bounds, frozen=True):
    """Accuracy a candidate loses against a baseline on the same ``n`` examples, as a fraction of 1.

    ``lost`` counts examples that only the baseline gets right, ``gained`` those that only the
    candidate does. ``p`` is the p-value of McNemar's exact test.
    """

    n: int
    baseline: float
    candidate: float
    lost: int
    gained: int
    p: float
    confidence: float = CONFIDENCE

    @property
    def estimate(self) -> float:
        return (self.lost - self.gained) / self.n

    def sentence(self) -> str:
        """Return the difference with its interval, in points (hundredths)."""
        return (
            f"accuracy {self.baseline:.4f} -> {self.candidate:.4f}: "
            f"loses {100 * self.estimate:+.2f} points "
            f"({100 * self.low:+.2f} to {100 * self.high:+.2f} at {self.confidence:.0%}) "
            f"over {self.n:,} images, {self.lost} lost and {self.gained} gained"
        )


class SeedLoss(Bounds, frozen=True):
    """Accuracy one way of training loses against another, over trainings that differ in their seed.

    ``each`` is the loss of every seed, on the same ``n`` examples.
    """

    each: tuple[float, ...]
    n: int
    confidence: float = CONFIDENCE

    @property
    def estimate(self) -> float:
        return float(np.mean(self.each))

    def sentence(self) -> str:
        """Return the difference with its interval and every seed's, in points (hundredths)."""
        return (
            f"loses {100 * self.estimate:+.2f} points ({100 * self.low:+.2f} to {100 * self.high:+.2f} at "
            f"{self.confidence:.0%}) over {len(self.each)} seeds and {self.n:,} images; "
            f"each seed: {', '.join(f'{100 * one:+.2f}' for one in self.each)}"
        )


def loss(baseline: NDArray[np.bool_], candidate: NDArray[np.bool_], confidence: float = CONFIDENCE) -> Loss:
    """Measure what the candidate loses, from each example's correctness under both (shape ``[n]``).

    Raises:
        ValueError: the two differ in length, or there is no example.
    """
    if baseline.shape != candidate.shape or baseline.ndim != 1 or not baseline.size:
        raise ValueError(f"correctness of {baseline.shape} and {candidate.shape} examples cannot be paired")
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


def over_seeds(
    baseline: Sequence[NDArray[np.bool_]],
    candidate: Sequence[NDArray[np.bool_]],
    confidence: float = CONFIDENCE,
) -> SeedLoss:
    """Measure the average loss, from each seed's correctness on the same examples (shape ``[n]`` each).

    Seeds and examples are crossed: every training is judged on the same images, so neither more images
    nor more seeds alone make the average certain. The variance has two terms: that of the seeds' means,
    divided by the number of seeds, and that of the images' means, divided by the number of images. (The
    residual is in both, which is on the safe side.) Its degrees of freedom are Welch and Satterthwaite's
    (Biometrics Bulletin 2, 1946): three seeds that disagree count as two degrees. The interval is never
    narrower than Tango's of one average training.

    Raises:
        ValueError: fewer than two seeds, or arrays of different shapes.
    """
    pairs = [loss(a, b, confidence) for a, b in zip(baseline, candidate, strict=True)]
    if len(pairs) < 2 or len({pair.n for pair in pairs}) > 1:
        raise ValueError(f"{len(pairs)} seeds on {[pair.n for pair in pairs]} examples have no spread")
    n = pairs[0].n
    lost: NDArray[np.float64] = np.stack(baseline).astype("float64") - np.stack(candidate)
    parts = [
        float(lost.mean(axis=1).var(ddof=1)) / len(pairs),
        float(lost.mean(axis=0).var(ddof=1)) / n,
    ]
    only_first, only_second = (
        sum(counts) / len(pairs) for counts in ([p.lost for p in pairs], [p.gained for p in pairs])
    )
    low, high = difference_interval(only_first, only_second, n, 2 * confidence - 1)
    if sum(parts) > 0:
        freedom = sum(parts) ** 2 / (parts[0] ** 2 / (len(pairs) - 1) + parts[1] ** 2 / (n - 1))
        reach = float(stats.t.ppf(confidence, freedom) * np.sqrt(sum(parts)))
        low, high = min(low, float(lost.mean()) - reach), max(high, float(lost.mean()) + reach)
    return SeedLoss(low, high, tuple(pair.estimate for pair in pairs), n, confidence)


def difference_interval(
    lost: float, gained: float, n: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the score interval of the difference of two paired proportions, ``(lost - gained) / n``.

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
