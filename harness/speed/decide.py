"""Decide on speed from pairs of processes: pure functions.

A sample is a pair of fresh processes, one of each side, that took turns on one core; its value is the
logarithm of candidate over baseline. The effect of which side started first is removed. Each value is a
mean over sessions of medians of many runs, so the rest is close enough to normal for Student's t to give
valid intervals with few pairs. A bootstrap over so few would be too narrow.

A change needs two measurements. The first one selects what to measure again, in new pairs. Their combined
p-values decide, so that neither has to be certain alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from scipy import special, stats

Answer = Literal["same", "slower", "faster", "not enough data"]

POWER = 0.95
"""Probability of finding a change of the size called detectable."""

CONFIRMED_P = 0.05
"""Largest one-sided p-value of the second measurement alone, whatever the first one said."""

SECOND_LOOKS = tuple(range(4, 25, 2))
SECOND_GROWTH = 2.0
"""Growth of ``alpha`` in the second measurement. It has fewer workloads, so it can afford more pairs."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When two sides count as equally fast.

    ``threshold``: *same* is an interval inside plus or minus this share. ``floor``: the smallest change
    that is reported. ``alpha``: how often the intervals of a case may miss, over all looks together.
    ``looks``: numbers of pairs after which to look; the last look ends the case. Up to a look, the share
    (pairs / pairs of the last look) ** ``growth`` of ``alpha`` is spent, most of it at the end, where the
    interval is narrowest (Lan and DeMets, Biometrika 70, 1983; the power family of Kim and DeMets,
    Biometrika 74, 1987). The looks' shares are added as if they were independent, which is conservative.
    """

    threshold: float = 0.02
    floor: float = 0.01
    alpha: float = 0.01
    looks: tuple[int, ...] = tuple(range(4, 21, 2))
    growth: float = 3.0

    def once(self, pairs: int, alpha: float) -> Rule:
        """Return the rule with a single look after so many pairs."""
        return msgspec.structs.replace(self, alpha=alpha, looks=(pairs,))

    def second(self) -> Rule:
        """Return the rule of the second measurement: its interval leaves :data:`CONFIRMED_P` on each side."""
        return msgspec.structs.replace(self, alpha=2 * CONFIRMED_P, looks=SECOND_LOOKS, growth=SECOND_GROWTH)

    def share(self, pairs: int) -> float:
        """Return the share of ``alpha`` for a look after so many pairs."""
        spent = [float((look / self.looks[-1]) ** self.growth) for look in (0, *self.looks)]
        reached = [
            now - then for look, then, now in zip(self.looks, spent, spent[1:], strict=False) if look <= pairs
        ]
        return reached[-1] if reached else spent[1]


class Sample(msgspec.Struct, frozen=True):
    """One pair of processes: log of candidate over baseline, and whether the candidate started first."""

    log_ratio: float
    swapped: bool


class Estimate(msgspec.Struct, frozen=True):
    """Estimate of candidate over baseline from the pairs so far; shares, 0.02 is two per cent slower.

    ``low`` to ``high`` holds with ``1 - alpha`` over all looks. ``spread``: standard deviation of a
    pair's log ratio. ``detectable``: the smallest change these pairs would have shown (95 % power).
    ``p``: two-sided p-value of no change, corrected for repeated looks.
    """

    pairs: int
    change: float
    low: float
    high: float
    spread: float
    detectable: float
    p: float


def estimate(samples: Sequence[Sample], rule: Rule) -> Estimate:
    """Estimate the change and its interval.

    Raises:
        ValueError: fewer than two pairs of either order.
    """
    groups = [np.array([s.log_ratio for s in samples if s.swapped is order]) for order in (False, True)]
    if min(map(len, groups)) < 2:
        raise ValueError("at least two pairs of each order are needed")
    freedom = len(samples) - 2
    centre = float(np.mean([group.mean() for group in groups]))
    spread = math.sqrt(sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom)
    error = spread * math.sqrt(sum(1 / len(group) for group in groups)) / 2
    part = rule.share(len(samples))
    critical = float(special.stdtrit(freedom, 1 - rule.alpha * part / 2))
    p = 2 * float(special.stdtr(freedom, -abs(centre) / error)) if error else float(centre == 0)
    return Estimate(
        pairs=len(samples),
        change=math.expm1(centre),
        low=math.expm1(centre - critical * error),
        high=math.expm1(centre + critical * error),
        spread=spread,
        detectable=math.expm1((critical + float(special.stdtrit(freedom, POWER))) * error),
        p=min(1.0, p / part),
    )


def answer(found: Estimate, rule: Rule) -> Answer:
    """Return the answer that an estimate gives."""
    if found.low > 0 and found.change >= rule.floor:
        return "slower"
    if found.high < 0 and found.change <= -rule.floor:
        return "faster"
    if -rule.threshold <= found.low and found.high <= rule.threshold:
        return "same"
    return "not enough data"


def look(samples: Sequence[Sample], rule: Rule) -> tuple[Estimate, Answer] | None:
    """Decide after these pairs; None where the rule has no look at this number of pairs."""
    if len(samples) not in rule.looks:
        return None
    found = estimate(samples, rule)
    return found, answer(found, rule)


def sequential(samples: Sequence[Sample], rule: Rule) -> tuple[Estimate, Answer]:
    """Return the first look that decides, or else the last one.

    Raises:
        ValueError: fewer pairs than the first look takes.
    """
    found = None
    for pairs in rule.looks:
        if pairs > len(samples):
            break
        found = look(samples[:pairs], rule)
        assert found is not None
        if found[1] != "not enough data":
            break
    if found is None:
        raise ValueError(f"{len(samples)} pairs; the first look takes {rule.looks[0]}")
    return found


class Second(msgspec.Struct, frozen=True):
    """Result of a second measurement of a change that a first one saw.

    ``p``: p-value of no change, from both measurements. ``holds``: the second one alone shows a change of
    at least the floor in the same direction. ``ends``: more pairs are of no use.
    """

    estimate: Estimate
    p: float
    holds: bool
    ends: bool


def again(first: Estimate, samples: Sequence[Sample], rule: Rule, most: float) -> Second | None:
    """Return the look that ends the second measurement, or else the last one; None before the first.

    ``samples`` are of new pairs, which had no part in selecting this workload. ``most``: a change with at
    most this p-value counts whatever the other workloads give, so its measurement ends.
    """
    sign, second, found = math.copysign(1.0, first.change), rule.second(), None
    mirrored = [Sample(sign * one.log_ratio, one.swapped) for one in samples]
    for pairs in second.looks:
        if pairs > len(samples) or (found is not None and found.ends):
            break
        seen = estimate(mirrored[:pairs], second)
        holds = seen.low > 0 and seen.change >= rule.floor
        # One-sided: the first measurement named the direction.
        p = combined(first.p, seen.p / 2 if seen.change > 0 else 1.0)
        refuted = seen.high < rule.floor
        found = Second(
            estimate(samples[:pairs], second),
            p,
            holds,
            refuted or (holds and p <= most) or pairs == second.looks[-1],
        )
    return found


def combined(first: float, second: float) -> float:
    """Combine the p-values of two independent measurements, the second planned after the first was seen.

    Fisher's product (Bauer and Köhne, Evaluation of experiments with adaptive interim analyses,
    Biometrics 50, 1994).
    """
    product = first * second
    return product * (1 - math.log(product)) if product > 0 else 0.0


def discoveries(values: Sequence[float], rate: float) -> list[bool]:
    """Select the p-values that count, such that at most the share ``rate`` of them is expected to be false.

    Benjamini and Hochberg (Journal of the Royal Statistical Society B 57, 1995).
    """
    return [bool(adjusted <= rate) for adjusted in stats.false_discovery_control(values)] if values else []
