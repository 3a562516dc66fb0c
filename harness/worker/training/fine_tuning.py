"""Fine-tuning of a pruned network like plain training, as document 004 advises.

It takes the same epochs, optimizer and rate. The rate falls by a cosine, as in PaddleClas's configuration
for pruning (``ResNet50_vd_prune.yaml``).
"""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Sequence, Tuple

import numpy as np
import paddle

from harness.worker.models.model import ReferenceModel
from harness.worker.training import loops
from harness.worker.training.loops import training_of


def batches(
    model: ReferenceModel, digits: str, epochs: int = 0
) -> Iterator[Tuple[List[np.ndarray], np.ndarray]]:
    """Yield the mini-batches of so many epochs; 0: as many as plain training takes."""
    how = training_of(model)
    arrays, labels = loops.examples(model, digits, "train")
    rng = np.random.default_rng(model.seed)
    for _ in range(epochs or how.epochs):
        yield from loops.batches(arrays, labels, how.batch_size, rng)


def scheduled(model: ReferenceModel, digits: str, parameters: Any, name: str = "") -> Tuple[Any, Any]:
    """Return plain training's optimizer (or the named one), and a schedule of its rate down to zero."""
    how = training_of(model)
    _, labels = loops.examples(model, digits, "train")
    steps = how.epochs * -(-len(labels) // how.batch_size)
    schedule = paddle.optimizer.lr.CosineAnnealingDecay(how.learning_rate, T_max=steps)
    arguments = {} if name else dict(how.optimizer_arguments)
    optimizer = getattr(paddle.optimizer, name or how.optimizer)
    return optimizer(learning_rate=schedule, parameters=parameters, **arguments), schedule


def tune(
    net: Any,
    optimizer: Any,
    model: ReferenceModel,
    digits: str,
    after_step: Sequence[Callable[[], Any]] = (),
    epochs: int = 0,
) -> List[float]:
    """Fine-tune in dynamic graph; return the loss of each step. ``epochs``: see :func:`batches`."""
    losses = []
    net.train()
    for feed, target in batches(model, digits, epochs):
        losses.append(loops.step(net, optimizer, feed, target))
        for call in after_step:
            call()
    return losses
