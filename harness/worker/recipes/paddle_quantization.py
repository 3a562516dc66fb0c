"""Dynamic-graph quantization by `paddle.quantization`: its `QAT` and `PTQ`, with a `QuantConfig`.

The quanters and observers are Paddle's and those that PaddleSlim adds. The call sequences come from
the references of both classes, and from PaddleSlim's tutorial on post-training quantization.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, Mapping

import numpy as np
import paddle

from harness.worker.models import networks
from harness.worker.recipes import CompressionMethod, Job, recipe
from harness.worker.recipes import dygraph_quantization as dygraph
from harness.worker.recipes.dygraph_quantization import CONV_BN, LARGER, LENET, SMALL, Models

QUANTIZED = ["Conv2D", "Linear"]
FAKE = "paddle.quantization.quanters.FakeQuanterWithAbsMaxObserver"
ABS_MAX = "paddle.quantization.observers.AbsmaxObserver"
QUANTERS = "paddleslim.quant.quanters."
OBSERVERS = "paddleslim.quant.observers."
LSQ_WEIGHT = QUANTERS + "WeightLSQplusQuanter"
CHANNEL_WISE = OBSERVERS + "AbsMaxChannelWiseWeightObserver"


def _factory(stated: Any) -> Any:
    """Make a quanter or observer from its dotted name, or from ``{"name": …, arguments}``.

    An argument that is also a dotted name (PACT's ``quanter``) is made in the same way.
    """
    arguments = dict(stated) if isinstance(stated, Mapping) else {"name": stated}
    module, _, name = arguments.pop("name").rpartition(".")
    if "quanter" in arguments:
        arguments["quanter"] = _factory(arguments["quanter"])
    return getattr(importlib.import_module(module), name)(**arguments)


def _config(job: Job) -> Any:
    """Return the method's `QuantConfig`: for every layer, or only for layers with weights."""
    from paddle.quantization import QuantConfig

    activation, weight = _factory(job.parameters["activation"]), _factory(job.parameters["weight"])
    if not job.parameters.get("by_type"):
        return QuantConfig(activation=activation, weight=weight)
    config = QuantConfig(activation=None, weight=None)
    types = [getattr(paddle.nn, layer) for layer in QUANTIZED]
    config.add_type_config(types, activation=activation, weight=weight)
    return config


def _method(
    name: str, activation: Any, weight: Any, models_: Models = (), full: Models = (), **more: Any
) -> CompressionMethod:
    technique = name.split("-")[0]
    parameters = {"activation": activation, "weight": weight, **more}
    return CompressionMethod(
        name, technique, "dynamic", "paddle.quantization." + technique.upper(), parameters, models_, full
    )


def _save(job: Job, converted: Any) -> None:
    paddle.jit.save(converted, job.prefix, input_spec=networks.input_specs(job.model))


@recipe(
    "qat_paddle",
    needs=("checkpoint",),
    methods=(
        _method("qat-paddle", FAKE, FAKE, LENET, CONV_BN + LARGER),
        _method("qat-paddle-by-type", FAKE, FAKE, full=SMALL, by_type=True),
        _method(
            "qat-paddle-channel-wise", FAKE, QUANTERS + "FakeQuanterChannelWiseAbsMaxObserver", full=SMALL
        ),
        _method("qat-paddle-pact", {"name": QUANTERS + "PACTQuanter", "quanter": FAKE}, FAKE, full=LENET),
        _method("qat-paddle-lsq", QUANTERS + "ActLSQplusQuanter", LSQ_WEIGHT, full=LENET),
        _method("qat-paddle-lsq-weight", FAKE, {"name": LSQ_WEIGHT, "per_channel": True}, full=LENET),
    ),
)
def qat_paddle(job: Job) -> Dict[str, Any]:
    """`paddle.quantization.QAT`: `quantize`, an epoch of fine-tuning, `convert`, `jit.save`.

    In addition to ``logits`` (of the converted network), ``compressed.npz`` has ``before_convert``, and
    ``reloaded``: the logits of a new network with the state from before the conversion.
    """
    from paddle.quantization import QAT

    dygraph.number_from_zero()
    qat = QAT(_config(job))
    net = qat.quantize(dygraph.trained(job))
    losses = dygraph.fine_tune(job, net)
    before = dygraph.logits_of(job, net)
    again = dygraph.reloaded(job, net, QAT(_config(job)).quantize(dygraph.trained(job)))
    converted = qat.convert(net)
    np.savez(
        job.path("compressed.npz"),
        logits=dygraph.logits_of(job, converted),
        before_convert=before,
        reloaded=again,
    )
    _save(job, converted)
    return {**dygraph.exported(job, QUANTIZED), "losses": losses}


def _slim(name: str, observer: str, weight: str = CHANNEL_WISE) -> CompressionMethod:
    return _method(name, OBSERVERS + observer, weight, full=SMALL)


@recipe(
    "ptq_paddle",
    needs=("checkpoint",),
    methods=(
        _method("ptq-paddle", ABS_MAX, ABS_MAX, LENET, CONV_BN + LARGER),
        _method("ptq-paddle-by-type", ABS_MAX, ABS_MAX, full=SMALL, by_type=True),
        _method("ptq-paddle-float-weights", ABS_MAX, ABS_MAX, full=SMALL, remain_weight=True),
        _method("ptq-paddle-channel-wise", OBSERVERS + "AbsmaxObserver", CHANNEL_WISE, full=SMALL),
        _slim("ptq-paddle-mse", "MSEObserver"),
        _slim("ptq-paddle-emd", "EMDObserver"),
        _slim("ptq-paddle-avg", "AVGObserver"),
        _slim("ptq-paddle-hist", "HistObserver"),
        _slim("ptq-paddle-kl", "KLObserver"),
        _slim("ptq-paddle-weight-mse", "AbsmaxObserver", OBSERVERS + "MSEChannelWiseWeightObserver"),
    ),
)
def ptq_paddle(job: Job) -> Dict[str, Any]:
    """`paddle.quantization.PTQ`: `quantize`, calibration by forward passes, `convert`, `jit.save`."""
    from paddle.quantization import PTQ

    dygraph.number_from_zero()
    net = dygraph.trained(job)
    net.eval()
    ptq = PTQ(_config(job))
    observed = ptq.quantize(net)
    dygraph.calibrate(job, observed)
    arguments: Dict[str, Any] = {"remain_weight": True} if job.parameters.get("remain_weight") else {}
    converted = ptq.convert(observed, **arguments)
    np.savez(job.path("compressed.npz"), logits=dygraph.logits_of(job, converted))
    _save(job, converted)
    rule = dygraph.scale_rule(job.parameters["activation"].split(".")[-1])
    # An observer that minimizes the squared error clips the largest weights.
    return {
        **dygraph.exported(job, QUANTIZED),
        **rule,
        "nearest": "MSE" not in job.parameters["weight"],
    }
