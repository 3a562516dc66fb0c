"""What a run of a program costs: operations and bytes, counted at the run's shapes."""

from __future__ import annotations

from typing import Any, Dict, List, Set

import numpy as np

from harness.worker.inspection.compressed import Operator, Program

CONVOLUTIONS = ("conv2d", "depthwise_conv2d", "conv3d")
TRANSPOSED = ("conv2d_transpose", "depthwise_conv2d_transpose", "conv3d_transpose")
PRODUCTS = ("matmul_v2", "matmul", "mul", "bmm")
LOOKUPS = ("lookup_table_v2", "lookup_table", "embedding")
COUNTED = (*CONVOLUTIONS, *TRANSPOSED, *PRODUCTS, *LOOKUPS, "rnn")
BODIES = ("if", "while", "conditional_block", "select_input", "recurrent", "run_program")
"""Operators with a body; how often it runs is unknown, so the body is not counted."""


def count(folder: str, program: str, params: str, feed: List[np.ndarray]) -> Dict[str, Any]:
    """Count operations and bytes of one run with this feed: the least that every engine needs.

    Returns ``flops`` (a multiply-add is two) of convolutions, matrix products and recurrent layers (all
    other operators are cheap in comparison); ``parameter_bytes`` as stored in the file, but of a lookup table
    only the rows that are read; ``io_bytes`` of inputs and outputs; ``uncounted``, names of operators with a
    body.

    Raises:
        Whatever loading or running the program raises.
    """
    read = Program(folder, program, params or None, feed, COUNTED)
    tables = _tables(read)
    rows = sum(_looked_up(read, op) for op in read.operators if op.kind in LOOKUPS)
    return {
        "flops": int(sum(flops(read, op) for op in read.operators)),
        "parameter_bytes": int(
            rows + sum(array.nbytes for name, array in read.stored.items() if name not in tables)
        ),
        "io_bytes": int(sum(array.nbytes for array in [*feed, *read.fetched])),
        "uncounted": sorted({op.kind for op in read.operators if op.kind in BODIES}),
    }


def flops(read: Program, op: Operator) -> int:
    """Return the operations of one operator at the run's shapes."""
    if op.kind in CONVOLUTIONS:
        return 2 * _size(read, op.outputs[0]) * int(np.prod(read.shapes[op.inputs["Filter"][0]][1:]))
    if op.kind in TRANSPOSED:
        return 2 * _size(read, op.inputs["Input"][0]) * int(np.prod(read.shapes[op.inputs["Filter"][0]][1:]))
    if op.kind in PRODUCTS:
        return 2 * _size(read, op.outputs[0]) * _depth(read, op)
    if op.kind == "rnn":
        return _recurrent(read, op)
    return 0


def _depth(read: Program, op: Operator) -> int:
    """Return the number of terms in each sum of a matrix product."""
    if op.kind == "mul":
        return int(np.prod(read.shapes[op.inputs["Y"][0]][: int(op.attributes.get("y_num_col_dims", 1))]))
    shape = read.shapes[op.inputs["X"][0]]
    names = ("trans_x", "transpose_x", "transpose_X")
    turned = len(shape) > 1 and any(op.attributes.get(name) for name in names)
    return int(shape[-2 if turned else -1])


def _recurrent(read: Program, op: Operator) -> int:
    """Count a recurrent layer on ``[time, batch, features]``: each matrix meets each step of each example."""
    steps = read.shapes[(op.inputs.get("Input") or op.inputs["X"])[0]]
    weights = op.inputs.get("WeightList") or op.inputs["weight_list"]
    if len(weights) == 1 and weights[0] in read.makers:
        weights = read.makers[weights[0]].inputs["X"]  # combined into a list by an operator
    matrices = (read.shapes[name] for name in weights)
    return 2 * steps[0] * steps[1] * sum(int(np.prod(shape)) for shape in matrices if len(shape) == 2)


def _looked_up(read: Program, op: Operator) -> int:
    """Return the bytes of a table's rows that an operator reads, at most all of them."""
    held = [read.stored[name].nbytes for slot in op.inputs.values() for name in slot if name in read.stored]
    return min([4 * _size(read, op.outputs[0]), *held])


def _size(read: Program, name: str) -> int:
    return int(np.prod(read.shapes[name]))


def _tables(read: Program) -> Set[str]:
    """Return the parameters that are only looked up."""
    looked: Set[str] = set()
    used: Set[str] = set()
    for op in read.operators:
        names = {name for slot in op.inputs.values() for name in slot}
        (looked if op.kind in LOOKUPS else used).update(names)
    return {name for name in looked - used if name in read.stored}
