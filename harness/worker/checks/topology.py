"""What an inference program holds, beside the training program of the same network."""

from __future__ import annotations

import os
from typing import Any, Dict

import paddle
import paddle.nn.functional as F

from harness.worker.inspection import programs
from harness.worker.models import networks


def inspect(folder: str, program: str, params: str) -> Dict[str, Any]:
    """Operators and parameters of an inference model, and the sizes of its files in bytes."""
    with programs.static_mode():
        executor = paddle.static.Executor(paddle.CPUPlace())
        loaded, feeds, fetches = paddle.static.load_inference_model(
            folder, executor, model_filename=program, params_filename=params
        )
        return {
            "operators": programs.operators(loaded),
            "parameters": programs.parameters(loaded),
            "feeds": list(feeds),
            "fetches": len(fetches),
            "sizes": {name: os.path.getsize(os.path.join(folder, name)) for name in (program, params)},
        }


def training_program(model: str) -> Dict[str, Any]:
    """Operators of the network's training program: forward in train mode, loss, backward, optimizer."""
    reference = networks.get(model)
    with programs.static_mode():
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup):
            inputs = [paddle.static.data(s.name, list(s.shape), s.dtype) for s in reference.inputs]
            labels = paddle.static.data("labels", [None, 1], "int64")
            net = reference.build(**reference.arguments)
            net.train()
            loss = F.cross_entropy(networks.outputs_of(net(*inputs))[0], labels)
            paddle.optimizer.Adam(0.001).minimize(loss)
        return {"operators": programs.operators(main)}


def dygraph_parameters(model: str, weights: str) -> Dict[str, Any]:
    """Shapes of the network's parameters and floating buffers, and how many bytes they take."""
    net = networks.network(networks.get(model), weights)
    # Not the state dict: an LSTM lists each weight there under two names.
    values = [*net.parameters(), *(b for b in net.buffers() if paddle.is_floating_point(b))]
    return {
        "shapes": sorted(list(value.shape) for value in values),
        "bytes": int(sum(value.numpy().nbytes for value in values)),
    }


def normalized(model: str) -> Dict[str, Any]:
    """`normalize_program` of a training program, cut to inputs and prediction."""
    reference = networks.get(model)
    with programs.static_mode():
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup):
            inputs = [paddle.static.data(s.name, list(s.shape), s.dtype) for s in reference.inputs]
            labels = paddle.static.data("labels", [None, 1], "int64")
            outputs = networks.outputs_of(reference.build(**reference.arguments)(*inputs))
            loss = F.cross_entropy(outputs[0], labels)
            paddle.optimizer.Adam(0.001).minimize(loss)
        return {"operators": programs.operators(paddle.static.normalize_program(main, inputs, outputs))}
