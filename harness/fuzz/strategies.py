"""Hypothesis strategies of whole networks, valid by construction."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from harness.fuzz.builder import MOST_ELEMENTS, Builder, Network, Value
from harness.fuzz.operators import RULES

MOST_OPERATORS = 20
SHAPES: tuple[tuple[int, ...], ...] = (
    (4,), (2, 5, 5), (3, 4), (4, 6, 6), (5, 3), (1, 4, 4), (3, 7, 6), (6,), (3, 1, 7),
)  # fmt: skip


@st.composite
def networks(draw: Any, most: int = MOST_OPERATORS) -> Network:
    """Draw a network of one to ``most`` operators (a few more where an operator needs a safe domain)."""
    builder = Builder(draw, dynamic=not draw(st.booleans()))
    first = builder.choose(SHAPES)
    builder.input(first)
    if draw(st.integers(0, 3)) == 3:
        builder.input(first)
    if draw(st.integers(0, 7)) == 7:
        builder.input(builder.choose(((4,), (3,))), "int64", high=5)
    wanted = draw(st.integers(1, most))
    for _ in range(wanted):
        # Mostly take the newest value, so that chains grow; shrinks towards it.
        back = min(draw(st.integers(0, 5)), 3) if draw(st.booleans()) else 0
        value = builder.values[max(len(builder.values) - 1 - back, 0)]
        fitting = (entry for entry in RULES if entry.dtype == value.dtype and entry.when(value))
        made = builder.choose([entry.rule for entry in fitting for _ in range(entry.weight)])(builder, value)
        if made.size > MOST_ELEMENTS or made.size == 0:
            break
        if len(builder.nodes) >= most:
            break
    if not any(node.get("params") for node in builder.nodes) and builder.draw_rarely() is False:
        # 2.6.2 cannot make a predictor for a network without parameters, so it would not be judged.
        newest = builder.values[-1]
        if newest.dtype == "float32" and newest.index >= 0:
            builder.add("multiply_parameter", [newest], newest.tail, params={"weight": builder.weight([1])})
    return builder.close(_outputs(builder))


def _outputs(builder: Builder) -> list[Value]:
    """Draw the outputs: the newest value, and up to two more that nothing consumes."""
    made = [value for value in builder.values if value.index >= 0]
    used = {index for node in builder.nodes for index in node["inputs"]}
    rest = [value for value in made[:-1] if value.index not in used]
    count = builder.integer(0, min(2, len(rest))) if rest else 0
    return [*rest[len(rest) - count :], made[-1]]
