"""Where an ONNX model leaves Paddle's program: its intermediate tensors beside the program's own values.

paddle2onnx names tensors after what they were converted from: by the variable of a ``.pdmodel``, or by
the operator of the new IR, its number among those of its kind, and its result. So every such tensor has
a counterpart that Paddle's static executor can fetch. Tensors that the conversion made up (shapes, the
sum before a bias that Paddle adds in one operator) have none, nor have those inside loops.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Mapping

import numpy as np

from harness.worker.inspection import programs

DIVERGES = 1e-3
"""Share of a tensor's root mean square that the two may differ by. Float32 engines differ by a
millionth of it, and a wrong weight by a tenth: this tells a cause, and judges nothing."""


def first_diverging(
    path: str, folder: str, program: str, params: str, inputs: List[str], feed: List[np.ndarray]
) -> Dict[str, Any]:
    """The first node whose output is not the value that Paddle's program has there.

    ``path`` is the ``.onnx`` file; ``folder``, ``program`` and ``params`` what it was converted from;
    ``feed`` an array for each of ``inputs``. Returns ``nodes`` (number of nodes that are no
    constants), ``compared`` (tensors
    with a counterpart), and ``first`` ('' if none diverges): the node's name, with its ``operator``,
    ``tensor``, the ``counterpart``'s ``error`` and ``scale`` (both root mean squares), and the nodes
    ``between`` it and the last tensors that agree, in which the cause must lie as well.
    """
    import onnx

    model = onnx.load(path)
    given = dict(zip(inputs, feed))
    found = {**given, **intermediates(model, given)}
    expected = counterparts(folder, program, params, [item.name for item in model.graph.output], given)
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    agreeing = set(given)
    compared = 0
    for node in nodes:
        for tensor in node.output:
            if tensor not in expected or tensor not in found:
                continue
            compared += 1
            error, scale = _distance(found[tensor], expected[tensor])
            if error <= DIVERGES * scale or _is_another(found[tensor], expected):
                agreeing.add(tensor)
                continue
            suspects = _between(nodes, tensor, agreeing)
            first = next((item for item in suspects if item.op_type != "Identity"), node)
            return {
                "nodes": len(nodes),
                "compared": compared,
                "first": first.name or first.output[0],
                "operator": first.op_type,
                "tensor": tensor,
                "error": error,
                "scale": scale,
                "between": [item.name or item.output[0] for item in suspects],
            }
    return {"nodes": len(nodes), "compared": compared, "first": ""}


def _between(nodes: List[Any], tensor: str, agreeing: set) -> List[Any]:
    """The nodes that the tensor is made by, back to tensors that agree, in the graph's order."""
    made_by = {output: node for node in nodes for output in node.output}
    kept, waiting = set(), [tensor]
    while waiting:
        name = waiting.pop()
        node = made_by.get(name)
        if node is None or name in agreeing or id(node) in kept:
            continue
        kept.add(id(node))
        waiting += node.input
    return [node for node in nodes if id(node) in kept]


def intermediates(model: Any, feed: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Every tensor that a node of the graph gives, by name, from onnxruntime: each is made an output."""
    import onnx
    import onnxruntime

    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    known = {item.name for item in exposed.graph.output}
    for node in exposed.graph.node:
        for name in node.output:
            if name and name not in known and node.op_type != "Constant":
                exposed.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        exposed.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [item.name for item in session.get_outputs()]
    return {
        name: value
        for name, value in zip(names, session.run(names, dict(feed)))
        if isinstance(value, np.ndarray)
    }


def counterparts(
    folder: str, program: str, params: str, outputs: List[str], feed: Mapping[str, np.ndarray]
) -> Dict[str, np.ndarray]:
    """The program's own values, from the static executor, by the names that paddle2onnx gives them.

    ``outputs`` are the file's: what the program fetches, whatever paddle2onnx calls it.
    """
    with programs.static_mode():
        executor, loaded, _, fetches = programs.load(folder, program, params)
        fetches = programs.taken_fetches(loaded, fetches)
        asked = _values(loaded) if programs.is_pir(loaded) else _variables(loaded)
        asked.update(zip(outputs, fetches))
        arrays = executor.run(loaded, feed=dict(feed), fetch_list=list(asked.values()))
    return {name: np.asarray(array) for name, array in zip(asked, arrays) if array is not None}


def _variables(program: Any) -> Dict[str, Any]:
    """Results of the operators of a ``.pdmodel``'s main block: a variable each, by its own name."""
    block = program.global_block()
    results = [name for op in block.ops if op.type not in ("feed", "fetch") for name in op.output_arg_names]
    return {
        name: block.var(name)
        for name in results
        if block.has_var(name) and _is_tensor(block.var(name)) and not block.var(name).persistable
    }


def _is_tensor(variable: Any) -> bool:
    return "LOD_TENSOR" in str(variable.type) and "ARRAY" not in str(variable.type)


def _values(program: Any) -> Dict[str, Any]:
    """Results of the operators of the new IR's main block, as paddle2onnx counts them."""
    found: Dict[str, Any] = {}
    counted: Counter = Counter()
    for op in program.global_block().ops:
        name, number = op.name(), counted[op.name()]
        counted[name] += 1
        if not name.startswith("pd_op.") or name in ("pd_op.data", "pd_op.fetch"):
            continue
        for index, value in enumerate(op.results()):
            if _fetchable(value):
                found[f"p2o.{name}.{number}.{index}"] = value
    return found


def _fetchable(value: Any) -> bool:
    return bool(value.is_dense_tensor_type())


def _is_another(got: np.ndarray, expected: Mapping[str, np.ndarray]) -> bool:
    """Whether it is another of the program's values: fused with its bias, a convolution keeps its name."""
    if not np.issubdtype(got.dtype, np.floating):
        return False
    alike = [array for array in expected.values() if array.size == got.size]
    return any(error <= DIVERGES * scale for error, scale in (_distance(got, array) for array in alike))


def _distance(got: np.ndarray, expected: np.ndarray) -> Any:
    """Root mean squares of the difference and of what is expected; infinite where they are no pair."""
    if got.size != expected.size:
        return float("inf"), 1.0
    if not np.issubdtype(expected.dtype, np.floating):
        return (0.0 if np.array_equal(got.reshape(-1), expected.reshape(-1)) else float("inf")), 1.0
    a, b = got.astype("float64").reshape(-1), expected.astype("float64").reshape(-1)
    both = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf"), 1.0
    if not both.any():
        return 0.0, 1.0
    rms = [float(np.sqrt(np.mean(np.square(array[both])))) for array in (a - b, b)]
    return rms[0], max(rms[1], 1e-12)
