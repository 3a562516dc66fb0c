"""Document 004: pruning in dynamic graph with PaddleSlim's pruners, fine-tuning, `jit.save`."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
import paddle

from harness.worker.models import networks
from harness.worker.recipes import CompressionMethod, Job, recipe
from harness.worker.recipes.dygraph_quantization import logits_of, trained
from harness.worker.recipes.inference_formats import saved
from harness.worker.training import loops
from harness.worker.training.filter_groups import deciders
from harness.worker.training.fine_tuning import scheduled, tune

SENSITIVITY_ROWS = 500
"""Number of training digits on which sensitivities are measured; test digits are only for the verdict."""
CRITERIA = {"L1NormFilterPruner": "l1", "L2NormFilterPruner": "l2", "FPGMFilterPruner": "fpgm"}
LENET, CONV_BN = "lenet", "conv_bn"
BOTH = (LENET, CONV_BN)
GROUPED = ("mobilenet_v1_x0_125", "resnet_vd_small")
"""Depthwise convolutions and shortcuts: layers that can only be pruned together."""


def _method(
    name: str, pruner: str, quick: Tuple[str, ...], full: Tuple[str, ...] = (), **parameters: Any
) -> CompressionMethod:
    parameters = {"pruner": pruner, **parameters}
    return CompressionMethod(name, "prune", "dynamic", "paddleslim." + pruner, parameters, quick, full)


FILTERS = (
    _method("prune-l1", "L1NormFilterPruner", (LENET,), (CONV_BN, *GROUPED), ratio=0.5),
    _method("prune-l2", "L2NormFilterPruner", (), BOTH, ratio=0.5),
    _method("prune-fpgm", "FPGMFilterPruner", (LENET,), (CONV_BN, *GROUPED), ratio=0.5),
    _method("prune-l1-sensitive", "L1NormFilterPruner", (), BOTH, flops=0.4),
    _method("prune-l2-sensitive", "L2NormFilterPruner", (), BOTH, flops=0.4),
    _method("prune-fpgm-sensitive", "FPGMFilterPruner", (), BOTH, flops=0.4),
    _method("prune-l1-optimizer", "L1NormFilterPruner", (), BOTH, ratio=0.5, optimizer="trained"),
    _method("prune-l1-optimizer-loaded", "L1NormFilterPruner", (), (LENET,), ratio=0.5, optimizer="loaded"),
)
WEIGHTS = (
    _method("prune-unstructured", "UnstructuredPruner", (LENET,), (CONV_BN,), ratio=0.5),
    _method("prune-unstructured-in-place", "UnstructuredPruner", (), (LENET,), ratio=0.5, in_place=True),
)


@recipe("prune_filters", needs=("checkpoint",), methods=FILTERS)
def prune_filters(job: Job) -> Dict[str, Any]:
    """Document 004: prune the filters of every convolution, fine-tune, `jit.save`."""
    import paddleslim

    net, optimizer = _started(job)
    names = list(net.state_dict())
    structured = {parameter.name: name for name, parameter in net.named_parameters()}
    original, counted = values_of(net, names), [_counts(net, job)]
    pruner = getattr(paddleslim, job.parameters["pruner"])(net, _row(job), opt=optimizer)
    asked = {
        layer.weight.name: job.parameters.get("ratio")
        for layer in net.sublayers()
        if isinstance(layer, paddle.nn.Conv2D)
    }
    if "flops" in job.parameters:
        plan = _by_sensitivity(pruner, net, job)
        cut = {name: mask.mask for name in asked for mask in plan.masks.get(name, ()) if mask.dims == 0}
        asked = {name: 1 - float(np.mean(mask)) for name, mask in cut.items()}
    else:
        plan = pruner.prune_vars(asked, [0])
    deciding = deciders(pruner.collections, list(asked))
    keep_pruned(job, original, values_of(net, names))
    counted.append(_counts(net, job))
    after_step = []
    if optimizer is None:
        optimizer, schedule = scheduled(job.model, job.digits, net.parameters())
        after_step.append(schedule.step)
    losses = tune(net, optimizer, job.model, job.digits, after_step)
    np.savez(job.path("compressed.npz"), logits=logits_of(job, net))
    paddle.save(net.state_dict(), job.path("model.pdparams"))
    net.eval()
    return {
        "program": saved(job, net),
        "losses": losses,
        "criterion": CRITERIA[job.parameters["pruner"]],
        "ratios": {structured[name]: asked[name] for name in deciding},
        "flops": {"before": counted[0][0], "after": counted[1][0]},
        "paddle_flops": {"before": counted[0][1], "after": counted[1][1]},
        "pruned_flops": plan.pruned_flops,
    }


@recipe("prune_weights", needs=("checkpoint",), methods=WEIGHTS)
def prune_weights(job: Job) -> Dict[str, Any]:
    """Set the smallest weights to zero, keep them at zero during fine-tuning, `jit.save`.

    ``in_place`` exports the network with the pruner's hooks; otherwise a new network loads its state, as in
    PaddleSlim's example.
    """
    import paddleslim

    net, _ = _started(job)
    names = list(net.state_dict())
    original = values_of(net, names)
    pruner = paddleslim.UnstructuredPruner(net, mode="ratio", ratio=job.parameters["ratio"])
    pruner.step()
    pruner.update_params()
    keep_pruned(job, original, values_of(net, names))
    optimizer, schedule = scheduled(job.model, job.digits, net.parameters())
    losses = tune(net, optimizer, job.model, job.digits, [schedule.step, pruner.step])
    pruner.update_params()
    np.savez(job.path("compressed.npz"), logits=logits_of(job, net))
    sparsity = float(paddleslim.UnstructuredPruner.total_sparse(net))
    if not job.parameters.get("in_place"):
        state, net = net.state_dict(), networks.network(job.model)
        net.set_state_dict(state)
    net.eval()
    return {
        "program": saved(job, net),
        "losses": losses,
        "criterion": "magnitude",
        "sparsity": sparsity,
    }


def values_of(net: Any, names: List[str]) -> Dict[str, np.ndarray]:
    """Return parameters and statistics by structured name."""
    state = net.state_dict()
    return {name: state[name].numpy().copy() for name in names}


def keep_pruned(job: Job, original: Dict[str, np.ndarray], pruned: Dict[str, np.ndarray]) -> None:
    """Write ``pruned.npz``: the values just before and just after the pruning."""
    np.savez(
        job.path("pruned.npz"),
        **{"original/" + name: value for name, value in original.items()},
        **{"pruned/" + name: value for name, value in pruned.items()},
    )


def sensitivity_examples(job: Job) -> Tuple[List[np.ndarray], np.ndarray]:
    """Return about every eighth training digit: inputs, and labels ``[n]``."""
    arrays, labels = job.examples("train")
    rows = slice(None, None, max(1, len(labels) // SENSITIVITY_ROWS))
    return [array[rows] for array in arrays], labels[rows]


def _row(job: Job) -> List[int]:
    """Return the input shape of one row, with which PaddleSlim traces the network."""
    return list(job.model.inputs[0].size(1))


def _started(job: Job) -> Tuple[Any, Any]:
    """Return the trained network in train mode, and the optimizer if it exists before the pruning."""
    kind = job.parameters.get("optimizer")
    if kind == "trained":
        net, optimizer, _ = loops.train(job.model, job.digits)
        return net, optimizer
    net, optimizer = trained(job), None
    if kind == "loaded":
        optimizer = loops.make_optimizer(job.training, net.parameters())
        optimizer.set_state_dict(paddle.load(job.of("checkpoint", "model.pdopt")))
    return net, optimizer


def _counts(net: Any, job: Job) -> Tuple[float, float]:
    """Return the cost of one row, counted by PaddleSlim and by Paddle."""
    from paddleslim.analysis import dygraph_flops

    return float(dygraph_flops(net, _row(job))), float(paddle.flops(net, _row(job)))


def _by_sensitivity(pruner: Any, net: Any, job: Job) -> Any:
    """Measure each convolution's sensitivity and prune by it; return the executed plan."""
    arrays, labels = sensitivity_examples(job)

    def accuracy() -> float:
        net.eval()
        return loops.evaluate(net, arrays, labels)

    # Both calls write into their default for `skip_vars`: without new lists, the depthwise layers of
    # one network would be skipped in the next that the process prunes.
    pruner.sensitive(eval_func=accuracy, sen_file=job.path("sensitivities.pickle"), skip_vars=[])
    return pruner.sensitive_prune(job.parameters["flops"], skip_vars=[])
