"""Pruning control: a network with the values that a pruning left, built and fine-tuned in plain Paddle.

PaddleSlim only contributes the values, which can be compared with those before the pruning. If they are what
the criterion leaves, the control's loss comes from the missing filters or the training, not from PaddleSlim.
"""

from __future__ import annotations

from typing import Any, List, Mapping

import numpy as np
import paddle

from harness.worker.models import networks
from harness.worker.training import fine_tuning

PRUNED = "pruned/"


def logits(model: str, pruned: str, digits: str, feeds: List[List[np.ndarray]]) -> List[np.ndarray]:
    """Narrow the model's network to the values in ``pruned``, fine-tune it, and run it in eval mode.

    ``pruned``: an ``.npz`` file with ``pruned/<name>`` for every parameter and statistic, as they were just
    after the pruning. Returns the first output of each feed.

    Raises:
        KeyError: the file lacks one of the network's parameters.
    """
    stated = networks.get(model)
    net = networks.network(stated)
    with np.load(pruned) as found:
        narrow(net, {name: found[PRUNED + name] for name in net.state_dict()})
    optimizer, schedule = fine_tuning.scheduled(stated, digits, net.parameters())
    fine_tuning.tune(net, optimizer, stated, digits, [schedule.step])
    net.eval()
    with paddle.no_grad():
        return [networks.outputs_of(net(*networks.tensors(feed)))[0].numpy() for feed in feeds]


def narrow(net: Any, values: Mapping[str, np.ndarray]) -> None:
    """Give every parameter and statistic of the network a value of another size, in place."""
    owners = dict(net.named_sublayers(include_self=True))
    for name, value in values.items():
        owner, own = owners[name.rpartition(".")[0]], name.rpartition(".")[2]
        before = getattr(owner, own)
        if list(before.shape) == list(value.shape):
            before.set_value(value)
            continue
        if isinstance(owner, paddle.nn.Conv2D) and owner._groups > 1:
            owner._groups = len(value)  # a depthwise convolution has one filter per channel
        after = owner.create_parameter(
            shape=list(value.shape), default_initializer=paddle.nn.initializer.Assign(value)
        )
        after.stop_gradient = before.stop_gradient
        setattr(owner, own, after)
