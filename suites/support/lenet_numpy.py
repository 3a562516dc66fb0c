"""LeNet in NumPy and SciPy, float64: an oracle that shares no code with Paddle."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import correlate


def lenet(parameters: dict[str, Any], images: Any) -> Any:
    """Return logits ``[n, 10]`` of images ``[n, 1, 28, 28]``; parameters by their structured names."""
    x = images.astype("float64")
    x = _pool(np.maximum(_convolve(x, parameters["conv1.weight"], parameters["conv1.bias"], 2), 0))
    x = _pool(_convolve(np.maximum(x, 0), parameters["conv2.weight"], parameters["conv2.bias"], 0))
    x = x.reshape(len(x), -1)
    for layer in ("linear1", "linear2"):
        x = np.maximum(x @ parameters[f"{layer}.weight"] + parameters[f"{layer}.bias"], 0)
    return x @ parameters["linear3.weight"] + parameters["linear3.bias"]


def _convolve(x: Any, weight: Any, bias: Any, padding: int) -> Any:
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return np.stack(
        [
            np.stack(
                [
                    correlate(image, kernel, mode="valid")[0] + b
                    for kernel, b in zip(weight, bias, strict=True)
                ]
            )
            for image in x
        ]
    )


def _pool(x: Any) -> Any:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
