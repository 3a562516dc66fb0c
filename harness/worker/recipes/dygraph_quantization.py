"""Dynamic-graph quantization by PaddleSlim: `paddleslim.QAT` and `paddleslim.PTQ`.

Document 000 links to PaddleSlim's quick starts for the dynamic graph and to the reference of both
classes; this module makes the same calls in the same order. Its helpers serve `paddle.quantization` too.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
import paddle

from harness.worker.models import networks
from harness.worker.recipes import COMPARED, CompressionMethod, Job, methods_of, recipe
from harness.worker.training import loops
from harness.worker.training.fine_tuning import tune
from harness.worker.training.loops import FINE_TUNING

CALIBRATION = (8, 32)
"""Number of training batches for calibration, and their size."""
OPERATORS = {"Conv2D": ["conv2d", "depthwise_conv2d"], "Linear": ["matmul_v2"]}
"""Operators that each layer type becomes in the exported program."""

Models = Tuple[str, ...]
LENET: Models = ("lenet",)
CONV_BN: Models = ("conv_bn",)
SMALL: Models = LENET + CONV_BN
LARGER: Models = ("mobilenet_v1_x0_125", "resnet_vd_small")


def number_from_zero() -> None:
    """Make static graph mode generate names as in a new process.

    Saving enters that mode, which continues its last count: a program's output is named after that count,
    so it would have another name in a second save.
    """
    paddle.enable_static()
    paddle.utils.unique_name.switch()
    paddle.disable_static()


def trained(job: Job) -> Any:
    """Return the float network with the checkpoint's values, in train mode."""
    return networks.network(job.model, job.of("checkpoint", "model.pdparams"))


def fine_tune(job: Job, net: Any) -> List[float]:
    """One epoch of the training examples at a smaller learning rate; the loss before every step."""
    # Made after the quantization, as in PaddleSlim's demo: PACT and LSQ add parameters.
    optimizer = loops.make_optimizer(job.training, net.parameters(), FINE_TUNING)
    return tune(net, optimizer, job.model, job.digits, epochs=1)


def calibrate(job: Job, net: Any) -> None:
    """Forward passes over the first training examples."""
    batches, size = CALIBRATION
    arrays, _ = job.examples("train", batches * size)
    with paddle.no_grad():
        for start in range(0, batches * size, size):
            net(*networks.tensors([array[start : start + size] for array in arrays]))


def logits_of(job: Job, net: Any) -> np.ndarray:
    """What the network gives in eval mode for the first test examples, float32 ``[64, classes]``."""
    net.eval()
    with paddle.no_grad():
        outputs = net(*networks.tensors(job.examples("test", COMPARED)[0]))
    return np.asarray(networks.outputs_of(outputs)[0].numpy())


def reloaded(job: Job, net: Any, fresh: Any) -> np.ndarray:
    """Return the logits of a new quantized network after loading the state of ``net`` from a file.

    Raises:
        ValueError: the state lacks an entry of the network, or has one that the network lacks.
    """
    path = job.path("quantized.pdparams")
    paddle.save(net.state_dict(), path)
    missing, unexpected = fresh.set_state_dict(paddle.load(path))
    if missing or unexpected:
        raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
    return logits_of(job, fresh)


def exported(job: Job, layers: List[str]) -> Dict[str, Any]:
    """Return the manifest values that all these methods share; ``layers`` are the types to quantize."""
    return {
        "program": job.program,
        "bits": 8,
        "quantizable": [operator for layer in layers for operator in OPERATORS[layer]],
    }


def scale_rule(quantizer: str) -> Dict[str, str]:
    """Return the rule for an activation's scale, by the quantizer's or observer's name, if it is simple."""
    rules = {"AbsmaxQuantizer": "largest", "AbsmaxObserver": "largest", "AVGObserver": "mean"}
    return {"scale_rule": rules[quantizer]} if quantizer in rules else {}


def batch_norms(net: Any) -> int:
    """Return the number of BatchNorm layers in a network: 0 after the requested fusing."""
    return sum(isinstance(layer, paddle.nn.BatchNorm2D) for layer in net.sublayers())


def _qat(
    name: str, models_: Models = (), full: Models = (), train_mode: bool = False, **config: Any
) -> CompressionMethod:
    parameters = {"config": config, "train_mode": train_mode}
    # Trained in dynamic graph and written in the older IR in every profile, as the plain method shows.
    alike = name != "qat-slim"
    return CompressionMethod(name, "qat", "dynamic", "paddleslim.QAT", parameters, models_, full, alike)


@recipe(
    "qat_slim",
    needs=("checkpoint",),
    methods=(
        _qat("qat-slim", SMALL, LARGER),
        _qat("qat-slim-fake-ops", full=SMALL, onnx_format=False),
        _qat("qat-slim-train-mode", full=SMALL, train_mode=True),
        _qat("qat-slim-fake-ops-train-mode", full=CONV_BN, train_mode=True, onnx_format=False),
        _qat("qat-slim-weight-abs-max", full=SMALL, weight_quantize_type="abs_max"),
        _qat("qat-slim-weight-moving-average", full=LENET, weight_quantize_type="moving_average_abs_max"),
        _qat("qat-slim-activation-abs-max", full=LENET, activation_quantize_type="abs_max"),
        _qat("qat-slim-conv-only", full=SMALL, quantizable_layer_type=["Conv2D"]),
        _qat("qat-slim-fuse", CONV_BN, fuse_conv_bn=True),
        _qat("qat-slim-pact", LENET, CONV_BN, activation_preprocess_type="PACT"),
        _qat("qat-slim-weight-pact", full=SMALL, weight_preprocess_type="PACT"),
    ),
)
def qat_slim(job: Job) -> Dict[str, Any]:
    """`paddleslim.QAT`: `quantize`, an epoch of fine-tuning, `save_quantized_model`.

    In addition to ``logits``, ``compressed.npz`` has ``reloaded``: those of a new network with the state.
    """
    from paddleslim import QAT

    number_from_zero()
    config = dict(job.parameters["config"])
    net, fresh = trained(job), trained(job)
    quanter = QAT(config=config)
    quanter.quantize(net)
    QAT(config=config).quantize(fresh)
    losses = fine_tune(job, net)
    np.savez(job.path("compressed.npz"), logits=logits_of(job, net), reloaded=reloaded(job, net, fresh))
    values = {
        "losses": losses,
        "batch_norms": batch_norms(net),
        # PACT's clipping thresholds, which start at 100.
        "thresholds": [float(p) for name, p in net.named_parameters() if name.endswith(".alpha")],
    }
    if job.parameters["train_mode"]:
        net.train()  # as in the reference of `save_quantized_model`, where nothing calls `eval`
    quanter.save_quantized_model(net, job.prefix, input_spec=networks.input_specs(job.model))
    return {**exported(job, config.get("quantizable_layer_type", ["Conv2D", "Linear"])), **values}


_ptq = methods_of("ptq", "dynamic", "paddleslim.PTQ")
HIST, ABS_MAX = {"activation_quantizer": "HistQuantizer"}, {"activation_quantizer": "AbsmaxQuantizer"}


@recipe(
    "ptq_slim",
    needs=("checkpoint",),
    methods=(
        # By default the activations' thresholds come from a search in pure Python: seconds per layer.
        _ptq("ptq-slim", CONV_BN, LENET + LARGER, config={}, fuse=False),
        _ptq("ptq-slim-hist", LENET, CONV_BN, config=HIST, fuse=False),
        _ptq("ptq-slim-abs-max", full=SMALL, config=ABS_MAX, fuse=False),
        _ptq(
            "ptq-slim-weight-abs-max", full=SMALL, config={"weight_quantizer": "AbsmaxQuantizer"}, fuse=False
        ),
        _ptq("ptq-slim-fuse", CONV_BN, LARGER, config=HIST, fuse=True),
    ),
)
def ptq_slim(job: Job) -> Dict[str, Any]:
    """`paddleslim.PTQ`: `quantize`, calibration by forward passes, `save_quantized_model`."""
    from paddleslim import PTQ

    number_from_zero()
    net = trained(job)
    net.eval()
    ptq = PTQ(**job.parameters["config"])
    quantized = ptq.quantize(net, fuse=job.parameters["fuse"])
    calibrate(job, quantized)
    ptq.save_quantized_model(quantized, job.prefix, input_spec=networks.input_specs(job.model))
    # Before that call the network computes in float; the call inserts the quantized layers.
    np.savez(job.path("compressed.npz"), logits=logits_of(job, quantized))
    rule = scale_rule(job.parameters["config"].get("activation_quantizer", "KLQuantizer"))
    return {**exported(job, ["Conv2D", "Linear"]), **rule, "batch_norms": batch_norms(quantized)}
