"""Training that is interrupted and resumed in another process.

A checkpoint is a folder with what documents 000 and 003 say to save (parameters and optimizer
state), and with everything else that decides the next update: scheduler (inside the optimizer's
state), gradient scaler, position and order of the data, random state of dropout.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np
import paddle
import paddle.nn.functional as F

from harness.worker.models import networks
from harness.worker.models.states import flatten
from harness.worker.training import loops

BATCH = 32
PER_EPOCH = 6
"""Steps per epoch: enough to interrupt inside one, few enough to run in a second."""


class Loop:
    """A training loop whose whole state can be saved and loaded between any two steps.

    Config: ``optimizer`` (class name), ``scheduler`` (class name of ``paddle.optimizer.lr`` or
    ``""``), ``amp`` (bfloat16 ``auto_cast`` with a gradient scaler), ``clip`` (global norm),
    ``drop_gradients`` (`clear_grad(set_to_zero=False)`).
    """

    def __init__(self, model: str, config: Mapping[str, Any], digits: str) -> None:
        reference = networks.get(model)
        self.arrays, labels = loops.examples(reference, digits, "train", BATCH * PER_EPOCH)
        self.labels = labels.reshape(-1, 1)
        self.config = dict(config)
        self.net = networks.network(reference)
        self.net.train()
        self.scheduler = self._scheduler()
        self.optimizer = self._optimizer()
        self.scaler = paddle.amp.GradScaler(init_loss_scaling=1024.0) if config.get("amp") else None
        self.rng = np.random.default_rng(reference.seed)
        self.order = self.rng.permutation(len(self.labels))
        self.done = 0

    def _scheduler(self) -> Any:
        schedulers = {
            "StepDecay": {"learning_rate": 0.01, "step_size": 4, "gamma": 0.5},
            "CosineAnnealingDecay": {"learning_rate": 0.01, "T_max": 10},
            "LinearWarmup": {"learning_rate": 0.01, "warmup_steps": 8, "start_lr": 0.0, "end_lr": 0.01},
        }
        name = self.config.get("scheduler", "")
        return getattr(paddle.optimizer.lr, name)(**schedulers[name]) if name else None

    def _optimizer(self) -> Any:
        name = self.config["optimizer"]
        rate = self.scheduler or (0.05 if name in ("SGD", "Momentum") else 0.002)
        clip = paddle.nn.ClipGradByGlobalNorm(1.0) if self.config.get("clip") else None
        return getattr(paddle.optimizer, name)(
            learning_rate=rate, parameters=self.net.parameters(), grad_clip=clip
        )

    def step(self) -> float:
        """Do one update; return the loss before it."""
        position = self.done % PER_EPOCH
        if position == 0 and self.done:
            self.order = self.rng.permutation(len(self.labels))
        rows = self.order[position * BATCH : (position + 1) * BATCH]
        feed = networks.tensors([array[rows] for array in self.arrays])
        target = paddle.to_tensor(self.labels[rows])
        if self.scaler is not None:
            with paddle.amp.auto_cast(level="O1", dtype="bfloat16"):
                loss = F.cross_entropy(networks.outputs_of(self.net(*feed))[0], target)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            loss = F.cross_entropy(networks.outputs_of(self.net(*feed))[0], target)
            loss.backward()
            self.optimizer.step()
        self.optimizer.clear_grad(set_to_zero=not self.config.get("drop_gradients"))
        if self.scheduler is not None:
            self.scheduler.step()
        self.done += 1
        return float(loss)

    def save(self, folder: str) -> None:
        """Write the whole state with `paddle.save`."""
        os.makedirs(folder)
        paddle.save(self.net.state_dict(), os.path.join(folder, "model.pdparams"))
        paddle.save(self.optimizer.state_dict(), os.path.join(folder, "model.pdopt"))
        if self.scaler is not None:
            paddle.save(self.scaler.state_dict(), os.path.join(folder, "scaler.pdparams"))
        paddle.save(
            {
                "done": self.done,
                "order": self.order.tolist(),
                "order_state": self.rng.bit_generator.state,
                "random_state": paddle.get_rng_state(),
            },
            os.path.join(folder, "loop.pdparams"),
        )

    def load(self, folder: str, without: Sequence[str] = ()) -> None:
        """Load a saved state; ``without`` names parts to leave out (to show that they matter)."""
        self.net.set_state_dict(paddle.load(os.path.join(folder, "model.pdparams")))
        if "optimizer" not in without:
            self.optimizer.set_state_dict(paddle.load(os.path.join(folder, "model.pdopt")))
        if self.scaler is not None and "scaler" not in without:
            self.scaler.load_state_dict(paddle.load(os.path.join(folder, "scaler.pdparams")))
        state = paddle.load(os.path.join(folder, "loop.pdparams"))
        self.done = state["done"]
        if "order" not in without:
            self.order = np.asarray(state["order"])
            self.rng.bit_generator.state = state["order_state"]
        if "random" not in without:
            paddle.set_rng_state(state["random_state"])

    def state(self) -> Dict[str, np.ndarray]:
        """Return parameters, buffers, optimizer and scaler state as arrays, by name."""
        states = {"network": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.scaler is not None:
            # Its scale changes too late to reach the losses of a short training; its counters do not.
            states["scaler"] = self.scaler.state_dict()
        flat = flatten(states)
        return {name: np.asarray(value) for name, value in flat.items()}


def casts() -> bool:
    """Whether bfloat16 `auto_cast` does anything on this device: on a CPU, Paddle warns and ignores it."""
    with paddle.amp.auto_cast(level="O1", dtype="bfloat16"):
        return "bfloat16" in str(paddle.nn.Linear(2, 2)(paddle.ones([1, 2])).dtype)


def uninterrupted(
    model: str, config: Mapping[str, Any], digits: str, steps: int, save_after: Sequence[int], folder: str
) -> Dict[str, Any]:
    """Train ``steps`` steps, saving a checkpoint ``folder/<k>`` after each step k of ``save_after``.

    Returns the float32 losses ``[steps]``, the learning rate of each step, and the final state.
    """
    loop = Loop(model, config, digits)
    return _go_on(loop, steps, save_after, folder)


def _go_on(loop: Loop, steps: int, save_after: Sequence[int] = (), folder: str = "") -> Dict[str, Any]:
    """Train up to step ``steps``: losses and learning rates of the steps, and the final state."""
    losses: List[float] = []
    rates: List[float] = []
    while loop.done < steps:
        rates.append(float(loop.optimizer.get_lr()))
        losses.append(loop.step())
        if loop.done in save_after:
            loop.save(os.path.join(folder, str(loop.done)))
    return {"losses": np.asarray(losses, "float32"), "rates": rates, "state": loop.state()}


def resumed(
    model: str,
    config: Mapping[str, Any],
    digits: str,
    steps: int,
    folder: str,
    without: Optional[Sequence[str]] = None,
) -> Dict[str, Any]:
    """Load the checkpoint in ``folder`` and train up to step ``steps``; return as :func:`uninterrupted`."""
    loop = Loop(model, config, digits)
    loop.load(folder, without or ())
    return _go_on(loop, steps)
