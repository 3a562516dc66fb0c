"""Where an ONNX model diverges from Paddle's program: compares its intermediate tensors with the program's.

paddle2onnx names a tensor after its source: the variable of a ``.pdmodel``, or in the new IR the operator,
its number among those of its kind, and the index of the result. So every such tensor has a counterpart that
Paddle's static executor can fetch. Tensors that only the conversion made (shapes, the sum before a bias that
Paddle adds in the same operator) and tensors inside loops have none.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Mapping

import numpy as np

from harness.worker.inspection import onnx_files, programs

DIVERGES = 1e-3
"""Largest difference of the two, as a share of the tensor's root mean square. Float32 engines differ by a
millionth of it, a wrong weight by a tenth. It only helps to find a cause; no verdict depends on it."""


def first_diverging(
    path: str, folder: str, program: str, params: str, inputs: List[str], feed: List[np.ndarray]
) -> Dict[str, Any]:
    """Find the first node whose output differs from the value in Paddle's program.

    ``path`` is the ``.onnx`` file; ``folder``, ``program`` and ``params`` are what it was converted from;
    ``feed`` has an array for each of ``inputs``. Returns ``nodes`` (number of nodes without constants),
    ``compared`` (number of tensors with a counterpart), and ``first`` ('' if none diverges): the node's
    name, with its ``operator``, ``tensor``, ``error`` (RMS of the difference), ``scale`` (RMS of the
    counterpart), and the nodes ``between`` it and the last tensors that agree: one of them is the cause.
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
    """Return the nodes that compute the tensor, back to tensors that agree, in the graph's order."""
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
    """Return every node's output tensors by name, from onnxruntime: each is made an output of the graph."""
    import onnx

    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    known = {item.name for item in exposed.graph.output}
    for node in exposed.graph.node:
        for name in node.output:
            if name and name not in known and node.op_type != "Constant":
                exposed.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnx_files.session(exposed.SerializeToString(), threads=1)
    names = [item.name for item in session.get_outputs()]
    values = zip(names, session.run(names, dict(feed)))
    return {name: value for name, value in values if isinstance(value, np.ndarray)}


def counterparts(
    folder: str, program: str, params: str, outputs: List[str], feed: Mapping[str, np.ndarray]
) -> Dict[str, np.ndarray]:
    """Return the program's values from the static executor, by the names that paddle2onnx gives them.

    ``outputs``: the file's names for what the program fetches.
    """
    with programs.static_mode():
        executor, loaded, _, fetches = programs.load(folder, program, params)
        fetches = programs.taken_fetches(loaded, fetches)
        asked = _values(loaded) if programs.is_pir(loaded) else _variables(loaded)
        asked.update(zip(outputs, fetches))
        arrays = executor.run(loaded, feed=dict(feed), fetch_list=list(asked.values()))
    return {name: np.asarray(array) for name, array in zip(asked, arrays) if array is not None}


def _variables(program: Any) -> Dict[str, Any]:
    """Return the results of the operators in a ``.pdmodel``'s main block: variables, by name."""
    block = program.global_block()
    results = [name for op in block.ops if op.type not in ("feed", "fetch") for name in op.output_arg_names]
    found = {name: block.var(name) for name in results if block.has_var(name)}
    kinds = {name: str(variable.type) for name, variable in found.items() if not variable.persistable}
    return {name: found[name] for name, kind in kinds.items() if "LOD_TENSOR" in kind and "ARRAY" not in kind}


def _values(program: Any) -> Dict[str, Any]:
    """Return the results of the operators in the new IR's main block, numbered as paddle2onnx does."""
    found: Dict[str, Any] = {}
    counted: Counter = Counter()
    for op in program.global_block().ops:
        name, number = op.name(), counted[op.name()]
        counted[name] += 1
        if not name.startswith("pd_op.") or name in ("pd_op.data", "pd_op.fetch"):
            continue
        for index, value in enumerate(op.results()):
            if value.is_dense_tensor_type():
                found[f"p2o.{name}.{number}.{index}"] = value
    return found


def _is_another(got: np.ndarray, expected: Mapping[str, np.ndarray]) -> bool:
    """Whether it equals another of the program's values: a convolution fused with its bias keeps its name."""
    if not np.issubdtype(got.dtype, np.floating):
        return False
    alike = [array for array in expected.values() if array.size == got.size]
    return any(error <= DIVERGES * scale for error, scale in (_distance(got, array) for array in alike))


def _distance(got: np.ndarray, expected: np.ndarray) -> Any:
    """Return the RMS of the difference and of ``expected``; infinite where they cannot be compared."""
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
