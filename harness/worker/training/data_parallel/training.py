"""The training in each process of a data-parallel job: plain Paddle, for one process or several.

All processes share a step's batch: rank r of n takes the rows that `DistributedBatchSampler` gives it. Its
loss is the mean over them, so the mean of the ranks' gradients is the gradient of the whole batch. Rank 0
saves parameters and optimizer state after every epoch.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np
import paddle
import paddle.nn.functional as F

from harness.worker.models import networks
from harness.worker.models.states import flatten
from harness.worker.training import loops

RATES = {"SGD": 0.05, "Momentum": 0.02}
"""Learning rates, by optimizer."""

DEFAULTS: Mapping[str, Any] = {
    "model": "lenet",
    "examples": 512,
    "batch": 64,
    "epochs": 2,
    "optimizer": "Momentum",
    "resume": "",
    "dtype": "float32",
    "device": "cpu",
    "sum_order": 0,
    "sync": True,
    "keep_optimizer": True,
    "fault": {},
}
"""``resume``: folder of a checkpoint, ``epoch-K``. ``sum_order``: batches list their rows in another
order, so that the same sums are rounded differently. ``sync=False``: ranks do not exchange gradients, as
in `no_sync`. ``keep_optimizer=False``: the optimizer's state is not loaded. ``fault``: ``{"rank", "step",
"how"}`` with ``how`` one of ``"killed"``, ``"hangs"``, ``"leaves"`` (ends with status 0)."""


def config_of(**given: Any) -> Dict[str, Any]:
    """Return the configuration: the defaults, changed by the arguments.

    Raises:
        KeyError: a name is unknown.
    """
    unknown = sorted(set(given) - set(DEFAULTS) - {"digits", "out"})
    if unknown:
        raise KeyError(f"unknown configuration of a training: {', '.join(unknown)}")
    return {**DEFAULTS, **given}


def checkpoint(folder: str, epoch: int) -> str:
    """Return the folder of the checkpoint after ``epoch`` epochs."""
    return os.path.join(folder, f"epoch-{epoch}")


class Rows:
    """A data set of row numbers, for the sampler."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


def train(config: Mapping[str, Any]) -> Dict[str, Any]:
    """Train in this process: one rank of the job that the environment variables describe, or alone.

    Returns arrays: ``losses`` ``[steps]`` of this rank's rows, ``rows`` ``[steps, batch / ranks]``, and
    states by name at the ``start`` (after the ranks' first exchange) and after each epoch (``epoch-K``).
    """
    world = paddle.distributed.ParallelEnv()
    ranks, rank = world.world_size, world.rank
    paddle.set_device(config["device"])
    if ranks > 1:
        paddle.distributed.init_parallel_env()
    net, optimizer, done = _start(config, rank)
    whole = paddle.DataParallel(net) if ranks > 1 else net
    arrays, labels = loops.examples(networks.get(config["model"]), config["digits"], "train")
    sampler = paddle.io.DistributedBatchSampler(
        Rows(config["examples"]), config["batch"] // ranks, ranks, rank, shuffle=True, drop_last=True
    )
    result: Dict[str, Any] = {"start": _state(net, optimizer)}
    losses: List[Any] = []
    taken: List[List[int]] = []
    for epoch in range(done, config["epochs"]):
        sampler.set_epoch(epoch)
        for batch in sampler:
            _inject_fault(config["fault"], rank, len(losses))
            rows = np.roll(batch, config["sum_order"])
            feed = networks.tensors([array[rows] for array in arrays], config["dtype"])
            with contextlib.nullcontext() if config["sync"] or ranks == 1 else whole.no_sync():
                loss = F.cross_entropy(
                    networks.outputs_of(whole(*feed))[0], paddle.to_tensor(labels[rows].reshape(-1, 1))
                )
                loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            losses.append(loss.numpy().reshape(()))
            taken.append(list(batch))
        result[f"epoch-{epoch + 1}"] = _state(net, optimizer)
        if rank == 0 and config.get("out"):
            _save(net, optimizer, checkpoint(config["out"], epoch + 1))
    return {**result, "losses": np.asarray(losses), "rows": np.asarray(taken)}


def _start(config: Mapping[str, Any], rank: int) -> Tuple[Any, Any, int]:
    """Return network and optimizer, and how many epochs they have been trained."""
    reference = networks.get(config["model"])
    net = networks.network(reference, dtype=config["dtype"])
    net.train()
    if rank:
        # All ranks but 0 start from other values: then Paddle makes them equal, and not the seed.
        for parameter in net.parameters():
            parameter.set_value(parameter * 0.5)
    more = {"momentum": 0.9} if config["optimizer"] == "Momentum" else {}
    optimizer = getattr(paddle.optimizer, config["optimizer"])(
        learning_rate=RATES[config["optimizer"]], parameters=net.parameters(), **more
    )
    if not config["resume"]:
        return net, optimizer, 0
    net.set_state_dict(paddle.load(os.path.join(config["resume"], "model.pdparams")))
    if config["keep_optimizer"]:
        optimizer.set_state_dict(paddle.load(os.path.join(config["resume"], "model.pdopt")))
    return net, optimizer, int(os.path.basename(config["resume"]).split("-")[1])


def _save(net: Any, optimizer: Any, folder: str) -> None:
    """Save under another name, then rename: a job that dies meanwhile leaves no partial checkpoint."""
    part = folder + ".part"
    paddle.save(net.state_dict(), os.path.join(part, "model.pdparams"))
    paddle.save(optimizer.state_dict(), os.path.join(part, "model.pdopt"))
    os.rename(part, folder)


def _state(net: Any, optimizer: Any) -> Dict[str, np.ndarray]:
    # By name: the optimizer lists its state in the order in which parameters were first used.
    states = flatten({"network": net.state_dict(), "optimizer": optimizer.state_dict()})
    return {name: np.array(value) for name, value in sorted(states.items())}


def _inject_fault(fault: Mapping[str, Any], rank: int, step: int) -> None:
    if (fault.get("rank"), fault.get("step")) != (rank, step):
        return
    if fault["how"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault["how"] == "leaves":
        os._exit(0)
    while True:
        time.sleep(1)


# Results


def alone(digits: str, **given: Any) -> Dict[str, Any]:
    """Run the training in this process alone."""
    paddle.set_default_dtype(given.get("dtype", "float32"))
    try:
        return train(config_of(digits=digits, **given))
    finally:
        paddle.set_default_dtype("float32")


def one_rank(config: Mapping[str, Any]) -> None:
    """Train as one of several ranks; write the results to ``rank-R.pickle`` in ``config["out"]``."""
    result = train(config)
    rank = paddle.distributed.ParallelEnv().rank
    with open(os.path.join(config["out"], f"rank-{rank}.pickle"), "wb") as file:
        pickle.dump(result, file)


def read(folder: str) -> Dict[str, Any]:
    """Return a job's results: ``ranks``, as :func:`train` returns them, and its ``checkpoints`` by name."""
    ranks, checkpoints = [], {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.startswith("rank-"):
            with open(path, "rb") as file:
                ranks.append(pickle.load(file))
        elif name.startswith("epoch-") and not name.endswith(".part"):
            kinds = {"network": "model.pdparams", "optimizer": "model.pdopt"}
            found = flatten({kind: paddle.load(os.path.join(path, file)) for kind, file in kinds.items()})
            checkpoints[name] = dict(sorted(found.items()))
    return {"ranks": ranks, "checkpoints": checkpoints}
