"""Shrink a network further than Hypothesis can, by removing parts of it as data.

Hypothesis shrinks the choices from front to back, so a network whose fault needs an exact shape after many
operators stays long. Here, nodes are replaced by inputs of the same shape, and outputs are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from harness.fuzz.builder import Network, restricted


def smaller(network: Network) -> Iterator[Network]:
    """Yield networks with something removed, the largest steps first; valid if this one is."""
    first = len(network["inputs"])
    count = first + len(network["nodes"])
    for output in network["outputs"] if len(network["outputs"]) > 1 else ():
        yield restricted(network, [output])
    for index in range(count - 1, first - 1, -1):
        node = network["nodes"][index - first]
        gives = node.get("gives", {})
        if index not in network["outputs"] and gives.get("batched"):
            yield _replaced(network, index, gives)
    for index in range(first, count):
        node = network["nodes"][index - first]
        same = [i for i in node["inputs"] if _gives(network, i) == node.get("gives")]
        if same:
            yield _rewired(network, index, same[0])
    if any(spec.get("through") for node in network["nodes"] for spec in node.get("params", {}).values()):
        yield {**network, "nodes": [_plain(node) for node in network["nodes"]]}
    for place, spec in enumerate(network["inputs"]):
        if spec["dtype"] == "float32" and spec["kind"] != "normal":
            inputs = [*network["inputs"]]
            inputs[place] = {**spec, "kind": "normal"}
            yield {**network, "inputs": inputs}


def reduce(network: Network, fails: Callable[[Network], bool]) -> Network:
    """Return the smallest network reached by :func:`smaller` that still ``fails``."""
    again = True
    while again:
        again = False
        for candidate in smaller(network):
            if candidate["nodes"] and candidate["inputs"] and fails(candidate):
                network, again = candidate, True
                break
    return network


def _plain(node: dict[str, Any]) -> dict[str, Any]:
    """Return the node without computations on its parameters."""
    params = {name: {**spec, "through": []} for name, spec in node.get("params", {}).items()}
    return {**node, "params": params} if params else node


def _gives(network: Network, index: int) -> Any:
    """Return shape and dtype of a value, as nodes state them."""
    first = len(network["inputs"])
    if index >= first:
        return network["nodes"][index - first].get("gives")
    spec = network["inputs"][index]
    return {"tail": spec["shape"][1:], "dtype": spec["dtype"], "batched": True}


def _rewired(network: Network, index: int, instead: int) -> Network:
    """Replace a value by another one wherever it is used."""
    nodes = [
        {**node, "inputs": [instead if i == index else i for i in node["inputs"]]}
        for node in network["nodes"]
    ]
    outputs = [instead if i == index else i for i in network["outputs"]]
    first = len(network["inputs"])
    if any(i < first for i in outputs):
        return {**network, "nodes": []}
    return restricted({**network, "nodes": nodes}, outputs)


def _replaced(network: Network, index: int, gives: Any) -> Network:
    """Replace a node by an input."""
    first = len(network["inputs"])
    kind = {"float32": "normal", "int64": "integers", "bool": "booleans"}[gives["dtype"]]
    spec = {"shape": [2, *gives["tail"]], "dtype": gives["dtype"], "kind": kind, "seed": 900 + index}
    if gives["dtype"] == "int64":
        spec["high"] = 5
    shifted = {i: i if i < first else i + 1 for i in range(first + len(network["nodes"]))}
    shifted[index] = first
    nodes = [{**node, "inputs": [shifted[i] for i in node["inputs"]]} for node in network["nodes"]]
    outputs = [shifted[i] for i in network["outputs"]]
    return restricted({**network, "inputs": [*network["inputs"], spec], "nodes": nodes}, outputs)
