"""The documents' training loop, with access to all of its state."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np
import paddle
import paddle.nn.functional as F

from harness.worker.models import networks
from harness.worker.models.digits import Digits
from harness.worker.models.model import ReferenceModel, Training


def training_of(model: ReferenceModel) -> Training:
    """Return how the model is trained; a pruned model is fine-tuned in the same way."""
    assert model.training is not None, model.name
    return model.training


def examples(
    model: ReferenceModel, digits: str, split: str, rows: Optional[int] = None
) -> Tuple[List[np.ndarray], np.ndarray]:
    """Return a split's inputs and its labels ``[n]``; the first ``rows`` of them unless it is None."""
    arrays, labels = training_of(model).examples(Digits(digits), split)
    return [array[:rows] for array in arrays], labels[:rows]


def batches(
    arrays: List[np.ndarray], labels: np.ndarray, size: int, rng: np.random.Generator
) -> Iterator[Tuple[List[np.ndarray], np.ndarray]]:
    """Yield one epoch of shuffled mini-batches; labels are int64 ``[n, 1]``, as the documents feed them."""
    order = rng.permutation(len(labels))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield [array[rows] for array in arrays], labels[rows].reshape(-1, 1)


FINE_TUNING = 0.1
"""Learning rate of fine-tuning, as a share of the training's: document 004 §5 says 1/20 to 1/10."""


def make_optimizer(training: Training, parameters: Any, share: float = 1.0) -> Any:
    """Return the optimizer that the training configuration names, with that share of its learning rate."""
    optimizer = getattr(paddle.optimizer, training.optimizer)
    return optimizer(
        learning_rate=training.learning_rate * share,
        parameters=parameters,
        **dict(training.optimizer_arguments),
    )


def step(
    net: Any, optimizer: Any, feed: List[np.ndarray], labels: np.ndarray, dtype: str = "float32"
) -> float:
    """Do one update as documents 000 and 002 write it; return the loss before the update."""
    predictions = networks.outputs_of(net(*networks.tensors(feed, dtype)))[0]
    loss = F.cross_entropy(predictions, paddle.to_tensor(labels))
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    return float(loss)


def train(model: ReferenceModel, digits: str) -> Tuple[Any, Any, Dict[str, Any]]:
    """Train as the model states; return the network (in train mode), optimizer and measures.

    Measures: ``losses`` per step, ``accuracy`` of each epoch on the test examples.
    """
    training = training_of(model)
    arrays, labels = examples(model, digits, "train")
    net = networks.network(model)
    optimizer = make_optimizer(training, net.parameters())
    rng = np.random.default_rng(model.seed)
    losses: List[float] = []
    accuracy: List[float] = []
    for _ in range(training.epochs):
        net.train()
        for feed, target in batches(arrays, labels, training.batch_size, rng):
            losses.append(step(net, optimizer, feed, target))
        net.eval()
        accuracy.append(evaluate(net, *examples(model, digits, "test")))
    net.train()
    return net, optimizer, {"losses": losses, "accuracy": accuracy}


def evaluate(net: Any, arrays: List[np.ndarray], labels: np.ndarray, size: int = 250) -> float:
    """Return the share of rows whose largest logit is at the label."""
    right = 0
    with paddle.no_grad():
        for start in range(0, len(labels), size):
            rows = slice(start, start + size)
            logits = networks.outputs_of(net(*networks.tensors([a[rows] for a in arrays])))[0]
            right += int((logits.numpy().argmax(axis=1) == labels[rows]).sum())
    return right / len(labels)


def test_examples(model: str, digits: str, limit: int = 0) -> Dict[str, Any]:
    """Return the model's test inputs and labels as arrays, at most ``limit`` rows (0: all)."""
    feed, labels = examples(networks.get(model), digits, "test", limit or None)
    return {"feed": feed, "labels": labels}
