"""The operators of generated networks, each as a template of Python text that calls Paddle.

``{0}``, ``{1}`` are its inputs, ``{weight}`` and the like its parameters, other names its attributes as
Python literals. ``{layer}`` is the member that :data:`LAYERS` constructs.
"""

from __future__ import annotations

from typing import Dict

_UNARY = ("abs", "exp", "square", "sin", "cos", "erf", "floor", "ceil", "round", "sign", "rsqrt", "sqrt",
          "log1p", "reciprocal", "neg", "trunc", "isfinite", "atan", "expm1", "log")  # fmt: skip
_FUNCTIONAL = ("relu", "relu6", "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid", "mish", "softsign",
               "tanhshrink", "log_sigmoid", "selu")  # fmt: skip
_BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "matmul", "bmm", "equal",
           "less_than", "greater_equal", "not_equal", "logical_and", "logical_or", "floor_divide",
           "remainder", "atan2", "fmax")  # fmt: skip
_REDUCTIONS = ("sum", "mean", "max", "min", "prod", "logsumexp", "any", "all", "amax", "std", "var",
               "median")  # fmt: skip

TEMPLATES: Dict[str, str] = {
    **{name: f"paddle.{name}({{0}})" for name in _UNARY},
    **{name: f"F.{name}({{0}})" for name in _FUNCTIONAL},
    **{name: f"paddle.{name}({{0}}, {{1}})" for name in _BINARY},
    **{name: f"paddle.{name}({{0}}, axis={{axis}}, keepdim={{keepdim}})" for name in _REDUCTIONS},
    # activations with attributes
    "leaky_relu": "F.leaky_relu({0}, {slope})",
    "elu": "F.elu({0}, {alpha})",
    "gelu": "F.gelu({0}, approximate={approximate})",
    "softplus": "F.softplus({0}, beta={beta}, threshold={threshold})",
    "swish": "F.swish({0})",
    "hardtanh": "F.hardtanh({0}, {low}, {high})",
    "clip": "paddle.clip({0}, {low}, {high})",
    "scale": "paddle.scale({0}, {scale}, {bias}, bias_after_scale={after})",
    "add_scalar": "{0} + {value}",
    "multiply_scalar": "{0} * {value}",
    "subtract_from": "{value} - {0}",
    "pow": "paddle.pow({0}, {exponent})",
    "prelu": "F.prelu({0}, {weight})",
    "softmax": "F.softmax({0}, axis={axis})",
    "log_softmax": "F.log_softmax({0}, axis={axis})",
    "glu": "F.glu({0}, axis={axis})",
    "maxout": "F.maxout({0}, groups={groups}, axis=1)",
    # with a parameter
    "add_parameter": "{0} + {weight}",
    "multiply_parameter": "{0} * {weight}",
    "parameter_minus": "{weight} - {0}",
    "maximum_parameter": "paddle.maximum({0}, {weight})",
    "linear": "F.linear({0}, {weight}, {bias})",
    "linear_no_bias": "F.linear({0}, {weight})",
    "matmul_parameter": "paddle.matmul({0}, {weight}, transpose_y={transpose})",
    "matmul_left": "paddle.matmul({weight}, {0})",
    "matmul_transposed": "paddle.matmul({0}, {1}, transpose_x={tx}, transpose_y={ty})",
    "einsum": "paddle.einsum({equation}, {0}, {1})",
    "conv1d": "F.conv1d({0}, {weight}, {bias}, {stride}, {padding}, {dilation}, {groups})",
    "conv2d": "F.conv2d({0}, {weight}, {bias}, {stride}, {padding}, {dilation}, {groups}, {layout})",
    "conv2d_no_bias": "F.conv2d({0}, {weight}, None, {stride}, {padding}, {dilation}, {groups}, {layout})",
    "conv2d_transpose": "F.conv2d_transpose({0}, {weight}, {bias}, {stride}, {padding}, {extra}, "
    "groups={groups})",
    "max_pool2d": "F.max_pool2d({0}, {kernel}, {stride}, {padding}, ceil_mode={ceil})",
    "avg_pool2d": "F.avg_pool2d({0}, {kernel}, {stride}, {padding}, ceil_mode={ceil}, exclusive={exclusive})",
    "adaptive_avg_pool2d": "F.adaptive_avg_pool2d({0}, {size})",
    "adaptive_max_pool2d": "F.adaptive_max_pool2d({0}, {size})",
    "avg_pool1d": "F.avg_pool1d({0}, {kernel}, {stride}, {padding}, exclusive={exclusive})",
    "batch_norm": "F.batch_norm({0}, {mean}, {variance}, {weight}, {bias}, False, epsilon={epsilon})",
    "layer_norm": "F.layer_norm({0}, {shape}, {weight}, {bias}, {epsilon})",
    "layer_norm_plain": "F.layer_norm({0}, {shape})",
    "group_norm": "F.group_norm({0}, {groups}, {epsilon}, {weight}, {bias})",
    "instance_norm": "F.instance_norm({0}, weight={weight}, bias={bias})",
    "local_response_norm": "F.local_response_norm({0}, {size})",
    "normalize": "F.normalize({0}, p=2, axis={axis})",
    "embedding": "F.embedding({0}, {weight})",
    "embedding_padded": "F.embedding({0}, {weight}, padding_idx={padding})",
    "lstm": "{layer}({0})[0]",
    "lstm_state": "{layer}({0})[1][{which}]",
    "gru": "{layer}({0})[0]",
    "attention": "F.scaled_dot_product_attention({0}, {1}, {2}, is_causal={causal})",
    # shapes
    "reshape": "paddle.reshape({0}, {shape})",
    "flatten": "paddle.flatten({0}, {start}, {stop})",
    "transpose": "paddle.transpose({0}, {perm})",
    "squeeze": "paddle.squeeze({0}, {axis})",
    "unsqueeze": "paddle.unsqueeze({0}, {axis})",
    "getitem": "{0}[{index:raw}]",
    "slice": "paddle.slice({0}, {axes}, {starts}, {ends})",
    "strided_slice": "paddle.strided_slice({0}, {axes}, {starts}, {ends}, {strides})",
    "index_select": "paddle.index_select({0}, {index}, axis={axis})",
    "gather": "paddle.gather({0}, {index}, axis={axis})",
    "take_along_axis": "paddle.take_along_axis({0}, {1}, axis={axis})",
    "concat": "paddle.concat([{0}, {1}], axis={axis})",
    "concat_self": "paddle.concat([{0}, {0}], axis={axis})",
    "stack": "paddle.stack([{0}, {1}], axis={axis})",
    "split": "paddle.split({0}, {sections}, axis={axis})[{which}]",
    "unbind": "paddle.unbind({0}, axis={axis})[{which}]",
    "tile": "paddle.tile({0}, {repeats})",
    "flip": "paddle.flip({0}, {axis})",
    "roll": "paddle.roll({0}, {shifts}, {axis})",
    "pad": "F.pad({0}, {pad}, mode={mode}, value={value})",
    "pad_reflect": "F.pad({0}, {pad}, mode={mode})",
    "interpolate": "F.interpolate({0}, scale_factor={factor}, mode={mode}, align_corners={align})",
    "interpolate_size": "F.interpolate({0}, size={size}, mode={mode}, align_corners={align})",
    "pixel_shuffle": "F.pixel_shuffle({0}, {factor})",
    "channel_shuffle": "F.channel_shuffle({0}, {groups})",
    "unfold": "F.unfold({0}, {kernel}, {stride}, {padding})",
    "tril": "paddle.tril({0}, {diagonal})",
    # order
    "argmax": "paddle.argmax({0}, axis={axis}, keepdim={keepdim})",
    "argmin": "paddle.argmin({0}, axis={axis}, keepdim={keepdim})",
    "topk_values": "paddle.topk({0}, {k}, axis={axis}, largest={largest})[0]",
    "topk_indices": "paddle.topk({0}, {k}, axis={axis}, largest={largest})[1]",
    "sort": "paddle.sort({0}, axis={axis}, descending={descending})",
    "argsort": "paddle.argsort({0}, axis={axis}, descending={descending})",
    "cumsum": "paddle.cumsum({0}, axis={axis})",
    "cumprod": "paddle.cumprod({0}, dim={axis})",
    "kthvalue": "paddle.kthvalue({0}, {k}, axis={axis})[0]",
    "where": "paddle.where({0}, {1}, {2})",
    "logical_not": "paddle.logical_not({0})",
    "cast": "paddle.cast({0}, {dtype})",
    "one_hot": "paddle.cast(F.one_hot({0}, {classes}), {dtype})",
    "clip_integers": "paddle.clip(paddle.abs({0}), 0, {high})",
    # control flow
    "cond": "paddle.static.nn.cond(paddle.mean({0}) > {bound}, lambda: F.relu({0}), lambda: {0} * 2.0)",
    "while": "paddle.static.nn.while_loop(lambda i, v: i < {times}, lambda i, v: [i + 1, F.tanh(v) + v], "
    "[paddle.zeros([1], 'int32'), {0}])[1]",
}

OF_CONSTANTS: Dict[str, str] = {
    "tanh": "paddle.tanh({0})",
    "abs": "paddle.abs({0})",
    "neg": "paddle.neg({0})",
    "twice": "({0} + {0})",
    "sigmoid": "F.sigmoid({0})",
    "reshaped": "paddle.reshape(paddle.flatten({0}), {shape})",
    "flipped": "paddle.flip({0}, [0])",
    "joined": "paddle.concat([{0}, {0}], 0)[:{length}]",
    "not_below_zeros": "paddle.maximum({0}, paddle.zeros({shape}))",
}
"""What a network may compute from a parameter alone; the shape stays."""

INDEXED = ("index_select", "gather")
"""Operators whose attribute ``index`` becomes a constant tensor."""

LAYERS: Dict[str, str] = {
    "lstm": "paddle.nn.LSTM({size}, {hidden}, {layers}, direction={direction})",
    "lstm_state": "paddle.nn.LSTM({size}, {hidden}, {layers})",
    "gru": "paddle.nn.GRU({size}, {hidden}, {layers}, direction={direction})",
}
"""Operators that are a sublayer; the attribute ``seed`` draws all its parameters."""
