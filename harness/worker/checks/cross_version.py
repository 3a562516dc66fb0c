"""Training that resumes from files that another release may have written."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import paddle

from harness.worker.models import networks
from harness.worker.training import loops

BATCH = 32


def _settle(net: Any) -> None:
    """Remove randomness from train mode: only layers that cannot be trained otherwise stay in it.

    Dropout draws from a generator whose numbers are no promise between releases or dtypes.
    """
    net.train()
    for layer in net.sublayers():
        kind = type(layer).__name__
        if "Norm" not in kind and not isinstance(layer, paddle.nn.layer.rnn.RNNBase):
            layer.training = False


def _widened(state: Dict[str, Any]) -> Dict[str, Any]:
    """Return float32 moments and powers as a float64 network's optimizer holds them."""
    arrays = {name: np.asarray(value) for name, value in state.items() if not isinstance(value, dict)}
    return {
        **state,
        **{
            name: paddle.to_tensor(array.astype("float64"))
            for name, array in arrays.items()
            if array.dtype == np.float32
        },
    }


def continued(
    model: str, params: str, optimizer: str, digits: str, steps: int, dtype: str = "float32"
) -> Dict[str, Any]:
    """Resume from a checkpoint for ``steps`` updates on the first examples, in their order.

    Returns losses ``[steps]`` before each update, and the parameters after the last. ``dtype``
    ``"float64"`` is the oracle: the same state widened, the same examples.

    Raises:
        Whatever `paddle.load` or `set_state_dict` raises for the files.
    """
    reference = networks.get(model)
    arrays, labels = loops.examples(reference, digits, "train", steps * BATCH)
    net = networks.network(reference, params, dtype)
    _settle(net)
    held = loops.make_optimizer(loops.training_of(reference), net.parameters())
    state = paddle.load(optimizer)
    held.set_state_dict(_widened(state) if dtype == "float64" else state)
    losses: List[float] = []
    for step in range(steps):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        feed = [array[rows] for array in arrays]
        losses.append(loops.step(net, held, feed, labels[rows].reshape(-1, 1), dtype))
    values = {name: value.numpy() for name, value in net.named_parameters()}
    return {
        "losses": np.asarray(losses, "float64" if dtype == "float64" else "float32"),
        "parameters": values,
    }
