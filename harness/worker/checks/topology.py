"""What an inference program holds, and what the training program of the same network holds."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Tuple

import paddle
import paddle.nn.functional as F

from harness.worker.inspection import programs
from harness.worker.models import networks


def inspect(folder: str, program: str, params: str) -> Dict[str, Any]:
    """Return operators and parameters of an inference model, and the sizes of its files in bytes."""
    with programs.static_mode():
        _, loaded, feeds, fetches = programs.load(folder, program, params)
        return {
            "operators": programs.operators(loaded),
            "parameters": programs.parameters(loaded),
            "feeds": list(feeds),
            "fetches": len(fetches),
            "sizes": {name: os.path.getsize(os.path.join(folder, name)) for name in (program, params)},
        }


def _trained(model: str) -> Tuple[Any, List[Any], List[Any]]:
    """The network's training program (forward, loss, backward, optimizer), its inputs and its outputs.

    A network is in train mode when it is built.
    """
    reference = networks.get(model)
    main = paddle.static.Program()
    with paddle.static.program_guard(main, paddle.static.Program()):
        inputs = networks.static_inputs(reference)
        labels = paddle.static.data("labels", [None, 1], "int64")
        outputs = networks.outputs_of(reference.build(**reference.arguments)(*inputs))
        paddle.optimizer.Adam(0.001).minimize(F.cross_entropy(outputs[0], labels))
    return main, inputs, outputs


def training_program(model: str) -> Dict[str, Any]:
    """Operators of the network's training program, in train mode."""
    with programs.static_mode():
        return {"operators": programs.operators(_trained(model)[0])}


def dygraph_parameters(model: str, weights: str) -> Dict[str, Any]:
    """Return shapes of the network's parameters and floating buffers, and how many bytes they take."""
    net = networks.network(networks.get(model), weights)
    # Not the state dict: an LSTM lists each weight there under two names.
    values = [*net.parameters(), *(b for b in net.buffers() if paddle.is_floating_point(b))]
    return {
        "shapes": sorted(list(value.shape) for value in values),
        "bytes": int(sum(value.numpy().nbytes for value in values)),
    }


def normalized(model: str) -> Dict[str, Any]:
    """`normalize_program` of a training program, cut to inputs and prediction."""
    with programs.static_mode():
        main, inputs, outputs = _trained(model)
        return {"operators": programs.operators(paddle.static.normalize_program(main, inputs, outputs))}
