"""Save and load values of every kind, and return what came back."""

from __future__ import annotations

import io
import os
from typing import Any, Dict, List, Mapping

import numpy as np
import paddle

from harness.worker.models import networks
from harness.worker.models.states import bits


def load_arrays(path: str) -> Dict[str, np.ndarray]:
    """Load a state dict as arrays."""
    return {name: np.asarray(value) for name, value in paddle.load(path, return_numpy=True).items()}


def state_of(path: str, return_numpy: bool = False) -> Dict[str, Any]:
    """Load a state dict: arrays, and of each tensor in it dtype, ``stop_gradient`` and generated name."""
    return _shown(paddle.load(path, return_numpy=return_numpy))


def _shown(state: Mapping[str, Any]) -> Dict[str, Any]:
    facts = {
        name: {
            "dtype": str(value.dtype).split(".")[-1],
            "stop_gradient": bool(value.stop_gradient),
            "name": str(value.name),
        }
        for name, value in state.items()
        if hasattr(value, "stop_gradient")
    }
    return {"arrays": {name: bits(value) for name, value in state.items()}, "facts": facts}


def save_network(model: str, weights: str, out: str, protocol: int = 4) -> Dict[str, Any]:
    """Save a network's state dict with `paddle.save`; return the state that was in memory."""
    net = networks.network(networks.get(model), weights)
    state = net.state_dict()
    paddle.save(state, out, protocol=protocol)
    return _shown(state)


def set_and_read(model: str, path: str) -> Dict[str, Any]:
    """Set the saved state in a new network; return the network's state and the names not matched."""
    net = networks.get(model).build(**networks.get(model).arguments)
    missing, unexpected = net.set_state_dict(paddle.load(path))
    return {**_shown(net.state_dict()), "missing": list(missing), "unexpected": list(unexpected)}


def save_dtype(dtype: str, out: str) -> Dict[str, Any]:
    """Save tensors of one dtype (of rank 2, of rank 0, and without elements) in one dict.

    Values include the type's extremes, a negative zero and a NaN where the type has them.
    """
    rng = np.random.default_rng(7)
    state = {}
    for name, shape in (("matrix", [16, 9]), ("scalar", []), ("empty", [0, 3]), ("vector", [5])):
        values = rng.normal(0, 3, shape) if dtype != "bool" else rng.integers(0, 2, shape)
        if dtype.startswith("complex"):
            values = values + 1j * rng.normal(0, 3, shape)
        state[name] = paddle.to_tensor(
            np.asarray(values).astype("complex64" if "complex" in dtype else "float32")
        ).astype(dtype)
    if dtype.startswith(("float", "bfloat")) and "float8" not in dtype:
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 65504.0], "float32")
        state["special"] = paddle.to_tensor(special).astype(dtype)
    paddle.save(state, out)
    return _shown(state)


# Nested objects: described by plain values, so that both sides can build and compare them.


def build(description: Any) -> Any:
    """Build the object that a description stands for; :func:`describe` has the form."""
    kind, content = description
    if kind == "dict":
        return {key: build(item) for key, item in content}
    if kind in ("list", "tuple"):
        items = [build(item) for item in content]
        return items if kind == "list" else tuple(items)
    if kind == "tensor":
        return paddle.to_tensor(content)
    return content


def describe(value: Any) -> Any:
    """Return a nested object as ``[kind, content]``: dict, list, tuple, tensor, array, or a value's type."""
    if isinstance(value, dict):
        return ["dict", [[key, describe(item)] for key, item in value.items()]]
    if isinstance(value, (list, tuple)):
        return ["list" if isinstance(value, list) else "tuple", [describe(item) for item in value]]
    if isinstance(value, paddle.Tensor):
        return ["tensor", bits(value)]
    if isinstance(value, np.ndarray):
        return ["array", value]
    return [type(value).__name__, value]


def save_object(description: Any, out: str, protocol: int, in_memory: bool) -> Dict[str, Any]:
    """Save the described object with `paddle.save` to a file, or to a `BytesIO` written to that file."""
    value = build(description)
    if in_memory:
        buffer = io.BytesIO()
        paddle.save(value, buffer, protocol=protocol)
        with open(out, "wb") as file:
            file.write(buffer.getvalue())
    else:
        paddle.save(value, out, protocol=protocol)
    return {"size": os.path.getsize(out)}


def load_object(path: str, in_memory: bool) -> Any:
    """Return the description of what `paddle.load` gives."""
    if in_memory:
        with open(path, "rb") as file:
            return describe(paddle.load(io.BytesIO(file.read())))
    return describe(paddle.load(path))


def save_load_objects(descriptions: List[Any], folder: str, protocol: int, in_memory: bool) -> List[Any]:
    """Save and load each description; return what came back. One call for many small examples."""
    came_back = []
    for index, description in enumerate(descriptions):
        path = os.path.join(folder, f"object-{index}.pdparams")
        save_object(description, path, protocol, in_memory)
        came_back.append(load_object(path, in_memory))
        os.remove(path)
    return came_back
