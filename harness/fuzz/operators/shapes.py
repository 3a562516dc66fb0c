"""Operators that move values without computing: reshaping, slicing, joining, padding, resizing."""

from __future__ import annotations

import math

from harness.fuzz.builder import MOST_ELEMENTS, Builder, Value
from harness.fuzz.operators.rule import image, on, rank


@on(when=lambda v: v.batched and v.size >= 2, weight=3)
def reshape(b: Builder, v: Value) -> Value:
    tail = _factors(b, v.size)
    first = b.choose((-1, 0)) if b.dynamic else b.choose((-1, 0, b.batch))
    return b.add("reshape", [v], tail, shape=[first, *tail])


def _factors(b: Builder, size: int) -> list[int]:
    found: list[int] = []
    for _ in range(b.integer(0, 2)):
        divisor = b.choose([d for d in (1, 2, 3, 4, 5, 6) if size % d == 0])
        found.append(divisor)
        size //= divisor
    return [*found, size]


@on(when=rank(2))
def flatten(b: Builder, v: Value) -> Value:
    start = b.integer(0, len(v.tail) - 2)
    stop = b.integer(start + 1, len(v.tail) - 1)
    tail = [*v.tail[:start], math.prod(v.tail[start : stop + 1]), *v.tail[stop + 1 :]]
    return b.add("flatten", [v], tail, start=start + v.offset, stop=stop - len(v.tail))


@on(when=rank(2), weight=3)
def transpose(b: Builder, v: Value) -> Value:
    order = list(b.draw_permutation(len(v.tail)))
    perm = [*range(v.offset), *(place + v.offset for place in order)]
    return b.add("transpose", [v], [v.tail[place] for place in order], perm=perm)


@on(when=lambda v: 1 in v.tail)
def squeeze(b: Builder, v: Value) -> Value:
    place, axis = b.axis(v, [i for i, length in enumerate(v.tail) if length == 1])
    return b.add("squeeze", [v], [*v.tail[:place], *v.tail[place + 1 :]], axis=axis)


@on(when=rank(0, 3))
def unsqueeze(b: Builder, v: Value) -> Value:
    place = b.integer(0, len(v.tail))
    return b.add("unsqueeze", [v], [*v.tail[:place], 1, *v.tail[place:]], axis=place + v.offset)


@on(when=rank(1), weight=2)
def getitem(b: Builder, v: Value) -> Value:
    texts, tail = [":"] * v.offset, []
    for length in v.tail:
        kind = b.choose(("all", "range", "step", "last", "backwards", "new"))
        start = b.integer(0, length - 1)
        if kind == "range":
            stop = b.integer(start + 1, length)
            texts.append(f"{start}:{stop - length or ''}")
            tail.append(stop - start)
        elif kind == "step":
            texts.append(f"{start}::2")
            tail.append(-(-(length - start) // 2))
        elif kind == "last":
            texts.append(str(start - length))
        elif kind == "backwards":
            texts.append("::-1")
            tail.append(length)
        else:
            texts += ["None", ":"] if kind == "new" and len(v.tail) < 3 else [":"]
            tail += [1, length] if kind == "new" and len(v.tail) < 3 else [length]
    return b.add("getitem", [v], tail, index=", ".join(texts))


@on(when=rank(1))
def strided_slice(b: Builder, v: Value) -> Value:
    place, _ = b.axis(v)
    length = v.tail[place]
    start = b.integer(0, length - 1)
    axes = [place + v.offset]
    if b.flag():
        stop = b.integer(start + 1, length)
        tail = [stop - start if i == place else n for i, n in enumerate(v.tail)]
        return b.add("slice", [v], tail, axes=axes, starts=[start], ends=[stop])
    stride = b.choose((1, 2, 3))
    tail = [-(-(length - start) // stride) if i == place else n for i, n in enumerate(v.tail)]
    return b.add("strided_slice", [v], tail, axes=axes, starts=[start], ends=[10000], strides=[stride])


@on(when=rank(1))
def select(b: Builder, v: Value) -> Value:
    place, axis = b.axis(v)
    index = [b.integer(0, v.tail[place] - 1) for _ in range(b.integer(1, 3))]
    tail = [len(index) if i == place else n for i, n in enumerate(v.tail)]
    op = b.choose(("index_select", "gather"))
    return b.add(op, [v], tail, index=index, axis=axis if op == "index_select" else place + v.offset)


@on(when=lambda v: len(v.tail) >= 1 and v.size <= MOST_ELEMENTS // 2, weight=2)
def join(b: Builder, v: Value) -> Value:
    place, axis = b.axis(v)
    tail = [2 * n if i == place else n for i, n in enumerate(v.tail)]
    if b.flag():
        return b.add("concat_self", [v], tail, axis=axis)
    return b.add("concat", [v, b.like(v)], tail, axis=axis)


@on(when=lambda v: len(v.tail) <= 3 and v.size <= MOST_ELEMENTS // 2)
def stack(b: Builder, v: Value) -> Value:
    place = b.integer(0, len(v.tail))
    return b.add("stack", [v, b.like(v)], [*v.tail[:place], 2, *v.tail[place:]], axis=place + v.offset)


@on(when=lambda v: any(length > 1 for length in v.tail), weight=2)
def split(b: Builder, v: Value) -> Value:
    place, axis = b.axis(v, [i for i, length in enumerate(v.tail) if length > 1])
    length = v.tail[place]
    if length <= 4 and b.flag():
        rest = [*v.tail[:place], *v.tail[place + 1 :]]
        return b.add("unbind", [v], rest, axis=axis, which=b.integer(0, length - 1))
    first = b.integer(1, length - 1)
    which = b.integer(0, 1)
    tail = [(first, length - first)[which] if i == place else n for i, n in enumerate(v.tail)]
    sections = [first, b.choose((length - first, -1))]
    return b.add("split", [v], tail, sections=sections, axis=axis, which=which)


@on(when=lambda v: v.size <= MOST_ELEMENTS // 4)
def tile(b: Builder, v: Value) -> Value:
    repeats = [b.choose((1, 2)) for _ in v.tail]
    tail = [n * r for n, r in zip(v.tail, repeats, strict=True)]
    if v.size * 2 ** len(repeats) > MOST_ELEMENTS:
        repeats, tail = [1] * len(repeats), list(v.tail)
    return b.add("tile", [v], tail, repeats=[*[1] * v.offset, *repeats] or [1])


@on(when=rank(1))
def turn(b: Builder, v: Value) -> Value:
    _, axis = b.axis(v)
    if b.flag():
        return b.add("roll", [v], v.tail, shifts=b.choose((1, -1, 2)), axis=axis)
    return b.add("flip", [v], v.tail, axis=[axis])


@on(when=image, weight=2)
def pad(b: Builder, v: Value) -> Value:
    mode = b.choose(("constant", "reflect", "replicate", "circular"))
    sides = [b.integer(0, 2) for _ in range(4)]
    if mode != "constant":
        # Reflection copies from inside, so the padding must be shorter than the axis.
        sides = [min(side, v.tail[2 - i // 2] - 1) for i, side in enumerate(sides)]
    tail = [v.tail[0], v.tail[1] + sides[2] + sides[3], v.tail[2] + sides[0] + sides[1]]
    if mode == "constant":
        return b.add("pad", [v], tail, pad=sides, mode=mode, value=b.choose((0.0, 1.5)))
    return b.add("pad_reflect", [v], tail, pad=sides, mode=mode)


@on(when=lambda v: image(v) and v.size <= MOST_ELEMENTS // 4, weight=2)
def interpolate(b: Builder, v: Value) -> Value:
    mode = b.choose(("nearest", "bilinear", "bicubic"))
    align = b.flag() and mode != "nearest"
    if b.flag():
        return b.add(
            "interpolate", [v], [v.tail[0], 2 * v.tail[1], 2 * v.tail[2]], factor=2, mode=mode, align=align
        )
    size = [b.integer(1, 7), b.integer(1, 7)]
    return b.add("interpolate_size", [v], [v.tail[0], *size], size=size, mode=mode, align=align)


@on(when=lambda v: image(v) and v.tail[0] % 2 == 0)
def shuffle(b: Builder, v: Value) -> Value:
    if v.tail[0] % 4 == 0 and b.flag():
        return b.add("pixel_shuffle", [v], [v.tail[0] // 4, 2 * v.tail[1], 2 * v.tail[2]], factor=2)
    return b.add("channel_shuffle", [v], v.tail, groups=2)


@on(when=rank(2))
def tril(b: Builder, v: Value) -> Value:
    return b.add("tril", [v], v.tail, diagonal=b.integer(-1, 1))
