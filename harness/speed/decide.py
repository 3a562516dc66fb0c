"""From pairs of processes to a verdict on speed: pure functions.

The sample is a pair of fresh processes, one of each side, that took turns on one core: its value is
the logarithm of candidate over baseline. What two pairs have in common (which side started first) is
taken out; what is left is near enough to normal, since each value is a mean over sessions of medians of
many runs, for Student's t to give intervals that hold with few pairs. A bootstrap over so few is too
narrow.

A change takes two measurements: the first chooses what to measure again, in new pairs, and their
p-values together decide, so that neither has to be sure alone.
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
"""Chance with which a change of the size called detectable is found."""

CONFIRMED_P = 0.05
"""What the second measurement must reach by itself, whatever the first one said; one-sided."""

SECOND_LOOKS = tuple(range(4, 25, 2))
SECOND_GROWTH = 2.0
"""The second measurement has fewer works to measure, so that its pairs are cheaper and may be more."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When two sides count as equally fast.

    ``threshold``: *same* is an interval inside plus or minus this share. ``floor``: the smallest change
    that is told as one. ``alpha``: how often the intervals of a case may miss, all looks together.
    ``looks``: after how many pairs is looked; the last one ends the case. Until a look the share
    (pairs / pairs of the last look) ** ``growth`` of ``alpha`` is spent, most of it at the end, where the
    interval is narrowest (Lan and DeMets, Biometrika 70, 1983; the power family of Kim and DeMets,
    Biometrika 74, 1987). The looks' shares are added up as if they were independent, which is safe.
    """

    threshold: float = 0.02
    floor: float = 0.01
    alpha: float = 0.01
    looks: tuple[int, ...] = tuple(range(4, 21, 2))
    growth: float = 3.0

    def once(self, pairs: int, alpha: float) -> Rule:
        """The rule of a single look after so many pairs."""
        return msgspec.structs.replace(self, alpha=alpha, looks=(pairs,))

    def second(self) -> Rule:
        """The rule of the second measurement, whose interval has :data:`CONFIRMED_P` on either side."""
        return msgspec.structs.replace(self, alpha=2 * CONFIRMED_P, looks=SECOND_LOOKS, growth=SECOND_GROWTH)

    def share(self, pairs: int) -> float:
        """The share of ``alpha`` for a look after so many pairs."""
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
    """What the pairs so far say of candidate over baseline; shares, 0.02 is two per cent slower.

    ``low`` to ``high`` holds with ``1 - alpha`` over all looks. ``spread``: standard deviation of a
    pair's log ratio. ``detectable``: the smallest change these pairs would have shown (95 % power).
    ``p``: two-sided, of no change, the repeated looks paid for.
    """

    pairs: int
    change: float
    low: float
    high: float
    spread: float
    detectable: float
    p: float


def estimate(samples: Sequence[Sample], rule: Rule) -> Estimate:
    """The change and its interval.

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
    """What an estimate decides."""
    if found.low > 0 and found.change >= rule.floor:
        return "slower"
    if found.high < 0 and found.change <= -rule.floor:
        return "faster"
    if -rule.threshold <= found.low and found.high <= rule.threshold:
        return "same"
    return "not enough data"


def look(samples: Sequence[Sample], rule: Rule) -> tuple[Estimate, Answer] | None:
    """The decision after these pairs; None where the rule does not look now."""
    if len(samples) not in rule.looks:
        return None
    found = estimate(samples, rule)
    return found, answer(found, rule)


def sequential(samples: Sequence[Sample], rule: Rule) -> tuple[Estimate, Answer]:
    """The first look that decides, or the last one.

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
    """What a second measurement says of a change that a first one saw.

    ``p``: of no change, both measurements together. ``holds``: the second one by itself says that there
    is a change of at least the floor in the same direction. ``ends``: more pairs are of no use.
    """

    estimate: Estimate
    p: float
    holds: bool
    ends: bool


def again(first: Estimate, samples: Sequence[Sample], rule: Rule, most: float) -> Second | None:
    """The first look at the second measurement's pairs that ends it, or the last one; None before any.

    ``samples`` are of new pairs, which had no part in choosing this work. ``most``: with this p-value a
    change counts whatever the other works are, and it is not measured any longer.
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
    """The p-value of two independent measurements, the second one planned after the first was seen.

    Fisher's product (Bauer and Köhne, Evaluation of experiments with adaptive interim analyses,
    Biometrics 50, 1994).
    """
    product = first * second
    return product * (1 - math.log(product)) if product > 0 else 0.0


def discoveries(values: Sequence[float], rate: float) -> list[bool]:
    """Which of many p-values count when at most this share of those that count may be false.

    Benjamini and Hochberg (Journal of the Royal Statistical Society B 57, 1995).
    """
    return [bool(adjusted <= rate) for adjusted in stats.false_discovery_control(values)] if values else []
