"""What a compressed program should compute, derived from its file and the float network.

No quantized operator is used: Paddle's float network and NumPy compute everything.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import paddle

from harness.worker.inspection.compressed import Program, inspect
from harness.worker.models import networks
from harness.worker.training import loops

COPY = re.compile(r"_deepcopy_\d+$")
"""What Paddle adds to a parameter's name in a copied layer; PaddleSlim exports copied layers for PACT."""


def step_errors(
    folder: str, program: str, params: str, float_files: Mapping[str, str], bits: int = 8
) -> List[Dict[str, Any]]:
    """Return how far each quantized weight is from the float one of the same name, in steps of its scale.

    ``float_files``: ``folder``, ``program`` and ``params`` of the program before quantization. A weight
    that was rounded to the nearest level is off by at most half a step plus ``rounding``, the steps by which
    float32 division and multiplication move a weight at the last level. Layers without a float weight of
    the same name and shape are left out.
    """
    before = Program(float_files["folder"], float_files["program"], float_files["params"]).stored
    read = Program(folder, program, params)
    found = []
    for layer in inspect(folder, program, params, bits)["layers"]:
        weight = read.stored[layer["weight"]]
        original = before.get(layer["weight"])
        if original is None or original.shape != weight.shape or layer["scales"] is None:
            continue
        if layer["stored"] not in ("int8", "integers"):
            continue
        step = _scales(layer, weight.ndim) / layer["levels"]
        off = np.abs(weight.astype("float64") * step - original) / step
        found.append(
            {
                "weight": layer["weight"],
                "steps": float(off.max()),
                "rounding": layer["levels"] * float(np.finfo("float32").eps),
                "elements": int(weight.size),
            }
        )
    return found


def arrays(path: str) -> Dict[str, np.ndarray]:
    """Return the arrays of a recipe's ``.npz`` file, by name."""
    with np.load(path) as found:
        return {name: found[name] for name in found.files}


def ranges(model: str, weights: str, digits: str, batch: int, batches: int) -> List[Dict[str, Any]]:
    """Measure the input range of each convolution and linear layer of the float network, in running order.

    It runs the first ``batches`` batches of training digits. Returns for each layer its ``op`` (the class),
    the ``largest`` magnitude, and the ``mean`` of each example's largest magnitude.
    """
    stated = networks.get(model)
    arrays_, _ = loops.examples(stated, digits, "train", batch * batches)
    net = networks.network(stated, weights)
    net.eval()
    seen: Dict[int, List[float]] = {}
    kinds: Dict[int, str] = {}

    def watch(layer: Any, inputs: Any) -> None:
        kinds[id(layer)] = type(layer).__name__
        rows = inputs[0].numpy().reshape(inputs[0].shape[0], -1)
        seen.setdefault(id(layer), []).extend(np.abs(rows).max(axis=1).tolist())

    for layer in net.sublayers():
        if isinstance(layer, (paddle.nn.Conv2D, paddle.nn.Linear)):
            layer.register_forward_pre_hook(watch)
    with paddle.no_grad():
        for start in range(0, batch * batches, batch):
            net(*networks.tensors([array[start : start + batch] for array in arrays_]))
    return [
        {"op": kinds[key], "largest": max(values), "mean": float(np.mean(values))}
        for key, values in seen.items()
    ]


def simulate(
    model: str,
    folder: str,
    program: str,
    params: Optional[str],
    feeds: List[List[np.ndarray]],
    bits: int = 8,
) -> List[np.ndarray]:
    """Return the logits of the float network with a quantized program's weights, dequantized by NumPy.

    No quantized operator is used.

    Raises:
        LookupError: the program has other parameters than the network (layers were fused).
    """
    stored = {COPY.sub("", name): value for name, value in Program(folder, program, params).stored.items()}
    layers = inspect(folder, program, params, bits)["layers"]
    net = networks.network(networks.get(model))
    net.eval()
    by_weight = {COPY.sub("", layer["weight"]): layer for layer in layers}
    for item in (*net.parameters(), *net.buffers()):
        if item.name not in stored or list(item.shape) != list(stored[item.name].shape):
            raise LookupError(f"the program has no {item.name} of shape {list(item.shape)}")
        item.set_value(dequantized(stored[item.name], by_weight.get(item.name)).astype("float32"))
    with paddle.no_grad():
        return [networks.outputs_of(net(*networks.tensors(feed)))[0].numpy() for feed in feeds]


def dequantized(array: np.ndarray, layer: Optional[Dict[str, Any]]) -> np.ndarray:
    """Return a stored weight as the float values it stands for.

    Whole numbers are multiplied by their scale. So is any other weight with a scale and no quantizer in
    front of its layer: PaddleSlim's rounding by training leaves numbers that are not whole.
    """
    if layer is None or layer["scales"] is None:
        return array
    if layer["stored"] not in ("int8", "integers") and layer["quantizer"]:
        return array
    return array.astype("float64") * _scales(layer, array.ndim) / layer["levels"]


def _scales(layer: Dict[str, Any], ndim: int) -> np.ndarray:
    """A weight's scales, one or one for each channel, to be broadcast with the weight."""
    shape = [1] * ndim
    if len(layer["scales"]) > 1:
        shape[layer["axis"]] = len(layer["scales"])
    return np.asarray(layer["scales"]).reshape(shape)
