"""Values of parameters and inputs: each kind is a NumPy expression, the same in model and script."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np

KINDS: Dict[str, str] = {
    "normal": "np.random.default_rng({seed}).standard_normal({shape})",
    "negative": "-np.abs(np.random.default_rng({seed}).standard_normal({shape}))",
    "positive": "np.abs(np.random.default_rng({seed}).standard_normal({shape})) + 0.5",
    "halves": "np.round(np.random.default_rng({seed}).standard_normal({shape}) * 2) / 2",
    "sparse": "np.maximum(np.random.default_rng({seed}).standard_normal({shape}), 0)",
    "large": "np.random.default_rng({seed}).standard_normal({shape}) * 1e4",
    "small": "np.random.default_rng({seed}).standard_normal({shape}) * 1e-4",
    "denormal": "np.random.default_rng({seed}).standard_normal({shape}) * 1e-39",
    "zeros": "np.zeros({shape})",
    "ones": "np.ones({shape})",
    "integers": "np.random.default_rng({seed}).integers({low}, {high}, {shape})",
    "booleans": "np.random.default_rng({seed}).random({shape}) < 0.5",
}
"""``integers`` has ``low`` (default 0) and ``high`` (exclusive)."""


def expression(spec: Mapping[str, Any]) -> str:
    """Return the NumPy text that draws the values of an input or parameter."""
    low = spec.get("low", 0)
    return KINDS[spec["kind"]].format(
        seed=spec["seed"], shape=list(spec["shape"]), low=low, high=spec.get("high", 2)
    )


def draw(spec: Mapping[str, Any]) -> np.ndarray:
    """Draw the values, in the input's dtype (float32 by default)."""
    found = eval(expression(spec), {"np": np})
    return np.asarray(found).astype(spec.get("dtype", "float32"))
