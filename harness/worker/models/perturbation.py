"""Backward error made visible: inputs and parameters are moved by about a rounding, to see the outputs move.

A computation in floating point gives the exact result of slightly different inputs. So where no run in
higher precision exists (a deployed program fixes its types), a run with inputs and parameters that
are off by a rounding shows how far correct outputs may differ.
"""

from __future__ import annotations

from typing import Any, List

import numpy as np
import paddle

from harness.worker.inspection import programs


def moved(array: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Return the array times ``1 + size * r``, r uniform in [-1, 1] per element; only floats change.

    It is computed in float64 and rounded to the array's type. A size below that type's rounding would have
    no effect, so float16 is moved by float16's rounding.
    """
    if not np.issubdtype(array.dtype, np.floating):
        return array
    size = max(size, float(np.finfo(array.dtype).eps) / 2 if array.dtype.itemsize < 4 else 0.0)
    return (array * (1.0 + size * rng.uniform(-1.0, 1.0, array.shape))).astype(array.dtype)


def move_scope(program: Any, size: float, rng: np.random.Generator) -> None:
    """Move every parameter of a loaded program in the current scope."""
    scope = paddle.static.global_scope()
    for item in programs.parameters(program):
        variable = scope.find_var(item["name"])
        if variable is None or ("float" not in item["dtype"].lower() and "fp" not in item["dtype"].lower()):
            continue
        tensor = variable.get_tensor()
        tensor.set(moved(np.array(tensor), size, rng), paddle.CPUPlace())


def move_network(net: Any, size: float, rng: np.random.Generator) -> None:
    """Move every floating parameter and buffer of a network."""
    for value in [*net.parameters(), *net.buffers()]:
        if paddle.is_floating_point(value) and value.size:
            value.set_value(moved(value.numpy(), size, rng))


def move_feed(feed: List[np.ndarray], size: float, rng: np.random.Generator) -> List[np.ndarray]:
    """Move every floating input."""
    return [moved(array, size, rng) for array in feed]
