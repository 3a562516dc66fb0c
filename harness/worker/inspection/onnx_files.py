"""What an ``.onnx`` file holds, whether engines can load it, and how two files differ."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any, Callable, Dict, List, Tuple

import numpy as np


def inspect(path: str) -> Dict[str, Any]:
    """Return size, opset, signature and operators of a file, and the complaints of three readers.

    ``checker`` is `onnx.checker`, ``shapes`` strict shape inference with types, ``loads`` onnxruntime:
    each is '' where the reader has no complaint, else its message. An empty or unreadable file has
    ``bytes`` and ``checker`` only.
    """
    import onnx

    size = os.path.getsize(path)
    if not size:
        return {"bytes": 0, "checker": "the file is empty"}
    try:
        model = onnx.load(path)
    except Exception as error:  # one of protobuf's types
        return {"bytes": size, "checker": f"{type(error).__name__}: {error}"}
    return {
        "bytes": size,
        "opset": next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx")),
        "domains": sorted(item.domain for item in model.opset_import),
        "ir": int(model.ir_version),
        "inputs": [_signature(item) for item in model.graph.input],
        "outputs": [_signature(item) for item in model.graph.output],
        "operators": dict(Counter(node.op_type for node in model.graph.node)),
        "checker": _complaint(lambda: onnx.checker.check_model(model)),
        "shapes": _complaint(
            lambda: onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        ),
        "loads": _complaint(lambda: session(path)),
    }


def session(model: Any, threads: int = 0) -> Any:
    """Open a file, or a model's bytes, with onnxruntime, which says nothing; ``threads`` 0: its default."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _complaint(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except Exception as error:  # each reader has other types
        return f"{type(error).__name__}: {error}"
    return ""


def _signature(item: Any) -> List[Any]:
    """Return name, shape (None where it is dynamic) and dtype of an input or output."""
    import onnx

    tensor = item.type.tensor_type
    shape = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    return [item.name, shape, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name]


def differences(first: str, second: str) -> List[str]:
    """Return in words how two files differ; names of tensors and nodes are ignored."""
    import onnx

    models = [onnx.load(path) for path in (first, second)]
    facts = [_facts(model) for model in models]
    found = [f"{what}: {a!r} and {b!r}" for (what, a), (_, b) in zip(*facts) if a != b]
    operators = [Counter(node.op_type for node in model.graph.node) for model in models]
    for name in sorted(operators[0] | operators[1]):
        if operators[0][name] != operators[1][name]:
            found.append(f"{name} nodes: {operators[0][name]} and {operators[1][name]}")
    constants = [Counter(_constants(model)) for model in models]
    for index, other in ((0, 1), (1, 0)):
        for (dtype, shape, _), count in sorted((constants[index] - constants[other]).items()):
            found.append(f"only in the {'first' if not index else 'second'}: {count} {dtype}{list(shape)}")
    if not found and _nodes(models[0].graph) != _nodes(models[1].graph):
        found.append("the same operators in another order, or with other attributes")
    return found


def _facts(model: Any) -> List[Tuple[str, Any]]:
    graph = model.graph
    return [
        ("opsets", sorted((item.domain, item.version) for item in model.opset_import)),
        ("inputs", [_signature(item) for item in graph.input]),
        ("outputs", [_signature(item)[1:] for item in graph.output]),
    ]


def _constants(model: Any) -> List[Tuple[str, Tuple[int, ...], bytes]]:
    """Return dtype, shape and bytes of every initializer and constant."""
    from onnx import numpy_helper

    held = [numpy_helper.to_array(item) for item in model.graph.initializer]
    held += [
        numpy_helper.to_array(item.t)
        for node in model.graph.node
        if node.op_type == "Constant"
        for item in node.attribute
        if item.name == "value"
    ]
    return [(array.dtype.name, array.shape, array.tobytes()) for array in held]


def _nodes(graph: Any) -> List[Any]:
    """Return every operator with its attributes, including those of nested graphs."""
    return [
        (node.op_type, sorted((item.name, _attribute(item)) for item in node.attribute))
        for node in graph.node
        if node.op_type != "Constant"
    ]


def _attribute(item: Any) -> str:
    return repr(_nodes(item.g)) if item.HasField("g") else item.SerializeToString().hex()
