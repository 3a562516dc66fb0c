"""Saved states as flat dicts of arrays."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import paddle

DTYPES = (
    "float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "uint8",
    "int16", "int32", "int64", "bool", "complex64", "complex128",
)  # fmt: skip


def dtypes() -> List[str]:
    """Return the dtypes that this release has and that tensors can be cast to."""
    return [name for name in DTYPES if hasattr(paddle, name)]


def bits(value: Any) -> np.ndarray:
    """Return a value as an array that can be sent: bfloat16 as uint16, float8 as int8, text as UTF-8."""
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    if array.dtype.kind == "U":
        return np.frombuffer(str(value).encode(), dtype="uint8")
    # Arrays of an extension dtype (ml_dtypes) have no .npy form; their bytes do.
    if array.dtype.kind == "V" or array.dtype.name not in np.sctypeDict:
        array = array.view("uint8" if array.dtype.itemsize == 1 else "uint16")
    return array


def flatten(value: Any, prefix: str = "") -> Dict[str, np.ndarray]:
    """Return every tensor, array and number of a nested state by its path."""
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
    """Load a saved state and flatten it."""
    return flatten(paddle.load(path, return_numpy=return_numpy))
