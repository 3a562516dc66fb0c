"""Known faults: recognised by their message, or by taking away what triggers them.

A network that fails with a known fault's trigger and not without it shows that fault again, whatever else
it consists of; one that fails without all known triggers shows something new.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.hunt.builder import Network
from harness.hunt.examine import examine, stages_for
from harness.hunt.verdict import Failure
from harness.workers import WorkerPool

Key = tuple[str, str, str]
Node = dict[str, Any]

BEFORE = -1
"""In a piece's inputs: the piece before it; other numbers count the inputs of the node it stands for."""


@dataclass(frozen=True)
class Known:
    """A fault of ``findings/`` (its ``name``) in stages that start with one of ``stages``.

    ``message``: an expression that tells it. ``without``: the network without the trigger, None where it
    has none; ``options``: what the predictor is told to be without it.
    """

    name: str
    stages: tuple[str, ...]
    message: str = ""
    without: Callable[[Network], Network | None] = lambda network: None
    options: Mapping[str, Any] = field(default_factory=dict)

    def says(self, failure: Failure, network: Network) -> bool:
        """Whether the failure's message is this one's."""
        if not self.message or not failure.stage.startswith(self.stages):
            return False
        return re.search(self.message, failure.message) is not None


Pieces = Callable[[Node, "list[Source]"], "list[Node] | None"]


@dataclass(frozen=True)
class Source:
    """What a node reads: the operator that makes it ('' for an input), its shape without the batch axis."""

    op: str
    tail: list[int]


def rewritten(network: Network, pieces: Pieces) -> Network | None:
    """Nodes replaced by what ``pieces`` gives for them (None: the node stays); None if none was.

    It is given a node and what that reads.
    """
    first = len(network["inputs"])
    number = {index: index for index in range(first)}
    nodes: list[Node] = []
    changed = False
    for place, node in enumerate(network["nodes"]):
        inputs = [number[index] for index in node["inputs"]]
        parts = pieces(node, [_source(network, index) for index in node["inputs"]])
        changed = changed or parts is not None
        for piece in parts or [{**node, "inputs": list(range(len(inputs)))}]:
            before = first + len(nodes) - 1
            taken = [before if index == BEFORE else inputs[index] for index in piece["inputs"]]
            nodes.append({**piece, "inputs": taken})
        number[first + place] = first + len(nodes) - 1
    outputs = [number[index] for index in network["outputs"]]
    return {**network, "nodes": nodes, "outputs": outputs} if changed else None


def _source(network: Network, index: int) -> Source:
    first = len(network["inputs"])
    if index < first:
        return Source("", list(network["inputs"][index]["shape"][1:]))
    node = network["nodes"][index - first]
    return Source(node["op"], list(node.get("gives", {}).get("tail", ())))


def _piece(op: str, inputs: Sequence[int], **attrs: Any) -> Node:
    return {"op": op, "inputs": list(inputs), "attrs": attrs}


def channels_first(network: Network) -> Network | None:
    """Convolutions over NHWC as ones over NCHW between two transpositions."""

    def pieces(node: Node, sources: list[Source]) -> list[Node] | None:
        if node.get("attrs", {}).get("layout") != "NHWC":
            return None
        convolution = {**node, "inputs": [BEFORE], "attrs": {**node["attrs"], "layout": "NCHW"}}
        return [
            _piece("transpose", [0], perm=[0, 3, 1, 2]),
            convolution,
            _piece("transpose", [BEFORE], perm=[0, 2, 3, 1]),
        ]

    return rewritten(network, pieces)


def exclusive(network: Network) -> Network | None:
    """Average pooling over partial windows that divides by what lies inside."""

    def pieces(node: Node, sources: list[Source]) -> list[Node] | None:
        if not (node["op"] == "avg_pool2d" and node["attrs"]["ceil"] and not node["attrs"]["exclusive"]):
            return None
        return [{**node, "inputs": [0], "attrs": {**node["attrs"], "exclusive": True}}]

    return rewritten(network, pieces)


def unclipped(network: Network) -> Network | None:
    """``log_softmax`` as its definition."""

    def pieces(node: Node, sources: list[Source]) -> list[Node] | None:
        if node["op"] != "log_softmax":
            return None
        axis = node["attrs"]["axis"]
        return [_piece("logsumexp", [0], axis=axis, keepdim=True), _piece("subtract", [0, BEFORE])]

    return rewritten(network, pieces)


def outer_products(network: Network) -> Network | None:
    """Products whose inner dimension is 1, by multiplying what is broadcast."""

    def by_parameter(node: Node, shape: list[int]) -> list[Node]:
        params = node["params"]
        product = {
            **_piece("multiply_parameter", [0]),
            "params": {"weight": {**params["weight"], "shape": shape}},
        }
        if "bias" not in params:
            return [product]
        return [product, {**_piece("add_parameter", [BEFORE]), "params": {"weight": params["bias"]}}]

    def pieces(node: Node, sources: list[Source]) -> list[Node] | None:
        attrs, tail = node.get("attrs", {}), sources[0].tail if sources else []
        columns, rows = tail[-1:] == [1], tail[-2:-1] == [1]
        if node["op"] in ("linear", "linear_no_bias", "matmul_parameter") and columns:
            return by_parameter(node, [max(node["params"]["weight"]["shape"])])
        if node["op"] == "matmul_left" and rows:
            return by_parameter(node, node["params"]["weight"]["shape"])
        turned = [*range(len(tail) - 1), len(tail), len(tail) - 1]
        if (attrs.get("ty") or attrs.get("equation") == "bij,bkj->bik") and columns:
            return [_piece("transpose", [1], perm=turned), _piece("multiply", [0, BEFORE])]
        if attrs.get("tx") and rows:
            return [_piece("transpose", [0], perm=turned), _piece("multiply", [BEFORE, 1])]
        return None

    return rewritten(network, pieces)


ACTIVATIONS = ("relu", "sigmoid", "tanh", "silu", "relu6", "hardswish", "hardsigmoid", "mish", "swish", "abs",
               "gelu", "leaky_relu", "clip", "sqrt", "elu", "square", "exp", "round")  # fmt: skip
"""What oneDNN fuses into a linear layer."""


def loops_on_copies(network: Network) -> Network | None:
    """Loops that start from a value of their own."""

    def pieces(node: Node, sources: list[Source]) -> list[Node] | None:
        if node["op"] != "while":
            return None
        return [_piece("maximum", [0, 0]), {**node, "inputs": [BEFORE]}]

    return rewritten(network, pieces)


def activations_apart(network: Network) -> Network | None:
    """The maximum of a value and itself between two activations."""

    def pieces(node: Node, sources: list[Source]) -> list[Node] | None:
        if node["op"] not in ACTIVATIONS or sources[0].op not in ACTIVATIONS:
            return None
        return [_piece("maximum", [0, 0]), {**node, "inputs": [BEFORE]}]

    return rewritten(network, pieces)


def numbers_only(network: Network) -> Network | None:
    """Boolean outputs as numbers."""
    first = len(network["inputs"])
    nodes, outputs = list(network["nodes"]), list(network["outputs"])
    for place, index in enumerate(outputs):
        gives = network["nodes"][index - first].get("gives", {}) if index >= first else {}
        if gives.get("dtype") == "bool":
            outputs[place] = first + len(nodes)
            nodes.append({**_piece("cast", [index], dtype="float32"), "gives": {**gives, "dtype": "float32"}})
    return {**network, "nodes": nodes, "outputs": outputs} if len(nodes) > len(network["nodes"]) else None


BEHIND_ONEDNN = ("predictor", "folded")
KNOWN = (
    Known("predictor-layer-norm-two-axes", BEHIND_ONEDNN, "supports only last logical axis"),
    Known("predictor-interpolate-by-a-factor", BEHIND_ONEDNN, "ConvertPirAttribute2RuntimeAttribute"),
    Known(
        "predictor-without-parameters",
        ("predictor", "folded"),
        r"number of variables to be loaded is 0|[Ff]ail(s|ed)? to open file",
    ),
    Known("predictor-output-is-input", ("predictor", "folded"), "More than one shadow output named"),
    Known("predictor-activation-of-whole-numbers", BEHIND_ONEDNN, "activation fuses require use_mkldnn=True"),
    Known("predictor-two-equal-outputs", BEHIND_ONEDNN, r"variable named fetch_name_\d+ is not found"),
    Known("predictor-two-activations-behind-linear", BEHIND_ONEDNN, without=activations_apart),
    Known("predictor-conv-nhwc", BEHIND_ONEDNN, without=channels_first),
    Known("predictor-matmul-of-one-column", BEHIND_ONEDNN, without=outer_products),
    Known("predictor-average-pool-partial-window", BEHIND_ONEDNN, without=exclusive),
    Known("log-softmax-stops-at-64", ("",), without=unclipped),
    Known("jit-load-exchanges-outputs", ("jit",), without=numbers_only),
    Known("while-overwrites-its-input", ("",), without=loops_on_copies),
    Known(
        "predictor-in-place-before-pool", BEHIND_ONEDNN,
        without=lambda network: network, options={"without": ["inplace_pass"]},
    ),
)  # fmt: skip


STATED = (
    Known(
        "a `.pdmodel` is not for `jit.load`", ("jit",), r"`path` .*to load model not exists|skip_forward=True"
    ),
    Known("a `.pdmodel` is not for `load_inference_model`", ("static",), "UnicodeDecodeError"),
)
"""What the new IR refuses of files of the older one: known failures of the suites' area ``upgrade``."""


def explained(pool: WorkerPool, network: Network, failures: Sequence[Failure]) -> dict[Key, str]:
    """Which of the failures are known, by name: the triggers are taken away one after the other."""
    found: dict[Key, str] = {}
    for failure in failures:
        for known in (*KNOWN, *STATED):
            if known.says(failure, network):
                found[failure.key] = known.name
    options: dict[str, Any] = {}
    for known in KNOWN:
        open_ = [
            f
            for f in failures
            if f.key not in found and f.outcome in ("fail", "error") and f.stage.startswith(known.stages)
        ]
        changed = known.without(network) if open_ else None
        if changed is None:
            continue
        network, options = changed, {**options, **known.options}
        stages = list(dict.fromkeys(stage for f in open_ for stage in stages_for(f.stage)))
        verdict = examine(pool, network, stages, options)
        left = {failure.key for failure in verdict.failures}
        for failure in open_:
            # Of values that nobody can judge it is not known whether they are right.
            if failure.key not in left and not (verdict.meaningless and failure.is_of_values):
                found[failure.key] = known.name
    return found
