"""The oracle of a generated network: its float64 outputs, and what roundings do to them."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import sys
import types
from typing import Any, Callable, Dict, List, Mapping, Sequence

import numpy as np
import paddle

from harness.worker.checks.generated import source, values
from harness.worker.models import networks, perturbation
from harness.worker.runtimes.dygraph import round_to_bfloat16

ROUNDING = 2.0**-23
COARSE = 2.0**-8
"""A rounding of bfloat16."""
TINY = float(np.finfo("float32").tiny)
"""Smallest normal float32; some engines treat the denormals below it as zero."""

_numbers = itertools.count()


def feeds(network: Mapping[str, Any], batches: Sequence[int]) -> List[List[np.ndarray]]:
    """Return one feed per batch size; a network without dynamic dimensions has the one size it states."""
    return [
        [values.draw(spec) for spec in fed(network, batch, number)] for number, batch in enumerate(batches)
    ]


def fed(network: Mapping[str, Any], batch: Any, number: int = 0) -> List[Dict[str, Any]]:
    """Return the inputs as they are drawn for the feed of that number, with ``batch`` as their first axis."""
    return [
        {
            **spec,
            "shape": [batch, *spec["shape"][1:]] if network["dynamic"] else spec["shape"],
            "seed": spec["seed"] + 1000 * number,
        }
        for spec in network["inputs"]
    ]


NEAR_ONE = ("elu", "selu")
"""Operators that Paddle computes as a difference of values near one: below zero, their results are off by a
rounding of one and not by a rounding of the result."""


def build(
    network: Mapping[str, Any],
    floating: str = "float32",
    watched: bool = False,
    folder: str = "",
    folded: bool = False,
) -> Any:
    """Return the network as a layer in evaluation mode. ``folder``: write the source there, to export it.

    ``folded``: what the network computes from its parameters alone is computed beforehand.
    """
    text = source.write(network, floating, watched, folded)
    module = types.ModuleType(f"generated_{next(_numbers)}")
    file = "<generated>"
    if folder:
        file = os.path.join(folder, f"{module.__name__}_{hashlib.sha256(text.encode()).hexdigest()[:8]}.py")
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        module.__file__ = file
        sys.modules[module.__name__] = module  # inspect finds a class's source by its module
    exec(compile(text, file, "exec"), vars(module))
    paddle.set_default_dtype(floating)
    try:
        net = module.Network()
    finally:
        paddle.set_default_dtype("float32")
    if watched:
        net.see = lambda number, value: value
    net.eval()
    return net


def infer(net: Any, feed: Sequence[np.ndarray], dtype: str = "float32") -> List[np.ndarray]:
    """Return the outputs in dynamic graph."""
    paddle.set_default_dtype(dtype)
    try:
        with paddle.no_grad():
            outputs = networks.outputs_of(net(*networks.tensors(feed, dtype)))
            return [np.asarray(tensor.numpy()) for tensor in outputs]
    finally:
        paddle.set_default_dtype("float32")


def oracle(
    network: Mapping[str, Any],
    batches: Sequence[int],
    draws: int,
    additive: bool = False,
    rounding: float = ROUNDING,
) -> Dict[str, Any]:
    """Return float64 outputs ``[feed][output]``, and those of ``draws`` moved runs ``[draw][feed][output]``.

    Inputs, parameters and every intermediate value are moved by up to ``rounding`` times themselves. With
    ``additive`` every second draw moves them by that share of their tensor's largest element, which also
    breaks ties at zero. Draws grow to eight roundings; the even ones replace denormals by zero.
    """
    given = feeds(network, batches)
    net = build(network, "float64", watched=True)
    first = len(network["inputs"])
    coarse = {first + place for place, node in enumerate(network["nodes"]) if node["op"] in NEAR_ONE}
    outputs = [infer(net, feed, "float64") for feed in given]
    moved = []
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    for draw in range(draws):
        rng = np.random.default_rng([7, draw])
        size = rounding * (1, 2, 4, 8)[draw % 4]
        absolute = additive and draw % 2 == 1
        shift = functools.partial(_shifted, size=size, absolute=absolute, flush=draw % 2 == 0, rng=rng)
        net.set_state_dict(state)
        perturbation.move_network(net, size, rng)
        net.see = lambda number, value: _moved(value, shift, number in coarse)  # noqa: B023
        moved.append([infer(net, [shift(array) for array in feed], "float64") for feed in given])
    return {"outputs": outputs, "moved": moved}


def stored_in_bfloat16(network: Mapping[str, Any], batches: Sequence[int]) -> List[List[np.ndarray]]:
    """Return float64 outputs ``[feed][output]``; every value is rounded to bfloat16, inputs too."""

    def stored(array: np.ndarray, near_one: bool = False) -> np.ndarray:
        return round_to_bfloat16(array) if np.issubdtype(array.dtype, np.floating) else array

    net = build(network, "float64", watched=True)
    for parameter in net.parameters():
        parameter.set_value(stored(parameter.numpy()))
    net.see = lambda number, value: _moved(value, stored, False)
    return [infer(net, [stored(array) for array in feed], "float64") for feed in feeds(network, batches)]


def _moved(value: Any, shift: Callable[..., np.ndarray], near_one: bool) -> Any:
    if not paddle.is_floating_point(value) or not value.size:
        return value
    return paddle.to_tensor(shift(value.numpy(), near_one=near_one))


def _shifted(
    array: np.ndarray,
    size: float,
    absolute: bool,
    flush: bool,
    rng: np.random.Generator,
    near_one: bool = False,
) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.floating):
        return array
    # Values beyond float32's range become infinite: the oracle shows the overflow, so no tolerance hides it.
    with np.errstate(over="ignore", invalid="ignore"):
        wide = array.astype("float64")
        found = perturbation.moved(wide, size, rng)
        if near_one:
            found = np.where(wide < 0, found + size * rng.uniform(-1.0, 1.0, wide.shape), found)
        if absolute:
            finite = np.abs(wide[np.isfinite(wide)])
            scale = float(finite.max()) if finite.size else 0.0
            found = found + size * scale * rng.uniform(-1.0, 1.0, wide.shape)
        found = np.where(np.abs(found) > np.finfo("float32").max, np.sign(found) * np.inf, found)
        return np.where(np.abs(found) < TINY, 0.0, found) if flush else found
