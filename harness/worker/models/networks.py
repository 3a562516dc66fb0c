"""Finding reference models and turning them into networks."""

from __future__ import annotations

import importlib
import os
import pkgutil
from functools import lru_cache
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import paddle

from harness.worker.models import user
from harness.worker.models.model import ReferenceModel

NARROW = (np.float32, np.float16)
"""Floating types, which the oracle widens to float64."""


@lru_cache(maxsize=1)
def _all() -> Dict[str, ReferenceModel]:
    import reference_models

    found: Dict[str, ReferenceModel] = {}
    for info in sorted(pkgutil.iter_modules(reference_models.__path__), key=lambda info: info.name):
        module = importlib.import_module("reference_models." + info.name)
        models = getattr(module, "MODELS", None) or [module.MODEL]
        for model in models:
            if model.name in found:
                raise ValueError(f"two reference models are named {model.name}")
            found[model.name] = model
    return found


def get(name: str) -> ReferenceModel:
    """Return the reference model or user model of that name.

    Raises:
        KeyError: there is no such model; the message lists the existing ones.
        Whatever loading a user model raises.
    """
    if user.declared(name):
        found: ReferenceModel = user.get(name)
        return found
    if name not in _all():
        raise KeyError(f"there is no reference model {name!r}: take one of {', '.join(_all())}")
    return _all()[name]


def catalog() -> List[Dict[str, Any]]:
    """Return every reference model in plain values, for the controller."""
    return [
        {
            "name": model.name,
            "summary": model.summary,
            "document": model.document,
            "tier": model.tier,
            "role": model.role,
            "inputs": [[spec.name, list(spec.shape), spec.dtype] for spec in model.inputs],
            "outputs": list(model.outputs),
            "trained": model.training is not None,
            "converted": model.converted,
            "accuracy": model.training.accuracy if model.training else None,
            "file": os.path.basename(importlib.import_module(model.build.__module__).__file__ or ""),
        }
        for model in _all().values()
    ]


def sample(name: str, batch: int, seed: int = 0) -> List[np.ndarray]:
    """Return a feed of the model: an array per input."""
    return get(name).sample(batch, seed)


def network(model: ReferenceModel, weights: Optional[str] = None, dtype: str = "float32") -> Any:
    """Build a network with the model's seed, and with the parameters of ``weights`` if given.

    In float64 the parameters are the float32 ones widened: the oracle differs from the
    network under test in the arithmetic only.

    Raises:
        ValueError: the file lacks a parameter of the network, or has one that the network lacks.
    """
    paddle.seed(model.seed)
    net = model.build(**model.arguments)
    if dtype != "float32":
        # Not `net.to(dtype=...)`: it also casts integer buffers, and raises on an LSTM's empty one.
        net._to_impl(dtype=dtype, include_sublayers=True, floating_only=True)
    if weights is not None:
        state = paddle.load(weights, return_numpy=True)
        missing, unexpected = net.set_state_dict(
            {
                name: value.astype(dtype) if dtype != "float32" and value.dtype in NARROW else value
                for name, value in ((k, np.asarray(v)) for k, v in state.items())
            }
        )
        if missing or unexpected:
            raise ValueError(f"{weights}: missing {missing}, unexpected {unexpected}")
    return net


def called(net: Any, model: ReferenceModel, feed: Sequence[np.ndarray], dtype: str = "float32") -> List[Any]:
    """Call a network with a feed; return its outputs as :func:`outputs_of` does.

    Raises:
        TypeError: it gives no tensor, or something else.
    """
    outputs = outputs_of(net(*model.packed(tensors(feed, dtype))))
    strange = {type(output).__name__ for output in outputs if not isinstance(output, paddle.Tensor)}
    if strange or not outputs:
        raise TypeError(f"forward gives {', '.join(sorted(strange)) or 'nothing'}, not tensors")
    return outputs


def outputs_of(result: Any) -> List[Any]:
    """Return a network's result as a list of tensors, however they are nested.

    Dicts are read by sorted keys, as Paddle's export flattens them; only tensors are kept.
    """
    if isinstance(result, dict):
        return [tensor for key in sorted(result) for tensor in outputs_of(result[key])]
    if isinstance(result, (list, tuple)):
        return [tensor for item in result for tensor in outputs_of(item)]
    return [] if result is None or isinstance(result, (bool, int, float, str)) else [result]


def input_specs(model: ReferenceModel) -> List[Any]:
    """Return what `to_static` takes: an ``InputSpec`` for each input, nested as in ``forward``."""
    flat = [
        paddle.static.InputSpec(shape=list(spec.shape), dtype=spec.dtype, name=spec.name)
        for spec in model.inputs
    ]
    return list(model.packed(flat))


def static_inputs(model: ReferenceModel) -> List[Any]:
    """`paddle.static.data` for each input, in the program that is being built."""
    return [paddle.static.data(spec.name, list(spec.shape), spec.dtype) for spec in model.inputs]


def tensors(feed: Sequence[np.ndarray], dtype: str = "float32") -> List[Any]:
    """Return a feed as tensors, its floating inputs in ``dtype`` if that is not float32."""
    wider = dtype != "float32"
    return [
        paddle.to_tensor(array.astype(dtype) if wider and np.issubdtype(array.dtype, np.floating) else array)
        for array in feed
    ]
