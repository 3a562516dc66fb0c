"""Activations, arithmetic and products."""

from __future__ import annotations

from typing import Any

from harness.fuzz.builder import Builder, Value
from harness.fuzz.operators.rule import on, rank, sequence

SMOOTH = ("relu", "sigmoid", "tanh", "silu", "relu6", "hardswish", "hardsigmoid", "mish", "softsign",
          "tanhshrink", "log_sigmoid", "selu", "swish", "abs", "neg", "square", "sin", "cos", "erf",
          "atan")  # fmt: skip
STEPS = ("floor", "ceil", "round", "sign", "trunc")


@on(weight=6)
def unary(b: Builder, v: Value) -> Value:
    return b.add(b.choose(SMOOTH), [v], v.tail)


@on()
def steps(b: Builder, v: Value) -> Value:
    return b.add(b.choose(STEPS), [v], v.tail)


@on()
def bounded(b: Builder, v: Value) -> Value:
    """Add a function with a limited domain, after an operator that maps into it."""
    op = b.choose(("exp", "expm1", "sqrt", "log1p", "rsqrt", "log", "reciprocal"))
    if op in ("exp", "expm1"):
        return b.add(op, [b.add("clip", [v], v.tail, low=-5.0, high=5.0)], v.tail)
    positive = b.add("abs", [v], v.tail)
    if op not in ("sqrt", "log1p"):
        positive = b.add("add_scalar", [positive], v.tail, value=b.choose((0.5, 1.0)))
    return b.add(op, [positive], v.tail)


@on(weight=3)
def parametric(b: Builder, v: Value) -> Value:
    """Add an activation or scaling with attributes."""
    op = b.choose(("leaky_relu", "elu", "gelu", "softplus", "hardtanh", "clip", "scale", "add_scalar",
                   "multiply_scalar", "subtract_from", "pow"))  # fmt: skip
    number = b.choose((1.0, 0.5, 2.0, -1.0, 0.1, 3.0))
    attrs: dict[str, dict[str, Any]] = {
        "leaky_relu": {"slope": abs(number) / 4},
        "elu": {"alpha": abs(number)},
        "gelu": {"approximate": number < 1},
        "softplus": {"beta": abs(number), "threshold": b.choose((20, 1))},
        "hardtanh": {"low": -abs(number), "high": abs(number)},
        "clip": {"low": -abs(number), "high": abs(number)},
        "scale": {"scale": number, "bias": b.choose((0.0, 1.0, -0.5)), "after": b.flag()},
        "add_scalar": {"value": number},
        "multiply_scalar": {"value": number},
        "subtract_from": {"value": number},
        "pow": {"exponent": b.choose((2.0, 3.0, 1.0, 0.0))},
    }
    return b.add(op, [v], v.tail, **attrs[op])


@on(weight=4)
def binary(b: Builder, v: Value) -> Value:
    op = b.choose(("add", "multiply", "subtract", "maximum", "minimum", "divide", "fmax"))
    other = b.like(v)
    pair = [other, v] if b.flag() else [v, other]
    if op == "divide":
        safe = b.add("add_scalar", [b.add("abs", [pair[1]], v.tail)], v.tail, value=1.0)
        pair = [pair[0], safe]
    return b.add(op, pair, v.tail)


@on(weight=3)
def with_parameter(b: Builder, v: Value) -> Value:
    """Combine with a broadcast parameter over some trailing axes, of which some have length one."""
    op = b.choose(("add_parameter", "multiply_parameter", "parameter_minus", "maximum_parameter"))
    kept = b.integer(0, len(v.tail))
    shape = [1 if b.flag() else length for length in v.tail[len(v.tail) - kept :]] or [1]
    return b.add(op, [v], v.tail, params={"weight": b.weight(shape)})


@on(when=lambda v: v.batched and len(v.tail) >= 1)
def prelu(b: Builder, v: Value) -> Value:
    count = v.tail[0] if b.flag() else 1
    return b.add("prelu", [v], v.tail, params={"weight": b.weight([count])})


@on(when=rank(1), weight=2)
def normalised(b: Builder, v: Value) -> Value:
    _, axis = b.axis(v)
    return b.add(b.choose(("softmax", "log_softmax")), [v], v.tail, axis=axis)


@on(when=lambda v: any(length % 2 == 0 for length in v.tail))
def glu(b: Builder, v: Value) -> Value:
    place, axis = b.axis(v, [i for i, length in enumerate(v.tail) if length % 2 == 0])
    tail = [length // 2 if i == place else length for i, length in enumerate(v.tail)]
    return b.add("glu", [v], tail, axis=axis)


@on(when=rank(1), weight=4)
def linear(b: Builder, v: Value) -> Value:
    width = b.integer(1, 6)
    params = {"weight": b.weight([v.tail[-1], width])}
    if b.flag():
        return b.add("linear_no_bias", [v], [*v.tail[:-1], width], params=params)
    return b.add("linear", [v], [*v.tail[:-1], width], params={**params, "bias": b.weight([width])})


@on(when=rank(1), weight=2)
def matmul_parameter(b: Builder, v: Value) -> Value:
    width, transpose = b.integer(1, 6), b.flag()
    shape = [width, v.tail[-1]] if transpose else [v.tail[-1], width]
    return b.add(
        "matmul_parameter",
        [v],
        [*v.tail[:-1], width],
        params={"weight": b.weight(shape)},
        transpose=transpose,
    )


@on(when=lambda v: v.batched and len(v.tail) >= 2)
def matmul_left(b: Builder, v: Value) -> Value:
    width = b.integer(1, 5)
    tail = [*v.tail[:-2], width, v.tail[-1]]
    return b.add("matmul_left", [v], tail, params={"weight": b.weight([width, v.tail[-2]])})


@on(when=lambda v: v.batched and len(v.tail) >= 2, weight=2)
def matmul_pair(b: Builder, v: Value) -> Value:
    """Multiply a value by another of its shape, with one of them transposed."""
    other, by_rows = b.like(v), b.flag()
    size = v.tail[-2] if by_rows else v.tail[-1]
    return b.add("matmul_transposed", [v, other], [*v.tail[:-2], size, size], tx=not by_rows, ty=by_rows)


@on(when=sequence)
def einsum(b: Builder, v: Value) -> Value:
    equation, tail = b.choose(
        (
            ("bij,bkj->bik", (v.tail[0], v.tail[0])),
            ("bij,bij->bi", v.tail[:1]),
            ("bij,bik->bkj", (v.tail[1],) * 2),
        )
    )
    return b.add("einsum", [v, b.like(v)], tail, equation=equation)


@on(when=lambda v: v.batched and len(v.tail) == 3 and v.tail[2] <= 16)
def attention(b: Builder, v: Value) -> Value:
    """Add attention; Paddle expects [batch, steps, heads, features]."""
    return b.add("attention", [v, b.like(v), b.like(v)], v.tail, causal=b.flag())
