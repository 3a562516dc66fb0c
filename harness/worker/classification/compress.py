"""PaddleSlim in document 004: PACT quantization-aware training, filter pruning, offline quantization."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, List

import numpy as np
import paddle

from harness.worker.classification.config import Config
from harness.worker.classification.sections import ConfigError
from harness.worker.inspection import programs
from harness.worker.models import networks
from harness.worker.training.filter_groups import deciders

QUANTIZABLE_LAYERS = ("Conv2D", "Linear")
CALIBRATION_BATCH, CALIBRATION_BATCHES = 1, 10
"""Batch size and number of batches of PaddleClas's calibration: ten images."""
QUANTIZABLE_OPERATORS = ("conv2d", "depthwise_conv2d", "conv2d_transpose", "mul", "matmul", "matmul_v2")
"""Operators that `quant_post_static` quantizes by default."""
QUANTIZED = "quant_post_static_model"


@dataclass
class Pruning:
    """The result of a pruning, by structured names.

    ``ratios`` of the weights whose filters were ranked; ``original`` and ``pruned`` are all parameters
    and buffers just before and just after; ``flops`` is what PaddleSlim counts, before and after.
    """

    ratios: Dict[str, float]
    original: Dict[str, np.ndarray]
    pruned: Dict[str, np.ndarray]
    flops: List[float]


def quantize_aware(layer: Any, exporting: bool) -> Any:
    """Put fake quantization around convolutions and linear layers, in place; PaddleSlim's ``QAT``.

    The settings are PaddleClas's. PACT clips activations in training by learned bounds. Like PaddleClas, the
    export leaves it out: the scales that were learned after it already contain its bounds.
    """
    from paddleslim.dygraph.quant import QAT

    quanter = QAT(
        config={
            "weight_preprocess_type": None,
            "activation_preprocess_type": None if exporting else "PACT",
            "weight_quantize_type": "channel_wise_abs_max",
            "activation_quantize_type": "moving_average_abs_max",
            "weight_bits": 8,
            "activation_bits": 8,
            "dtype": "int8",
            "window_size": 10000,
            "moving_rate": 0.9,
            "quantizable_layer_type": list(QUANTIZABLE_LAYERS),
        }
    )
    quanter.quantize(layer)
    return quanter


def prune(layer: Any, config: Config) -> Pruning:
    """Prune the same share of every convolution's filters, in place."""
    import paddleslim
    from paddleslim.analysis import dygraph_flops

    kind = "FPGMFilterPruner" if config.slim.prune == "fpgm" else "L1NormFilterPruner"
    shape = [1, *config.run.image_shape]
    before = dygraph_flops(layer, shape)
    original = _values(layer)
    pruner = getattr(paddleslim.dygraph, kind)(layer, shape)
    layer.eval()
    structured = {parameter.name: name for name, parameter in layer.named_parameters()}
    weights = [
        sublayer.weight.name for sublayer in layer.sublayers() if isinstance(sublayer, paddle.nn.Conv2D)
    ]
    pruner.prune_vars(dict.fromkeys(weights, config.slim.pruned_ratio), [0])
    after = dygraph_flops(layer, shape)
    layer.train()
    deciding = [structured[name] for name in deciders(pruner.collections, weights)]
    ratios = dict.fromkeys(deciding, config.slim.pruned_ratio)
    return Pruning(ratios, original, _values(layer), [float(before), float(after)])


def _values(layer: Any) -> Dict[str, np.ndarray]:
    return {
        name: np.array(value.numpy()) for name, value in layer.state_dict().items() if not is_backup(name)
    }


def is_backup(name: str) -> bool:
    """Whether it names the copy of an unpruned parameter that PaddleSlim leaves in a pruned layer."""
    return name.endswith("_backup")


def program_of(folder: str, name: str) -> str:
    """Return the program's path of the inference model in a folder; its parameter file must exist too.

    Raises:
        ConfigError: there is no such model.
    """
    prefix = os.path.join(folder, name)
    found = [prefix + ending for ending in (".json", ".pdmodel") if os.path.isfile(prefix + ending)]
    if found and os.path.isfile(prefix + ".pdiparams"):
        # A folder may hold two programs: the float model's and that of a quantized one, exported later.
        return max(found, key=os.path.getmtime)
    raise ConfigError(f"Global.save_inference_dir is {folder}, which holds no exported {name} model")


def quantize_offline(config: Config, name: str, images: Any) -> str:
    """Calibrate and quantize an exported model; return the folder of the quantized one, next to it.

    ``images`` is a dataset of inputs without labels. PaddleClas's tool passes a sample generator,
    which Paddle 2.6 and newer refuse (PaddleClas issue 3084): they take a `paddle.io.DataLoader` only.

    Raises:
        ConfigError: there is no exported model.
    """
    folder = config.run.save_inference_dir
    program = program_of(folder, name)
    out = os.path.join(folder, QUANTIZED)
    import paddleslim

    place = paddle.CUDAPlace(0) if config.run.device == "gpu" else paddle.CPUPlace()
    with programs.static_mode():
        with paddle.static.program_guard(paddle.static.Program()):
            fed = paddle.static.data(input_name(config), [None, *config.run.image_shape], "float32")
        loader = paddle.io.DataLoader(
            images,
            places=place,
            feed_list=[fed],
            batch_size=CALIBRATION_BATCH,
            shuffle=config.train.shuffle,
            return_list=False,
        )
        paddleslim.quant.quant_post_static(
            executor=paddle.static.Executor(place),
            model_dir=folder,
            model_filename=os.path.basename(program),
            params_filename=name + ".pdiparams",
            quantize_model_path=out,
            data_loader=loader,
            batch_size=CALIBRATION_BATCH,
            batch_nums=CALIBRATION_BATCHES,
        )
    return out


def input_name(config: Config) -> str:
    """Return the name of the network's one input."""
    return networks.get(config.arch.name).inputs[0].name
