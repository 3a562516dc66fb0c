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
"""What the oracle widens to float64."""


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
    """The reference model of that name, or the user's.

    Raises:
        KeyError: there is none; the message lists those there are.
        Whatever loading a model of the user's raises.
    """
    if user.declared(name):
        found: ReferenceModel = user.get(name)
        return found
    if name not in _all():
        raise KeyError(f"no reference model {name!r}; there are {', '.join(_all())}")
    return _all()[name]


def catalog() -> List[Dict[str, Any]]:
    """Every reference model in plain values, for the controller."""
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
    """One feed of the model: an array per input."""
    return get(name).sample(batch, seed)


def network(model: ReferenceModel, weights: Optional[str] = None, dtype: str = "float32") -> Any:
    """A network seeded as the model says, with the parameters of ``weights`` if given.

    In float64 the parameters are the float32 ones widened: the oracle differs from the
    network under test in the arithmetic only.

    Raises:
        ValueError: the file lacks a parameter of the network, or has one it does not know.
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


def outputs_of(result: Any) -> List[Any]:
    """A network's result as a list of tensors, whichever way it nests them.

    Dicts by their sorted keys, as Paddle's export flattens them; what is no tensor is left out.
    """
    if isinstance(result, dict):
        return [tensor for key in sorted(result) for tensor in outputs_of(result[key])]
    if isinstance(result, (list, tuple)):
        return [tensor for item in result for tensor in outputs_of(item)]
    return [] if result is None or isinstance(result, (bool, int, float, str)) else [result]


def input_specs(model: ReferenceModel) -> List[Any]:
    """``paddle.static.InputSpec`` for each input, named as the model names it."""
    return [
        paddle.static.InputSpec(shape=list(spec.shape), dtype=spec.dtype, name=spec.name)
        for spec in model.inputs
    ]


def static_inputs(model: ReferenceModel) -> List[Any]:
    """`paddle.static.data` for each input, in the program that is being built."""
    return [paddle.static.data(spec.name, list(spec.shape), spec.dtype) for spec in model.inputs]


def tensors(feed: Sequence[np.ndarray], dtype: str = "float32") -> List[Any]:
    """A feed as tensors: as it is, or its floating inputs in another ``dtype`` than float32."""
    wider = dtype != "float32"
    return [
        paddle.to_tensor(array.astype(dtype) if wider and np.issubdtype(array.dtype, np.floating) else array)
        for array in feed
    ]
