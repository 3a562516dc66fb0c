"""From pairs of processes to a verdict on speed: pure functions.

The sample is a pair of fresh processes, one of each side, that took turns on one core: its value is
the logarithm of candidate over baseline. What two pairs have in common (which side started first) is
taken out; what is left is near enough to normal, since each value is a median of many blocks, for
Student's t to give intervals that hold with few pairs. A bootstrap over so few is too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from scipy import special

Answer = Literal["same", "slower", "faster", "not enough data"]

POWER = 0.95
"""Chance with which a change of the size called detectable is found."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When two sides count as equally fast.

    ``threshold``: *same* is an interval inside plus or minus this share. ``floor``: the smallest change
    that is told as one. ``alpha``: how often the intervals of a case may miss, all looks together.
    ``looks``: after how many pairs is looked; the last one ends the case. ``spend``: each look's share
    of ``alpha``, most of it kept for the last, where the interval is narrowest (Lan and DeMets,
    Biometrika 70, 1983).
    """

    threshold: float = 0.02
    floor: float = 0.01
    alpha: float = 0.01
    looks: tuple[int, ...] = (4, 8, 12, 16, 20)
    spend: tuple[float, ...] = (0.05, 0.1, 0.15, 0.2, 0.5)

    def once(self, pairs: int, alpha: float) -> Rule:
        """The rule of a single look after so many pairs."""
        return msgspec.structs.replace(self, alpha=alpha, looks=(pairs,), spend=(1.0,))

    def share(self, pairs: int) -> float:
        """The share of ``alpha`` for a look after so many pairs."""
        reached = [part for look, part in zip(self.looks, self.spend, strict=True) if look <= pairs]
        return reached[-1] if reached else self.spend[0]


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


def sequential(samples: Sequence[Sample], rule: Rule, most: float = 1.0) -> tuple[Estimate, Answer]:
    """The first look that decides, or the last one.

    ``most``: a change ends the looking only with a p-value of at most this: one work of many must be as
    sure as :func:`discoveries` will ask it to be.

    Raises:
        ValueError: fewer pairs than the first look takes.
    """
    found = None
    for pairs in rule.looks:
        if pairs > len(samples):
            break
        found = look(samples[:pairs], rule)
        assert found is not None
        if ends(found, most):
            break
    if found is None:
        raise ValueError(f"{len(samples)} pairs; the first look takes {rule.looks[0]}")
    return found


def ends(found: tuple[Estimate, Answer], most: float) -> bool:
    """Whether more pairs are of no use."""
    return found[1] == "same" or (found[1] != "not enough data" and found[0].p <= most)


def discoveries(values: Sequence[float], rate: float) -> list[bool]:
    """Which of many p-values count when at most this share of those that count may be false.

    Benjamini and Hochberg (Journal of the Royal Statistical Society B 57, 1995).
    """
    order = np.argsort(values, kind="stable")
    ranked = np.asarray(values, dtype=float)[order]
    allowed = rate * np.arange(1, len(ranked) + 1) / max(1, len(ranked))
    passing = np.flatnonzero(ranked <= allowed)
    most = int(passing[-1]) + 1 if len(passing) else 0
    found = np.zeros(len(ranked), dtype=bool)
    found[order[:most]] = True
    return [bool(value) for value in found]
