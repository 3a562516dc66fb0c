"""What a compressed program holds, read from its files: layers, weights, scales, cost.

Whether a program counts as quantized depends on its content, not on the call that made it. Each layer that
multiplies by a weight is followed back, through the operators that quantize and dequantize, to what the
file stores. Both encodings of PaddleSlim are read: `quantize_linear`/`dequantize_linear` on int8
weights (``onnx_format=True``), and `fake_*` operators on float32 weights that hold integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import paddle

from harness.worker.inspection import programs

LAYERS: Dict[str, Tuple[str, str]] = {
    "conv2d": ("Input", "Filter"),
    "depthwise_conv2d": ("Input", "Filter"),
    "conv2d_transpose": ("Input", "Filter"),
    "mul": ("X", "Y"),
    "matmul": ("X", "Y"),
    "matmul_v2": ("X", "Y"),
    "lookup_table_v2": ("Ids", "W"),
}
"""Operators that multiply by a weight, with the names of their data and their weight."""

QUANTIZERS = ("quantize", "dequantize")
STEPS = 127
"""Number of int8 steps on either side of zero: Paddle quantizes symmetrically."""
ON_GRID = 1e-3
"""How far a weight may be from a whole number of steps: float32 rounds at 127 steps by 1e-5."""
ON_FINE_GRID = 1e-2
"""The same at 32,767 steps, where float32 rounds by 2e-3."""


@dataclass
class Operator:
    """One operator with its tensors by slot, in either intermediate representation."""

    kind: str
    inputs: Dict[str, List[str]]
    outputs: List[str]
    attributes: Dict[str, Any] = field(default_factory=dict)


class Program:
    """Operators in order, the stored tensors by name, and shapes with the batch as -1.

    With a ``feed`` the program is run: ``fetched`` are its outputs, and inputs and outputs of operators of
    the kinds ``seen`` have the shapes of that run.
    """

    def __init__(
        self,
        folder: str,
        program: str,
        params: Optional[str],
        feed: Optional[List[np.ndarray]] = None,
        seen: Sequence[str] = (),
    ) -> None:
        with programs.static_mode():
            executor, loaded, feeds, fetches = programs.load(folder, program, params)
            scope = paddle.static.global_scope()
            self.operators: List[Operator] = []
            self.shapes: Dict[str, List[int]] = {}
            self.stored: Dict[str, np.ndarray] = {}
            self.values: Dict[str, Any] = {}
            self.fetched: List[np.ndarray] = []
            (self._read_pir if programs.is_pir(loaded) else self._read_legacy)(loaded)
            for item in programs.parameters(loaded):
                found = scope.find_var(item["name"])
                if found is not None:
                    self.stored[item["name"]] = np.array(found.get_tensor())
            if feed is not None:
                self._observe(executor, loaded, dict(zip(feeds, feed)), fetches, seen)
            self.values.clear()  # they end with the program
        self.makers = {name: op for op in self.operators for name in op.outputs}

    def _observe(
        self, executor: Any, loaded: Any, feed: Dict[str, np.ndarray], fetches: Any, seen: Sequence[str]
    ) -> None:
        given = {op.outputs[0]: op.attributes["name"] for op in self.operators if op.kind == "data"}
        given = given or {name: name for name in feed}
        self.shapes.update((name, list(feed[own].shape)) for name, own in given.items())
        wanted = [
            name
            for op in self.operators
            if op.kind in seen
            for name in [*(name for slot in op.inputs.values() for name in slot), *op.outputs]
        ]
        asked = {n: self.values[n] for n in wanted if n in self.values and n not in given}
        fetches = programs.taken_fetches(loaded, fetches)
        found = executor.run(loaded, feed=feed, fetch_list=[*asked.values(), *fetches])
        self.shapes.update((name, list(np.shape(array))) for name, array in zip(asked, found))
        self.fetched = [np.asarray(array) for array in found[len(asked) :]]

    def _read_legacy(self, loaded: Any) -> None:
        block = loaded.global_block()
        for op in block.ops:
            inputs = {slot: list(op.input(slot)) for slot in op.input_names}
            attributes = {name: op.attr(name) for name in op.attr_names}
            self.operators.append(Operator(op.type, inputs, list(op.output_arg_names), attributes))
        for name, variable in block.vars.items():
            if variable.type not in _SHAPELESS:
                self.shapes[name] = list(variable.shape)
                if not variable.persistable:
                    self.values[name] = variable

    def _read_pir(self, loaded: Any) -> None:
        names: Dict[int, str] = {}

        def named(value: Any) -> str:
            # A missing optional input or output of an operator has no id.
            return names.setdefault(value.id, f"%{len(names)}") if value.initialized() else ""

        for op in loaded.global_block().ops:
            kind = op.name().split(".", 1)[-1]
            if kind == "parameter":
                names[op.results()[0].id] = op.attrs()["parameter_name"]
            slots = [] if list(op.blocks()) or not op.name().startswith("pd_op.") else op.get_input_names()
            operands = [named(value) for value in op.operands_source()]
            inputs = {_SLOTS.get(slot, slot): [name] for slot, name in zip(slots, operands)}
            if kind == "combine":
                inputs = {"X": operands}
            results = [value for value in op.results() if value.initialized()]
            dense = {named(value): value for value in results if value.is_dense_tensor_type()}
            self.shapes.update((name, list(value.shape)) for name, value in dense.items())
            if kind != "parameter":
                self.values.update(dense)
            kind = "matmul_v2" if kind == "matmul" else kind
            self.operators.append(Operator(kind, inputs, [named(value) for value in results], op.attrs()))


_SHAPELESS = tuple(
    getattr(paddle.base.core.VarDesc.VarType, name) for name in ("FEED_MINIBATCH", "FETCH_LIST", "RAW")
)
_SLOTS = {"input": "Input", "filter": "Filter", "x": "X", "y": "Y", "scale": "Scale"}


def inspect(folder: str, program: str, params: Optional[str] = None, bits: int = 8) -> Dict[str, Any]:
    """Return layers, scales, parameters and cost of a program; ``bits`` is that of its quantized weights.

    Returns ``operators`` (counts by type), ``layers`` (see :func:`_layer`), ``scales`` (one entry per
    operator that quantizes an activation), ``elements`` of all parameters, ``dtypes`` of the weights,
    and ``macs``, multiply-accumulate operations for one example.

    Raises:
        Whatever `load_inference_model` raises: a ``.pdmodel`` needs a process in legacy IR.
    """
    read = Program(folder, program, params)
    counts: Dict[str, int] = {}
    for op in read.operators:
        counts[op.kind] = counts.get(op.kind, 0) + 1
    layers = [
        _layer(read, op, 2 ** (bits - 1) - 1)
        for op in read.operators
        if op.kind in LAYERS and _origin(read, op.inputs[LAYERS[op.kind][1]][0])[0] in read.stored
    ]
    names = {layer["weight"] for layer in layers}
    return {
        "operators": counts,
        "layers": layers,
        "elements": int(sum(read.stored[name].size for name in _parameters(read, names))),
        "dtypes": sorted({layer["dtype"] for layer in layers}),
        "macs": int(sum(layer["macs"] for layer in layers)),
    }


def _parameters(read: Program, weights: Any) -> List[str]:
    """Return the network's parameters, without scales, zero points and states of quantizers."""
    helpers = set()
    for op in read.operators:
        if any(word in op.kind for word in QUANTIZERS):
            for slot, names in op.inputs.items():
                if slot not in ("X", "x"):
                    helpers.update(names)
    return [name for name in read.stored if name in weights or name not in helpers]


def _origin(read: Program, name: str) -> Tuple[str, List[Operator]]:
    """Return the name of a layer's tensor before its quantizers, and the quantizers, the nearest last."""
    chain: List[Operator] = []
    while name in read.makers:
        op = read.makers[name]
        if not any(word in op.kind for word in QUANTIZERS):
            break
        chain.insert(0, op)
        name = op.inputs["X"][0]
    return name, chain


def _scale_of(read: Program, op: Operator) -> Tuple[str, Optional[np.ndarray]]:
    """Return name and values of an operator's scale."""
    for slot in ("Scale", "InScale", "Scales"):
        for name in op.inputs.get(slot, []):
            if name in read.stored:
                return name, read.stored[name].reshape(-1).astype("float64")
    return "", None


def _layer(read: Program, op: Operator, levels: int) -> Dict[str, Any]:
    """Describe a layer that multiplies by a stored weight, with ``levels`` steps on either side of zero.

    ``stored`` says how the file has the weight: ``"int8"`` (dtype), ``"integers"`` (float32 that holds
    whole numbers), ``"grid"`` (float32 on equal steps), ``"float"``. ``quantizer`` is the
    operator that quantizes a float weight as the program runs, or ``""``. ``scales`` are the
    weight's, ``activation_scale`` its input's (None: the input is not quantized).
    """
    data_slot, weight_slot = LAYERS[op.kind]
    weight, chain = _origin(read, op.inputs[weight_slot][0])
    data, data_chain = _origin(read, op.inputs[data_slot][0])
    array = read.stored[weight]
    axis = _channel_axis(op.kind, array)
    behind = _dequantizer(read, op)
    scaled = next((o for o in reversed(chain) if _scale_of(read, o)[1] is not None), behind)
    scale_name, scales = _scale_of(read, scaled) if scaled is not None else ("", None)
    if scaled is not None and scaled is behind and scaled.kind == "fake_dequantize_max_abs":
        # Its scale is the input's; the weight's scale is in the range that it divides by.
        scale_name, scales = "", np.array([levels**2 / scaled.attributes["max_range"]])
    input_scales = [s for s in (_scale_of(read, o)[1] for o in data_chain) if s is not None]
    return {
        "op": op.kind,
        "output": op.outputs[0],
        "input": data,
        "weight": weight,
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "stored": _stored(array, axis, levels),
        "levels": levels,
        "quantizer": next((o.kind for o in chain if "quantize" in o.kind and array.dtype != np.int8), ""),
        "zeros": float((array == 0).mean()),
        "axis": axis,
        "scale_name": scale_name,
        "scales": None if scales is None else scales.tolist(),
        "activation_scale": float(input_scales[0].max()) if input_scales else None,
        "activation_quantizer": data_chain[0].kind if data_chain else "",
        "macs": _macs(read, op, array),
    }


def _dequantizer(read: Program, op: Operator) -> Optional[Operator]:
    """Return the `fake_*dequantize*` operator after a layer, which holds the scales of its weight."""
    for other in read.operators:
        if "dequantize" in other.kind and other.inputs.get("X", [""])[0] in op.outputs:
            return other
    return None


def _channel_axis(kind: str, array: np.ndarray) -> int:
    """Return the axis of the output channels: the first of a convolution, the last of a matrix."""
    return 0 if "conv" in kind and "transpose" not in kind else array.ndim - 1 if array.ndim == 2 else 1


def _stored(array: np.ndarray, axis: int, levels: int) -> str:
    if array.dtype == np.int8:
        return "int8"
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        return str(array.dtype)
    if np.abs(array).max() > 1 and (array == np.round(array)).all() and np.abs(array).max() <= levels:
        return "integers"
    return "grid" if on_grid(array, axis, levels) == 1.0 else "float"


def on_grid(array: np.ndarray, axis: int, levels: int = STEPS) -> float:
    """Return the share of channels whose values are whole multiples of a step, at most ``levels`` from zero.

    A channel of a few values is on such a grid by chance, one of nine or more practically never. A grid
    of more than 127 levels has its last level at the largest value, of the channel or of all channels.
    """
    rows = np.moveaxis(np.asarray(array, "float64"), axis, 0).reshape(array.shape[axis], -1)
    top = np.abs(rows).max(axis=1, keepdims=True)
    if levels > STEPS:
        return max(_share_whole(rows * levels, scale) for scale in (top, top.max(keepdims=True)))
    unit = np.divide(rows, top, out=np.zeros_like(rows), where=top > 0)
    found = np.zeros(len(rows), bool)
    for steps in range(1, STEPS + 1):
        scaled = unit * steps
        found |= np.abs(scaled - np.round(scaled)).max(axis=1) < ON_GRID
    return float(found.mean())


def _share_whole(rows: np.ndarray, scale: np.ndarray) -> float:
    """Return the share of rows whose values are whole multiples of their scale, within float32's rounding."""
    scaled = np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0)
    return float((np.abs(scaled - np.round(scaled)).max(axis=1) < ON_FINE_GRID).mean())


def _macs(read: Program, op: Operator, weight: np.ndarray) -> int:
    """Return the multiply-accumulate operations of a layer for one example."""
    if op.kind == "lookup_table_v2":
        return 0  # it copies rows
    shape = read.shapes.get(op.outputs[0], [])
    if "conv" in op.kind:
        out = int(np.prod(shape[2:])) if len(shape) == 4 else 0
        return int(weight.size) * out
    rows = int(np.prod([size for size in shape[1:-1] if size > 0])) if len(shape) > 2 else 1
    return int(weight.size) * rows
