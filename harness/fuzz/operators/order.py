"""Reductions, sorting, and integer and boolean values."""

from __future__ import annotations

from harness.fuzz.builder import MOST_ELEMENTS, Builder, Value
from harness.fuzz.operators.rule import on, rank


@on(when=rank(1), weight=4)
def reduce(b: Builder, v: Value) -> Value:
    op = b.choose(("sum", "mean", "max", "min", "logsumexp", "amax", "prod", "std", "var"))
    count = 1 if op in ("prod", "logsumexp") else b.integer(1, min(2, len(v.tail)))
    places = sorted(b.draw_permutation(len(v.tail))[:count])
    if op in ("std", "var") and any(v.tail[place] < 2 for place in places):
        op = "mean"
    keep = b.flag()
    tail = [1 if i in places else n for i, n in enumerate(v.tail) if keep or i not in places]
    axis = [place + v.offset for place in places]
    return b.add(op, [v], tail, axis=axis[0] if count == 1 else axis, keepdim=keep)


@on(weight=1, when=lambda v: v.batched)
def reduce_batch(b: Builder, v: Value) -> Value:
    """Reduce over the batch, after which rows are no longer independent."""
    b.equivariant = False
    if len(v.tail) < 1 or b.flag():
        op = b.choose(("sum", "mean", "max", "min"))
        return b.add(op, [v], v.tail, batched=False, axis=0, keepdim=False)
    return b.add(b.choose(("softmax", "cumsum")), [v], v.tail, axis=0)


@on(when=rank(1))
def pick_extreme(b: Builder, v: Value) -> Value:
    place, axis = b.axis(v)
    keep = b.flag()
    tail = [1 if i == place else n for i, n in enumerate(v.tail) if keep or i != place]
    return b.add(b.choose(("argmax", "argmin")), [v], tail, "int64", axis=axis, keepdim=keep)


@on(when=rank(1), weight=2)
def order(b: Builder, v: Value) -> Value:
    op = b.choose(("topk_values", "sort", "topk_indices", "argsort", "kthvalue"))
    place, axis = b.axis(v)
    dtype = "int64" if op in ("topk_indices", "argsort") else "float32"
    if op in ("sort", "argsort"):
        return b.add(op, [v], v.tail, dtype, axis=axis, descending=b.flag())
    k = b.integer(1, v.tail[place])
    if op == "kthvalue":
        return b.add(op, [v], [n for i, n in enumerate(v.tail) if i != place], k=k, axis=axis)
    tail = [k if i == place else n for i, n in enumerate(v.tail)]
    return b.add(op, [v], tail, dtype, k=k, axis=axis, largest=b.flag())


@on(when=rank(1), weight=2)
def accumulate(b: Builder, v: Value) -> Value:
    _, axis = b.axis(v)
    return b.add(b.choose(("cumsum", "cumprod")), [v], v.tail, axis=axis)


@on(weight=2)
def compare(b: Builder, v: Value) -> Value:
    return b.add(
        b.choose(("less_than", "greater_equal", "equal", "not_equal")), [v, b.like(v)], v.tail, "bool"
    )


@on()
def choose_by_comparison(b: Builder, v: Value) -> Value:
    other = b.like(v)
    where = b.add("less_than", [v, other], v.tail, "bool")
    return b.add("where", [where, v, b.like(v)], v.tail, "float32")


@on()
def to_integers(b: Builder, v: Value) -> Value:
    bounded = b.add("clip", [v], v.tail, low=-100.0, high=100.0)
    return b.add("cast", [bounded], v.tail, "int64", dtype="int64")


@on("bool", weight=2)
@on("int64", weight=2)
def to_float(b: Builder, v: Value) -> Value:
    return b.add("cast", [v], v.tail, "float32", dtype="float32")


@on("int64")
def whole_arithmetic(b: Builder, v: Value) -> Value:
    return b.add(b.choose(("add", "maximum", "subtract", "multiply")), [v, b.like(v)], v.tail)


@on("int64", when=rank(1))
def whole_reduction(b: Builder, v: Value) -> Value:
    op = b.choose(("sum", "max", "cumsum"))
    place, axis = b.axis(v)
    if op == "cumsum":
        return b.add(op, [v], v.tail, axis=axis)
    return b.add(op, [v], [n for i, n in enumerate(v.tail) if i != place], axis=axis, keepdim=False)


@on("int64", when=lambda v: v.size <= MOST_ELEMENTS // 6, weight=3)
def embedding(b: Builder, v: Value) -> Value:
    rows, width = b.integer(2, 5), b.integer(1, 4)
    index = b.add("clip_integers", [v], v.tail, high=rows - 1)
    if b.flag():
        return b.add("one_hot", [index], [*v.tail, rows], "float32", classes=rows, dtype="float32")
    params = {"weight": b.weight([rows, width])}
    if b.flag():
        return b.add("embedding_padded", [index], [*v.tail, width], "float32", params=params, padding=0)
    return b.add("embedding", [index], [*v.tail, width], "float32", params=params)


@on("int64")
def whole_comparison(b: Builder, v: Value) -> Value:
    return b.add(b.choose(("equal", "less_than")), [v, b.like(v)], v.tail, "bool")


@on("bool")
def truth_to_integer(b: Builder, v: Value) -> Value:
    return b.add("cast", [v], v.tail, "int64", dtype="int64")


@on("bool")
def logic(b: Builder, v: Value) -> Value:
    if b.flag():
        return b.add("logical_not", [v], v.tail)
    return b.add(b.choose(("logical_and", "logical_or")), [v, b.like(v)], v.tail)


@on("bool", when=rank(1))
def truth_reduction(b: Builder, v: Value) -> Value:
    place, axis = b.axis(v)
    tail = [n for i, n in enumerate(v.tail) if i != place]
    return b.add(b.choose(("any", "all")), [v], tail, axis=axis, keepdim=False)
