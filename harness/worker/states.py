"""Saved states as flat dicts of arrays."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import paddle

from harness.worker.roundtrip import DTYPES, bits


def dtypes() -> List[str]:
    """The dtypes of this release, of those that tensors can be cast to."""
    return [name for name in DTYPES if hasattr(paddle, name)]


def flatten(value: Any, prefix: str = "") -> Dict[str, np.ndarray]:
    """Every tensor, array and number of a nested state by its path."""
    items: Any
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = ((str(index), item) for index, item in enumerate(value))
    else:
        return {prefix: bits(value)}
    flat: Dict[str, np.ndarray] = {}
    for key, item in items:
        flat.update(flatten(item, f"{prefix}/{key}" if prefix else str(key)))
    return flat


def flat(path: str, return_numpy: bool = True) -> Dict[str, np.ndarray]:
    """A saved state, flat."""
    return flatten(paddle.load(path, return_numpy=return_numpy))
