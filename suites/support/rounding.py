"""How far rounding alone moves a model's logits: what a comparison of a compressed model allows."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.checks import tolerance
from suites.support.compression import Subject
from suites.support.logits import logits

ROUNDINGS = tolerance.MOVED_MULTIPLE * tolerance.EPSILON["float32"]
"""Relative size by which inputs and parameters of a quantized program are moved, to see what another order
of its sums may do. Quantizers make an effect disproportionate to its cause: a value between two levels
falls to one or the other, and everything after it changes by a step. In a float network the allowance for
another engine multiplies the effect; here it multiplies the cause."""

APART = 2**0.5
"""Factor from the error of one execution to the difference of two that are equally and independently off."""

CALM, WIDE = 16, 64
"""Number of feeds with images of one colour each for an untrained network, and their width in pixels."""


def rounding(subject: Subject, feeds: list[list[NDArray[Any]]]) -> tolerance.Tolerance:
    """Return what float32 arithmetic alone may move the float network's logits by."""
    return subject.executor.tolerances(subject.model, feeds)[0]


def rounding_of(subject: Subject, feeds: list[list[NDArray[Any]]]) -> tolerance.Tolerance:
    """Return what float32 arithmetic alone may move the deployed model's logits by, pooled over the feeds.

    For a pruned trained network it is the float network's rounding, since the logits keep their size. Else
    it is how far this program's logits move when inputs and parameters move by :data:`ROUNDINGS`: an
    untrained network that lost half of its filters can have logits of 1e9.
    """
    if not subject.method.quantizes and subject.executor.models[subject.model].trained:
        return rounding(subject, feeds)
    exact = moved(subject, feeds, 0.0, draws=1) * tolerance.DRAWS
    return tolerance.Tolerance(moved(subject, feeds, ROUNDINGS), exact, "float32", APART)


def moved(
    subject: Subject, feeds: list[list[NDArray[Any]]], size: float, draws: int = tolerance.DRAWS
) -> list[NDArray[Any]]:
    """Return each draw's logits ``[n, classes]``; inputs and parameters move by up to the share ``size``."""
    target, found = subject.readable(subject.executor.targets["static"]), []
    for draw in range(draws):
        options = {**target.options, "perturb": size, "draw": draw}
        found.append(logits(subject.run(msgspec.structs.replace(target, options=options), feeds).outputs))
    return found


def calm_feeds(subject: Subject, feeds: list[list[NDArray[Any]]]) -> list[list[NDArray[Any]]]:
    """Return feeds with few values near a quantizer's tie: digits, or images of one colour each.

    A random image of full size has millions of values; one is always so near to a tie that its logits
    move by a step. In an image of one colour most values of a layer are the same.
    """
    if subject.executor.models[subject.model].trained:
        return feeds
    like, rng = feeds[0][0], np.random.default_rng(0)
    colours = rng.uniform(like.min(), like.max(), (CALM, *like.shape[:2], 1, 1)).astype(like.dtype)
    return [[np.tile(colour, (1, 1, WIDE, WIDE))] for colour in colours]
