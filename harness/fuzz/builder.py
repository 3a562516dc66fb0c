"""Build a network: its values with their shapes and dtypes, and Hypothesis's choices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hypothesis import strategies as st

Network = dict[str, Any]
T = TypeVar("T")

MOST_ELEMENTS = 600
"""Most elements in one row of a value: interesting networks are small."""
FLOATS = ("normal", "halves", "sparse", "negative", "positive", "small", "large", "zeros", "ones", "denormal")
THROUGH = ("tanh", "abs", "neg", "twice", "sigmoid", "reshaped", "flipped", "joined", "not_below_zeros")
"""Computations on a parameter alone, by the worker's names."""
WEIGHTS = ("normal", "halves", "positive", "zeros", "ones", "negative", "small", "large")


@dataclass(frozen=True)
class Value:
    """A value in the network: its shape without the batch axis, and whether axis 0 is the batch."""

    index: int
    tail: tuple[int, ...]
    dtype: str = "float32"
    batched: bool = True

    @property
    def offset(self) -> int:
        """Number of axes before those of ``tail``."""
        return int(self.batched)

    @property
    def rank(self) -> int:
        return len(self.tail) + self.offset

    @property
    def size(self) -> int:
        return math.prod(self.tail)


@dataclass
class Builder:
    """Draws choices and appends nodes; every method that appends returns the new value."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    dynamic: bool = True
    batch: int = 2
    inputs: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    equivariant: bool = True
    seeds: int = 0

    def choose(self, items: Sequence[T]) -> T:
        """Draw one of the items; shrinks towards the first."""
        chosen: T = self.draw(st.sampled_from(items))
        return chosen

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def flag(self) -> bool:
        return bool(self.draw(st.booleans()))

    def draw_rarely(self) -> bool:
        """Draw True with probability one quarter."""
        return self.integer(0, 3) == 3

    def draw_permutation(self, length: int) -> list[int]:
        order: list[int] = self.draw(st.permutations(range(length)))
        return list(order)

    def seed(self) -> int:
        self.seeds += 1
        return self.seeds

    # Inputs and parameters

    def input(self, tail: Sequence[int], dtype: str = "float32", high: int = 0) -> Value:
        """Add an input to the network."""
        kind = {"float32": "", "int64": "integers", "bool": "booleans"}[dtype] or self.choose(FLOATS)
        spec: dict[str, Any] = {
            "shape": [self.batch, *tail],
            "dtype": dtype,
            "kind": kind,
            "seed": self.seed(),
        }
        if dtype == "int64":
            spec["high"] = high
        self.inputs.append(spec)
        # Numbered from -1 downwards until the network is closed: inputs may come late.
        value = Value(-len(self.inputs), tuple(tail), dtype)
        self.values.append(value)
        return value

    def weight(self, shape: Sequence[int], kind: str = "") -> dict[str, Any]:
        """Describe a parameter; rarely, something is computed from it before it is used."""
        spec = {"shape": list(shape), "kind": kind or self.choose(WEIGHTS), "seed": self.seed()}
        # Whoever gives a kind relies on its range of values, so nothing is computed from it.
        if not kind and self.integer(0, 11) == 11:
            spec["through"] = [self.choose(THROUGH) for _ in range(self.integer(1, 2))]
        return spec

    # Nodes

    def add(
        self,
        op: str,
        inputs: Sequence[Value],
        tail: Sequence[int],
        gives: str = "",
        batched: bool | None = None,
        params: dict[str, Any] | None = None,
        **attrs: Any,
    ) -> Value:
        """Add a node; dtype (``gives``) and batch are those of its first input unless given."""
        node: dict[str, Any] = {"op": op, "inputs": [value.index for value in inputs], "attrs": attrs}
        if params:
            node["params"] = params
        value = Value(
            len(self.nodes),
            tuple(int(length) for length in tail),
            gives or inputs[0].dtype,
            inputs[0].batched if batched is None else batched,
        )
        # Shape and dtype of the output, for replacing the node by an input.
        node["gives"] = {"tail": list(value.tail), "dtype": value.dtype, "batched": value.batched}
        self.nodes.append(node)
        self.values.append(value)
        return value

    def axis(self, value: Value, among: Sequence[int] | None = None) -> tuple[int, int]:
        """Draw an axis after the batch: its index in ``tail``, and Paddle's argument (sometimes negative)."""
        place = self.choose(list(among) if among is not None else list(range(len(value.tail))))
        return place, (place - len(value.tail) if self.flag() else place + value.offset)

    def like(self, value: Value) -> Value:
        """Draw a value of the same shape and dtype: an earlier one, or the value itself."""
        return self.choose([other for other in self.values if replace(other, index=value.index) == value])

    def close(self, outputs: Sequence[Value]) -> Network:
        """The network with only what its outputs need, numbered as it crosses to a worker."""

        def place(index: int) -> int:
            """The number in the network of a value that is numbered as in here, inputs from -1 downwards."""
            return len(self.inputs) + index if index >= 0 else -index - 1

        whole = {
            "dynamic": self.dynamic,
            "equivariant": self.equivariant,
            "inputs": self.inputs,
            "nodes": [{**node, "inputs": [place(i) for i in node["inputs"]]} for node in self.nodes],
        }
        return restricted(whole, [place(value.index) for value in outputs])


def restricted(network: Network, outputs: list[int]) -> Network:
    """The part of the network that these values need, with them as its outputs."""
    first = len(network["inputs"])
    needed: set[int] = set()
    waiting = list(outputs)
    while waiting:
        index = waiting.pop()
        if index not in needed:
            needed.add(index)
            waiting += network["nodes"][index - first]["inputs"] if index >= first else []
    order = sorted(needed)
    number = {index: place for place, index in enumerate(order)}
    nodes = (network["nodes"][index - first] for index in order if index >= first)
    return {
        **network,
        "inputs": [network["inputs"][index] for index in order if index < first],
        "nodes": [{**node, "inputs": [number[i] for i in node["inputs"]]} for node in nodes],
        "outputs": [number[index] for index in outputs],
    }
