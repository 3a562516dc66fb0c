"""Convolutions, pooling, norms, recurrent layers and control flow."""

from __future__ import annotations

import math
from typing import Any

from harness.fuzz.builder import Builder, Value
from harness.fuzz.operators.rule import image, on, rank, sequence


def _window(b: Builder, length: int) -> tuple[int, int, int, int, int]:
    """Draw kernel, stride, padding and dilation that fit; return them with the output length."""
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
    windows = [_window(b, length) for length in size]
    kernel, stride, padding, dilation, sizes = (list(column) for column in zip(*windows, strict=True))
    argument: object = padding
    style = b.choose(("pair", "four", "SAME", "VALID"))
    if style == "four":
        extra = b.integer(0, 1)
        argument = [padding[0], padding[0] + extra, padding[1], padding[1]]
        sizes[0] = (size[0] + 2 * padding[0] + extra - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    elif style == "SAME":
        argument, dilation = "SAME", [1, 1]
        sizes = [-(-length // s) for length, s in zip(size, stride, strict=True)]
    elif style == "VALID" and all(
        d * (k - 1) + 1 <= n for d, k, n in zip(dilation, kernel, size, strict=True)
    ):
        argument = "VALID"
        sizes = [
            (n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(size, dilation, kernel, stride, strict=True)
        ]
    params = {"weight": b.weight([out, channels // groups, *kernel])}
    op = b.choose(("conv2d", "conv2d_no_bias"))
    if op == "conv2d":
        params["bias"] = b.weight([out])
    return b.add(
        op, [v], [*sizes, out] if nhwc else [out, *sizes], params=params,
        stride=stride, padding=argument, dilation=dilation, groups=groups, layout="NHWC" if nhwc else "NCHW",
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
    # A window that starts in the padding after the last element contains no element.
    if ceil and any(
        (n - 1) * stride >= length + padding for n, length in zip(sizes, v.tail[1:], strict=True)
    ):
        ceil, sizes = False, [(length + 2 * padding - kernel) // stride + 1 for length in v.tail[1:]]
    common: dict[str, Any] = {"kernel": kernel, "stride": stride, "padding": padding, "ceil": ceil}
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
    size = math.prod(shape)
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


@on(when=sequence, weight=2)
def recurrent(b: Builder, v: Value) -> Value:
    op, hidden, layers = b.choose(("lstm", "gru", "lstm_state")), b.integer(1, 4), b.integer(1, 2)
    common: dict[str, Any] = {"size": v.tail[1], "hidden": hidden, "layers": layers, "seed": b.seed()}
    if op == "lstm_state":
        # [layers, batch, hidden]: the batch is no longer axis 0.
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
