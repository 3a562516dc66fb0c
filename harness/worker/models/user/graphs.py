"""Form `graph`: a captured graph as PaddlePaddle's GraphNet publishes it.

It is a folder with ``model.py`` (``class GraphModule`` whose ``forward`` takes parameters and data by
name), ``input_meta.py`` and ``weight_meta.py`` (one class per tensor: name, shape, dtype, and what
is known about its values). The layer made from it owns the parameters and takes the data.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
import sys
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from harness.worker.models.model import Input
from harness.worker.models.user import inputs as users_inputs
from harness.worker.models.user import layers

SEED = 2026


@dataclass(frozen=True)
class Tensor(Input):
    """A tensor of a graph, drawn as GraphNet draws it.

    ``data`` holds captured values, if any. Otherwise integers are drawn from ``low`` to below
    ``high``; floats around ``mean`` with a fifth of ``std``, clipped to the range, or without these,
    uniformly in the range.
    """

    mean: Optional[float] = None
    std: Optional[float] = None
    data: Optional[np.ndarray] = None

    def sample(self, batch: int, rng: np.random.Generator) -> np.ndarray:
        if self.data is not None:
            return self.data
        if self.mean is None or self.std is None or not np.issubdtype(np.dtype(self.dtype), np.inexact):
            return super().sample(batch, rng)
        values = rng.standard_normal(self.size(batch)) * self.std * 0.2 + self.mean
        return np.clip(values, self.low, self.high).astype(self.dtype)


def model(given: Mapping[str, Any]) -> users_inputs.UserModel:
    """Return the declared model.

    Raises:
        Whatever the graph's files raise, or ValueError: no file describes an argument of `forward`.
    """
    _, inputs, _ = _read(given["path"])
    found = users_inputs.with_specs(inputs, given["spec"])
    examples = users_inputs.load_examples(given["inputs"]) if given["inputs"] else {}
    return users_inputs.UserModel(
        name=given["name"],
        summary="captured graph",
        build=functools.partial(_build, given["path"], given["scratch"]),
        inputs=tuple(found),
        outputs=tuple(given.get("outputs", ())),
        converted=True,
        form="graph",
        examples=users_inputs.matched(examples, found),
    )


def size(path: str) -> int:
    """Return the bytes of the graph's parameters and inputs, from their shapes; nothing is allocated."""
    _, inputs, weights = _read(path)
    return sum(spec.nbytes for spec in [*inputs, *weights])


def _read(path: str) -> Tuple[List[str], List[Tensor], List[Tensor]]:
    """Return the argument names of the graph's `forward`, and its inputs and weights in that order."""
    arguments = list(inspect.signature(_graph(path).forward).parameters)[1:]
    inputs, weights = (_metas(os.path.join(path, name + ".py")) for name in ("input_meta", "weight_meta"))
    lacking = [name for name in arguments if name not in inputs and name not in weights]
    if lacking:
        raise ValueError(
            f"forward takes {', '.join(lacking[:3])}{' and more' if len(lacking) > 3 else ''}, which neither "
            "input_meta.py nor weight_meta.py describes"
        )
    return (
        arguments,
        [inputs[name] for name in arguments if name in inputs],
        [weights[name] for name in arguments if name not in inputs],
    )


def _graph(path: str) -> Any:
    module = layers.load(os.path.join(path, "model.py"))
    if not hasattr(module, "GraphModule"):
        raise ValueError(f"{os.path.join(path, 'model.py')} has no class GraphModule")
    return module.GraphModule


@functools.lru_cache(maxsize=64)
def _metas(file: str) -> Dict[str, Tensor]:
    """Return the tensors of a meta file by name; {} where the file is missing, as in some graphs."""
    if not os.path.exists(file):
        return {}
    spec = importlib.util.spec_from_file_location("user_model_meta", file)
    assert spec is not None, file
    assert spec.loader is not None, file
    module = importlib.util.module_from_spec(spec)
    quiet, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = quiet
    classes = [value for value in vars(module).values() if inspect.isclass(value) and hasattr(value, "name")]
    return {meta.name: _tensor(meta) for meta in classes}


def _tensor(meta: Any) -> Tensor:
    shape = tuple(1 if size is None else int(size) for size in getattr(meta, "shape", ()))
    dtype = users_inputs.dtype_name(str(getattr(meta, "dtype", "float32")).split(".")[-1])
    low = _first(meta, ("min_val", "low"), 0)
    high = _first(meta, ("max_val", "high"), 2)
    if np.issubdtype(np.dtype(dtype), np.integer):
        low, high = int(low), int(high) + 1
    data = getattr(meta, "data", None)
    return Tensor(
        meta.name,
        shape,
        dtype,
        low,
        high,
        mean=_first(meta, ("mean",), None),
        std=_first(meta, ("std",), None),
        data=None if data is None else np.asarray(data, dtype).reshape(shape),
    )


def _first(meta: Any, names: Sequence[str], default: Any) -> Any:
    return next((getattr(meta, name) for name in names if getattr(meta, name, None) is not None), default)


# The layer


def values(path: str) -> Dict[str, np.ndarray]:
    """Draw the graph's weights; each one's seed is its position, so that one more weight changes no other."""
    weights = _read(path)[2]
    return {
        spec.name: spec.sample(1, np.random.default_rng([SEED, index])) for index, spec in enumerate(weights)
    }


def _build(path: str, scratch: str) -> Any:
    arguments, inputs, _ = _read(path)
    file = _write_wrapper(path, scratch, arguments, [spec.name for spec in inputs])
    return layers.load(file).Captured(_graph(path)(), values(path))


_WRAPPER = '''"""The layer that owns the parameters of the graph in {path}.

Written by the harness: exporting needs a `forward` with named arguments whose source is a file.
"""

import paddle


class Captured(paddle.nn.Layer):
    def __init__(self, graph, values):
        super().__init__()
        self.graph = graph
        for name, value in values.items():
            if value.dtype.kind == "f":
                initial = paddle.nn.initializer.Assign(value)
                held = self.create_parameter(
                    list(value.shape), dtype=value.dtype.name, default_initializer=initial
                )
                self.add_parameter(name, held)
            else:
                self.register_buffer(name, paddle.to_tensor(value))

    def forward(self, {inputs}):
        return self.graph(
{passed}
        )
'''


def _write_wrapper(path: str, scratch: str, arguments: Sequence[str], inputs: Sequence[str]) -> str:
    """Write the wrapper's file and return its path: the same graph gives the same text and path."""
    lines = (f"            {n}={n if n in inputs else 'self.' + n}," for n in arguments)
    text = _WRAPPER.format(path=path, inputs=", ".join(inputs), passed="\n".join(lines))
    digest = users_inputs.digest(text)
    file = os.path.join(scratch, f"captured_{digest}.py")
    if not os.path.exists(file):
        os.makedirs(scratch, exist_ok=True)
        part = f"{file}.{os.getpid()}"
        with open(part, "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(part, file)
    return file
