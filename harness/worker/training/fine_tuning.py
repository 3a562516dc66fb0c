"""A pruned network trained on as plain training does, which document 004 advises.

The same epochs, optimizer and rate. The rate falls by a cosine, as PaddleClas's configuration for pruning
has it (``ResNet50_vd_prune.yaml``).
"""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Tuple

import numpy as np
import paddle

from harness.worker.models.digits import Digits
from harness.worker.models.model import ReferenceModel, Training
from harness.worker.training import loops


def training_of(model: ReferenceModel) -> Training:
    """How the model is trained: what a pruned one is trained on with."""
    assert model.training is not None, model.name
    return model.training


def batches(model: ReferenceModel, digits: str) -> Iterator[Tuple[List[np.ndarray], np.ndarray]]:
    """Mini-batches of as many epochs as plain training takes."""
    how = training_of(model)
    arrays, labels = how.examples(Digits(digits), "train")
    rng = np.random.default_rng(model.seed)
    for _ in range(how.epochs):
        yield from loops.batches(arrays, labels, how.batch_size, rng)


def scheduled(model: ReferenceModel, digits: str, parameters: Any, name: str = "") -> Tuple[Any, Any]:
    """The optimizer of plain training (or of that name), and the schedule that lowers its rate to zero."""
    how = training_of(model)
    _, labels = how.examples(Digits(digits), "train")
    steps = how.epochs * -(-len(labels) // how.batch_size)
    schedule = paddle.optimizer.lr.CosineAnnealingDecay(how.learning_rate, T_max=steps)
    arguments = {} if name else dict(how.optimizer_arguments)
    optimizer = getattr(paddle.optimizer, name or how.optimizer)
    return optimizer(learning_rate=schedule, parameters=parameters, **arguments), schedule


def tune(
    net: Any, optimizer: Any, model: ReferenceModel, digits: str, after_step: List[Callable[[], Any]]
) -> List[float]:
    """Train on in dynamic graph; the losses of the steps."""
    losses = []
    net.train()
    for feed, target in batches(model, digits):
        losses.append(loops.step(net, optimizer, feed, target))
        for call in after_step:
            call()
    return losses
