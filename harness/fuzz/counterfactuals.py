"""Remove what triggers a known fault: rewrite a network so that it computes (nearly) the same without it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.fuzz.builder import Network, restricted

Node = dict[str, Any]
Counterfactual = Callable[[Network], "Network | None"]
"""Returns the network without the trigger, or None where it does not contain the trigger."""

BEFORE = -1
"""In a piece's inputs: the previous piece (-2: the one before that). Other numbers index the inputs of the
node that the pieces replace."""
Pieces = Callable[[Node, "list[Source]"], "list[Node] | None"]


@dataclass(frozen=True)
class Source:
    """A node's input: the operator that makes it ('' for a network input), its shape without the batch axis.

    ``above``: all operators from which it is computed, including that one.
    """

    op: str
    tail: list[int]
    dtype: str
    above: frozenset[str]


def rewritten(network: Network, pieces: Pieces) -> Network | None:
    """Replace nodes by what ``pieces`` returns (None: keep the node); return None if none was replaced.

    ``pieces`` gets a node and its sources.
    """
    first = len(network["inputs"])
    number = {index: index for index in range(first)}
    nodes: list[Node] = []
    changed = False
    for place, node in enumerate(network["nodes"]):
        inputs = [number[index] for index in node["inputs"]]
        parts = pieces(node, [_source(network, index) for index in node["inputs"]])
        changed = changed or parts is not None
        parts = parts or [{**node, "inputs": list(range(len(inputs)))}]
        if "gives" in node:
            parts = [*parts[:-1], {**parts[-1], "gives": node["gives"]}]
        for piece in parts:
            end = first + len(nodes)
            taken = [end + index if index < 0 else inputs[index] for index in piece["inputs"]]
            nodes.append({**piece, "inputs": taken})
        number[first + place] = first + len(nodes) - 1
    outputs = [number[index] for index in network["outputs"]]
    return {**network, "nodes": nodes, "outputs": outputs} if changed else None


def rewriting(pieces: Pieces) -> Counterfactual:
    """The trigger that :func:`rewritten` makes of these pieces."""
    return functools.wraps(pieces)(lambda network: rewritten(network, pieces))


def _source(network: Network, index: int) -> Source:
    first = len(network["inputs"])
    if index < first:
        spec = network["inputs"][index]
        return Source("", list(spec["shape"][1:]), spec["dtype"], frozenset())
    node = network["nodes"][index - first]
    gives = node.get("gives", {})
    above = frozenset(part["op"] for part in restricted(network, [index])["nodes"])
    return Source(node["op"], list(gives.get("tail", ())), gives.get("dtype", ""), above)


def _piece(op: str, inputs: Sequence[int], **attrs: Any) -> Node:
    return {"op": op, "inputs": list(inputs), "attrs": attrs}


def _whole(node: Node, sources: list[Source]) -> Node:
    return {**node, "inputs": list(range(len(sources)))}


TWICE = _piece("maximum", [BEFORE, BEFORE])


@rewriting
def channels_first(node: Node, sources: list[Source]) -> list[Node] | None:
    """Convolutions over NHWC as ones over NCHW between two transpositions."""
    if node.get("attrs", {}).get("layout") != "NHWC":
        return None
    convolution = {**node, "inputs": [BEFORE], "attrs": {**node["attrs"], "layout": "NCHW"}}
    return [
        _piece("transpose", [0], perm=[0, 3, 1, 2]),
        convolution,
        _piece("transpose", [BEFORE], perm=[0, 2, 3, 1]),
    ]


@rewriting
def exclusive(node: Node, sources: list[Source]) -> list[Node] | None:
    """Average pooling over partial windows that divides by what lies inside."""
    if not (node["op"] == "avg_pool2d" and node["attrs"]["ceil"] and not node["attrs"]["exclusive"]):
        return None
    return [{**node, "inputs": [0], "attrs": {**node["attrs"], "exclusive": True}}]


@rewriting
def unclipped(node: Node, sources: list[Source]) -> list[Node] | None:
    """``log_softmax`` as its definition."""
    if node["op"] != "log_softmax":
        return None
    axis = node["attrs"]["axis"]
    return [_piece("logsumexp", [0], axis=axis, keepdim=True), _piece("subtract", [0, BEFORE])]


def _by_parameter(node: Node, shape: list[int]) -> list[Node]:
    """The product with a weight of that shape as one that is broadcast, and the bias behind it."""
    params = node["params"]
    product = {
        **_piece("multiply_parameter", [0]),
        "params": {"weight": {**params["weight"], "shape": shape}},
    }
    if "bias" not in params:
        return [product]
    return [product, {**_piece("add_parameter", [BEFORE]), "params": {"weight": params["bias"]}}]


@rewriting
def outer_products(node: Node, sources: list[Source]) -> list[Node] | None:
    """Products whose inner dimension is 1, by multiplying what is broadcast."""
    attrs, tail = node.get("attrs", {}), sources[0].tail if sources else []
    columns, rows = tail[-1:] == [1], tail[-2:-1] == [1]
    if node["op"] in ("linear", "linear_no_bias", "matmul_parameter") and columns:
        return _by_parameter(node, [max(node["params"]["weight"]["shape"])])
    if node["op"] == "matmul_left" and rows:
        return _by_parameter(node, node["params"]["weight"]["shape"])
    turned = [*range(len(tail) - 1), len(tail), len(tail) - 1]
    if (attrs.get("ty") or attrs.get("equation") == "bij,bkj->bik") and columns:
        return [_piece("transpose", [1], perm=turned), _piece("multiply", [0, BEFORE])]
    if attrs.get("tx") and rows:
        return [_piece("transpose", [0], perm=turned), _piece("multiply", [BEFORE, 1])]
    return None


ACTIVATIONS = ("relu", "sigmoid", "tanh", "silu", "relu6", "hardswish", "hardsigmoid", "mish", "swish", "abs",
               "gelu", "leaky_relu", "clip", "sqrt", "elu", "square", "exp", "round")  # fmt: skip
"""Activations that oneDNN fuses into a linear layer."""
SUMS = ("add", "subtract", "multiply", "add_scalar", "multiply_scalar", "subtract_from")
CONVOLUTIONS = frozenset(("conv1d", "conv2d", "conv2d_no_bias", "conv2d_transpose"))
PRODUCTS = ("linear", "linear_no_bias", "matmul_parameter", "matmul_left", "matmul_transposed", "einsum",
            "attention")  # fmt: skip


@rewriting
def loops_on_copies(node: Node, sources: list[Source]) -> list[Node] | None:
    """Loops that start from a value of their own."""
    if node["op"] != "while":
        return None
    return [_piece("maximum", [0, 0]), {**node, "inputs": [BEFORE]}]


def apart(between: Callable[[str, Source], bool]) -> Counterfactual:
    """Return a counterfactual that puts maximum(x, x) before each node for which ``between`` is true.

    No pass fuses across it, and it reads and writes plain memory. ``between`` gets the node's operator and
    its first source.
    """

    def pieces(node: Node, sources: list[Source]) -> list[Node] | None:
        if not sources or not between(node["op"], sources[0]):
            return None
        return [_piece("maximum", [0, 0]), {**node, "inputs": [BEFORE, *range(1, len(sources))]}]

    return rewriting(pieces)


activations_apart = apart(lambda op, source: op in ACTIVATIONS and source.op in ACTIVATIONS)
whole_activations_apart = apart(
    lambda op, source: op in (*ACTIVATIONS, "clip_integers") and source.op in SUMS and "int" in source.dtype
)
leaky_apart = apart(lambda op, source: op == "leaky_relu" and bool(source.above & CONVOLUTIONS))
unsqueeze_apart = apart(lambda op, source: op == "unsqueeze" and bool(source.op))
prelu_apart = apart(lambda op, source: op == "prelu" and source.op in ("reshape", "flatten", "squeeze"))


@rewriting
def norms_apart(node: Node, sources: list[Source]) -> list[Node] | None:
    """The maximum of a value and itself behind each batch norm."""
    return [_whole(node, sources), TWICE] if node["op"] == "batch_norm" else None


def convolutions_apart(network: Network) -> Network | None:
    """Put maximum(x, x) after each convolution that feeds a product, which then reads plain memory."""

    def pieces(node: Node, sources: list[Source]) -> list[Node] | None:
        return [_whole(node, sources), TWICE] if node["op"] in CONVOLUTIONS else None

    behind = any(
        node["op"] in PRODUCTS
        and any(_source(network, index).above & CONVOLUTIONS for index in node["inputs"])
        for node in network["nodes"]
    )
    return rewritten(network, pieces) if behind else None


@rewriting
def nearest_by_index(node: Node, sources: list[Source]) -> list[Node] | None:
    """Interpolation to the nearest as the selection of rows and columns that it is."""
    if not node["op"].startswith("interpolate") or node["attrs"]["mode"] != "nearest":
        return None
    sizes = sources[0].tail[1:]
    made = node["attrs"].get("size") or [node["attrs"]["factor"] * size for size in sizes]
    return [
        _piece(
            "index_select", [0] if axis == 2 else [BEFORE],
            index=[place * size // count for place in range(count)], axis=axis,
        )
        for axis, (size, count) in enumerate(zip(sizes, made, strict=True), 2)
    ]  # fmt: skip


@rewriting
def control_flow_unrolled(node: Node, sources: list[Source]) -> list[Node] | None:
    """Loops as what their passes compute one after the other, branches as the first of the two."""
    if node["op"] == "cond":
        return [_piece("relu", [0])]
    if node["op"] != "while":
        return None
    made = [_piece("tanh", [0]), _piece("add", [BEFORE, 0])]
    for _ in range(1, node["attrs"]["times"]):
        made += [_piece("tanh", [BEFORE]), _piece("add", [BEFORE, BEFORE - 1])]
    return made


def numbers_only(network: Network) -> Network | None:
    """Convert boolean outputs to numbers."""
    first = len(network["inputs"])
    nodes, outputs = list(network["nodes"]), list(network["outputs"])
    for place, index in enumerate(outputs):
        gives = network["nodes"][index - first].get("gives", {}) if index >= first else {}
        if gives.get("dtype") == "bool":
            outputs[place] = first + len(nodes)
            nodes.append({**_piece("cast", [index], dtype="float32"), "gives": {**gives, "dtype": "float32"}})
    return {**network, "nodes": nodes, "outputs": outputs} if len(nodes) > len(network["nodes"]) else None


@rewriting
def unlimited(node: Node, sources: list[Source]) -> list[Node] | None:
    """Softplus with the threshold that nothing reaches."""
    if node["op"] != "softplus" or node["attrs"]["threshold"] == 20:
        return None
    return [{**_whole(node, sources), "attrs": {**node["attrs"], "threshold": 20}}]


@rewriting
def elements_by_sum(node: Node, sources: list[Source]) -> list[Node] | None:
    """The sum of a vector in place of one of its elements: it has no axis either."""
    gives = node.get("gives", {})
    if node["op"] != "getitem" or gives.get("tail") or gives.get("batched"):
        return None
    return [_piece("sum", [0], axis=None, keepdim=False)]
