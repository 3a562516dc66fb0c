"""Arithmetic on the logits of two models, ``[n, classes]``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def distance(quantized: NDArray[Any], before: NDArray[Any]) -> float:
    """Return the RMS of their difference, at least a ten-thousandth of the logits' RMS.

    The floor keeps rounding from counting as an error where nothing was quantized.
    """
    return max(rms(quantized - before), 1e-4 * rms(before))


def logits(runs: list[list[NDArray[Any]]]) -> NDArray[Any]:
    """Return the first output of every run, joined along the batch."""
    return np.concatenate([run[0] for run in runs])


def rms(array: NDArray[Any]) -> float:
    """Return the root mean square, computed in float64."""
    return float(np.sqrt(np.mean(np.square(array.astype("float64")))))


def agreement(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the share of rows whose largest element is at the same index."""
    return float((a.argmax(axis=1) == b.argmax(axis=1)).mean())
