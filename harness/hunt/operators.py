"""Every operator of a generated network: when it applies, and what shape and dtype come out.

A rule is a function of the builder and the value it acts on; :data:`RULES` holds them with the dtype and
the condition, in the order in which shrinking prefers them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.hunt.builder import MOST_ELEMENTS, Builder, Value

Rule = Callable[[Builder, Value], Value]
When = Callable[[Value], bool]


@dataclass(frozen=True)
class Entry:
    """A rule, with the dtype of the value it acts on and what else must hold of it."""

    rule: Rule
    dtype: str
    when: When
    weight: int = 1
    """How often it is on the list that is drawn from."""


RULES: list[Entry] = []


def on(dtype: str = "float32", when: When = lambda value: True, weight: int = 1) -> Callable[[Rule], Rule]:
    """Register a rule."""

    def register(rule: Rule) -> Rule:
        RULES.append(Entry(rule, dtype, when, weight))
        return rule

    return register


def rank(low: int, high: int = 9) -> When:
    """As many axes behind the batch."""
    return lambda value: low <= len(value.tail) <= high


def image(value: Value) -> bool:
    """A batch of channels by height by width."""
    return value.batched and len(value.tail) == 3


def sequence(value: Value) -> bool:
    """A batch of steps by features."""
    return value.batched and len(value.tail) == 2


# Activations and arithmetic

SMOOTH = ("relu", "sigmoid", "tanh", "silu", "relu6", "hardswish", "hardsigmoid", "mish", "softsign", "tanhshrink",
          "log_sigmoid", "selu", "swish", "abs", "neg", "square", "sin", "cos", "erf", "atan")  # fmt: skip
STEPS = ("floor", "ceil", "round", "sign", "trunc")


@on(weight=6)
def unary(b: Builder, v: Value) -> Value:
    return b.add(b.choose(SMOOTH), [v], v.tail)


@on()
def steps(b: Builder, v: Value) -> Value:
    return b.add(b.choose(STEPS), [v], v.tail)


@on()
def bounded(b: Builder, v: Value) -> Value:
    """Functions that need a domain, after what gives it."""
    op = b.choose(("exp", "expm1", "sqrt", "log1p", "rsqrt", "log", "reciprocal"))
    if op in ("exp", "expm1"):
        return b.add(op, [b.add("clip", [v], v.tail, low=-5.0, high=5.0)], v.tail)
    positive = b.add("abs", [v], v.tail)
    if op not in ("sqrt", "log1p"):
        positive = b.add("add_scalar", [positive], v.tail, value=b.choose((0.5, 1.0)))
    return b.add(op, [positive], v.tail)


@on(weight=3)
def parametric(b: Builder, v: Value) -> Value:
    """Activations and scalings with attributes."""
    op = b.choose(("leaky_relu", "elu", "gelu", "softplus", "hardtanh", "clip", "scale", "add_scalar",
                   "multiply_scalar", "subtract_from", "pow"))  # fmt: skip
    number = b.choose((1.0, 0.5, 2.0, -1.0, 0.1, 3.0))
    attrs = {
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
    }[op]
    return b.add(op, [v], v.tail, **attrs)


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
    """Broadcast against a parameter of as many trailing axes, some of length one."""
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


# Products


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
    left = b.flag()
    length = v.tail[-1] if left else v.tail[-2]
    tx, ty = (False, True) if left else (True, False)
    return b.add(
        "matmul_transposed", [v, b.like(v)],
        [*v.tail[:-2], v.tail[-2] if left else length, v.tail[-2] if left else length], tx=tx, ty=ty,
    )  # fmt: skip


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
    """Heads by steps by features are Paddle's [batch, steps, heads, features]."""
    return b.add("attention", [v, b.like(v), b.like(v)], v.tail, causal=b.flag())


# Convolution and pooling


def _window(b: Builder, length: int) -> tuple[int, int, int, int, int]:
    """Kernel, stride, padding, dilation that fit, and the length that comes out."""
    kernel = b.choose([k for k in (1, 2, 3) if k <= length])
    stride, padding = b.choose((1, 2, 3)), b.choose((0, 1, 2))
    dilation = b.choose([d for d in (1, 2) if d * (kernel - 1) + 1 <= length + 2 * padding])
    out = (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return kernel, stride, padding, dilation, out


@on(when=image, weight=6)
def conv2d(b: Builder, v: Value) -> Value:
    nhwc = b.draw_rarely()
    channels, *size = (v.tail[2], v.tail[0], v.tail[1]) if nhwc else v.tail
    groups = b.choose([g for g in (1, 2, 3, 4, channels) if channels % g == 0])
    out = groups * b.integer(1, max(1, 6 // groups))
    kernel, stride, padding, dilation, sizes = [], [], [], [], []
    for length in size:
        k, s, p, d, o = _window(b, length)
        for held, item in zip((kernel, stride, padding, dilation, sizes), (k, s, p, d, o), strict=True):
            held.append(item)
    told: object = padding
    style = b.choose(("pair", "four", "SAME", "VALID"))
    if style == "four":
        extra = b.integer(0, 1)
        told = [padding[0], padding[0] + extra, padding[1], padding[1]]
        sizes[0] = (size[0] + 2 * padding[0] + extra - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    elif style == "SAME":
        told, dilation = "SAME", [1, 1]
        sizes = [-(-length // s) for length, s in zip(size, stride, strict=True)]
    elif style == "VALID" and all(
        d * (k - 1) + 1 <= n for d, k, n in zip(dilation, kernel, size, strict=True)
    ):
        told = "VALID"
        sizes = [
            (n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(size, dilation, kernel, stride, strict=True)
        ]
    params = {"weight": b.weight([out, channels // groups, *kernel])}
    op = b.choose(("conv2d", "conv2d_no_bias"))
    if op == "conv2d":
        params["bias"] = b.weight([out])
    return b.add(
        op, [v], [*sizes, out] if nhwc else [out, *sizes], params=params,
        stride=stride, padding=told, dilation=dilation, groups=groups, layout="NHWC" if nhwc else "NCHW",
    )  # fmt: skip


@on(when=sequence, weight=2)
def conv1d(b: Builder, v: Value) -> Value:
    channels, length = v.tail
    groups = b.choose([g for g in (1, channels) if channels % g == 0])
    kernel, stride, padding, dilation, size = _window(b, length)
    out = groups * b.integer(1, 2)
    return b.add(
        "conv1d", [v], [out, size], stride=stride, padding=padding, dilation=dilation, groups=groups,
        params={"weight": b.weight([out, channels // groups, kernel]), "bias": b.weight([out])},
    )  # fmt: skip


@on(when=lambda v: image(v) and v.tail[1] * v.tail[2] <= 64, weight=2)
def conv2d_transpose(b: Builder, v: Value) -> Value:
    channels, *size = v.tail
    kernel, stride = b.choose((1, 2, 3)), b.choose((1, 2))
    padding = b.choose([p for p in (0, 1) if 2 * p < kernel])
    groups = b.choose([g for g in (1, channels) if channels % g == 0])
    extra = b.choose([e for e in (0, 1) if e < stride])
    out = b.integer(1, 3)
    sizes = [(length - 1) * stride - 2 * padding + kernel + extra for length in size]
    params = {"weight": b.weight([channels, out, kernel, kernel]), "bias": b.weight([out * groups])}
    return b.add(
        "conv2d_transpose", [v], [out * groups, *sizes], params=params,
        stride=stride, padding=padding, extra=extra, groups=groups,
    )  # fmt: skip


@on(when=lambda v: image(v) and min(v.tail[1:]) >= 2, weight=3)
def pool2d(b: Builder, v: Value) -> Value:
    kernel = b.choose([k for k in (2, 3) if k <= min(v.tail[1:])])
    stride, padding, ceil = b.choose((1, 2, 3)), b.choose((0, 1)), b.flag()
    sizes = []
    for length in v.tail[1:]:
        room = length + 2 * padding - kernel
        sizes.append((-(-room // stride) if ceil else room // stride) + 1)
    # A window that starts in the padding behind the last element holds no element at all.
    if ceil and any(
        (n - 1) * stride >= length + padding for n, length in zip(sizes, v.tail[1:], strict=True)
    ):
        ceil, sizes = False, [(length + 2 * padding - kernel) // stride + 1 for length in v.tail[1:]]
    common = {"kernel": kernel, "stride": stride, "padding": padding, "ceil": ceil}
    if b.flag():
        return b.add("avg_pool2d", [v], [v.tail[0], *sizes], **common, exclusive=b.flag())
    return b.add("max_pool2d", [v], [v.tail[0], *sizes], **common)


@on(when=image)
def adaptive_pool(b: Builder, v: Value) -> Value:
    size = [b.integer(1, min(3, length)) for length in v.tail[1:]]
    return b.add(b.choose(("adaptive_avg_pool2d", "adaptive_max_pool2d")), [v], [v.tail[0], *size], size=size)


@on(when=lambda v: sequence(v) and v.tail[1] >= 2)
def pool1d(b: Builder, v: Value) -> Value:
    stride, padding = b.choose((1, 2)), b.choose((0, 1))
    length = (v.tail[1] + 2 * padding - 2) // stride + 1
    return b.add(
        "avg_pool1d", [v], [v.tail[0], length], kernel=2, stride=stride, padding=padding, exclusive=b.flag()
    )


# Norms


@on(when=lambda v: v.batched and 1 <= len(v.tail) <= 3, weight=3)
def batch_norm(b: Builder, v: Value) -> Value:
    channels = v.tail[0]
    params = {
        "mean": b.weight([channels], "normal"),
        "variance": b.weight([channels], "positive"),
        "weight": b.weight([channels]),
        "bias": b.weight([channels]),
    }
    return b.add("batch_norm", [v], v.tail, params=params, epsilon=b.choose((1e-5, 1e-3)))


@on(when=rank(1), weight=2)
def layer_norm(b: Builder, v: Value) -> Value:
    shape = list(v.tail[b.integer(0, len(v.tail) - 1) :])
    if b.flag():
        return b.add("layer_norm_plain", [v], v.tail, shape=shape)
    size = 1
    for length in shape:
        size *= length
    params = {"weight": b.weight([size]), "bias": b.weight([size])}
    return b.add("layer_norm", [v], v.tail, params=params, shape=shape, epsilon=b.choose((1e-5, 1e-2)))


@on(when=image, weight=2)
def image_norm(b: Builder, v: Value) -> Value:
    channels = v.tail[0]
    op = b.choose(("group_norm", "instance_norm", "local_response_norm", "normalize"))
    params = {"weight": b.weight([channels]), "bias": b.weight([channels])}
    if op == "group_norm":
        groups = b.choose([g for g in (1, 2, 3, channels) if channels % g == 0])
        return b.add(op, [v], v.tail, params=params, groups=groups, epsilon=1e-5)
    if op == "instance_norm" and v.tail[1] * v.tail[2] > 1:
        return b.add(op, [v], v.tail, params=params)
    if op == "local_response_norm":
        return b.add(op, [v], v.tail, size=b.choose((2, 3)))
    return b.add("normalize", [v], v.tail, axis=b.axis(v)[1])


# Shapes


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
    size = 1
    for length in v.tail[start : stop + 1]:
        size *= length
    tail = [*v.tail[:start], size, *v.tail[stop + 1 :]]
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
        # Reflection takes from inside, so a side must be shorter than the axis.
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


# Reductions and order


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
    """Over the batch: the network is no longer one of independent rows."""
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


# Sequences and control flow


@on(when=sequence, weight=2)
def recurrent(b: Builder, v: Value) -> Value:
    op, hidden, layers = b.choose(("lstm", "gru", "lstm_state")), b.integer(1, 4), b.integer(1, 2)
    common = {"size": v.tail[1], "hidden": hidden, "layers": layers, "seed": b.seed()}
    if op == "lstm_state":
        # [layers, batch, hidden]: the batch is no longer in front.
        state = b.add(op, [v], [hidden], batched=True, which=b.integer(0, 1), **common)
        b.values.pop()
        return b.add("unbind", [state], [hidden], axis=0, which=layers - 1)
    direction = b.choose(("forward", "bidirect"))
    width = hidden * (2 if direction == "bidirect" else 1)
    return b.add(op, [v], [v.tail[0], width], direction=direction, **common)


@on(weight=1)
def control_flow(b: Builder, v: Value) -> Value:
    if b.flag():
        return b.add("while", [v], v.tail, times=b.integer(1, 3))
    # The mean is over the batch too.
    b.equivariant = False
    return b.add("cond", [v], v.tail, bound=b.choose((0.25, -0.25)))


# Integers and booleans


@on()
def to_integers(b: Builder, v: Value) -> Value:
    bounded = b.add("clip", [v], v.tail, low=-100.0, high=100.0)
    return b.add("cast", [bounded], v.tail, "int64", dtype="int64")


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


@on("bool", weight=2)
def truth_to_float(b: Builder, v: Value) -> Value:
    return b.add("cast", [v], v.tail, "float32", dtype="float32")


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
