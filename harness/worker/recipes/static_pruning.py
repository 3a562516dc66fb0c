"""Pruning in static graph with PaddleSlim's pruners, fine-tuning, `save_inference_model`."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, Tuple

import numpy as np
import paddle

from harness.worker.inspection import programs
from harness.worker.recipes import COMPARED, Job, methods_of, recipe
from harness.worker.recipes.pruning import keep_pruned, sensitivity_examples
from harness.worker.training import static_graphs
from harness.worker.training.filter_groups import deciders
from harness.worker.training.fine_tuning import batches, scheduled
from harness.worker.training.static_graphs import Trainable

CRITERIA = {"l1_norm": "l1", "geometry_median": "fpgm", "bn_scale": "bn_scale"}
LENET, CONV_BN, MOBILENET, RESNET = "lenet", "conv_bn", "mobilenet_v1_x0_125", "resnet_vd_small"


_method = methods_of("prune", "static", "paddleslim.prune.Pruner")
_unstructured = methods_of("prune", "static", "paddleslim.prune.UnstructuredPruner")


# The two larger networks have convolutions without biases, and pool to one value per channel before
# the linear layer: this pruner can handle them. The two smaller ones are as a user may write them.
FILTERS = (
    _method("prune-static-l1", (LENET, RESNET), (CONV_BN, MOBILENET), criterion="l1_norm", ratio=0.5),
    _method("prune-static-fpgm", (), (RESNET,), criterion="geometry_median", ratio=0.5),
    _method("prune-static-bn-scale", (), (CONV_BN, RESNET), criterion="bn_scale", ratio=0.5),
    _method(
        "prune-static-bn-scale-optimal",
        (),
        (RESNET,),
        criterion="bn_scale",
        idx_selector="optimal_threshold",
        ratio=0.5,
    ),
    _method("prune-static-l1-sensitive", (), (LENET, RESNET), criterion="l1_norm", loss=0.05),
    _method("prune-static-l1-sgd", (), (RESNET,), criterion="l1_norm", ratio=0.5, optimizer="SGD"),
)
WEIGHTS = (_unstructured("prune-static-unstructured", full=(LENET, CONV_BN), ratio=0.5),)


@recipe("prune_static_filters", needs=("checkpoint",), methods=FILTERS)
def prune_static_filters(job: Job) -> Dict[str, Any]:
    """Prune the eval program's graph, then the train program and its values; fine-tune."""
    from paddleslim.analysis import flops
    from paddleslim.core import GraphWrapper
    from paddleslim.prune import Pruner, StaticPruningCollections

    with _built(job) as (built, schedule):
        ratios, names = _ratios(built, job), _names(built)
        arguments: Dict[str, Any] = {
            "scope": paddle.static.global_scope(),
            "params": list(ratios),
            "ratios": list(ratios.values()),
            "place": paddle.CPUPlace(),
        }
        original = _values(built)
        pruner = Pruner(
            job.parameters["criterion"], job.parameters.get("idx_selector", "default_idx_selector")
        )
        # The eval program first: both calls decide by the values, and the second call cuts them.
        test, _, _ = pruner.prune(built.evaluate, only_graph=True, **arguments)
        train, _, _ = pruner.prune(built.train, **arguments)
        pruned = _values(built)
        keep_pruned(job, original, pruned)
        if "idx_selector" in job.parameters:  # it also chooses how many
            weights = {name: names[name] for name in ratios}
            ratios = {name: 1 - len(pruned[own]) / len(original[own]) for name, own in weights.items()}
        groups = StaticPruningCollections(list(ratios), GraphWrapper(built.evaluate))
        losses = static_graphs.tune(built, train, batches(job.model, job.digits), [schedule.step])
        return {
            "program": _saved(built, test, job),
            "losses": losses,
            "criterion": CRITERIA[job.parameters["criterion"]],
            "ratios": {names[name]: ratios[name] for name in deciders(groups, list(ratios))},
            "flops": {"before": float(flops(built.evaluate)), "after": float(flops(test))},
        }


@recipe("prune_static_weights", needs=("checkpoint",), methods=WEIGHTS)
def prune_static_weights(job: Job) -> Dict[str, Any]:
    """Set the smallest weights of the train program to zero, and keep them at zero during fine-tuning."""
    from paddleslim.prune import UnstructuredPruner

    with _built(job) as (built, schedule):
        original = _values(built)
        pruner = UnstructuredPruner(
            built.train, mode="ratio", ratio=job.parameters["ratio"], place=paddle.CPUPlace()
        )
        pruner.step()
        pruner.update_params()
        keep_pruned(job, original, _values(built))
        after_step = [schedule.step, pruner.step]
        losses = static_graphs.tune(built, built.train, batches(job.model, job.digits), after_step)
        pruner.update_params()
        return {
            "program": _saved(built, built.evaluate, job),
            "losses": losses,
            "criterion": "magnitude",
            "sparsity": float(UnstructuredPruner.total_sparse(built.evaluate)),
        }


@contextlib.contextmanager
def _built(job: Job) -> Iterator[Tuple[Trainable, Any]]:
    """Build the programs with the checkpoint's values; yield them and the schedule of the learning rate."""
    schedules = []

    def optimizer() -> Any:
        made, schedule = scheduled(job.model, job.digits, None, job.parameters.get("optimizer", ""))
        schedules.append(schedule)
        return made

    with static_graphs.numbered_from_zero():
        built = static_graphs.trainable(job.model, optimizer)
        values = paddle.load(job.of("checkpoint", "model.pdparams"), return_numpy=True)
        programs.set_layer_values(built.net, built.train, values)
        yield built, schedules[0]


def _names(built: Trainable) -> Dict[str, str]:
    """Return the structured name of each parameter and statistic, by its name in the programs."""
    held = {**dict(built.net.named_parameters()), **dict(built.net.named_buffers())}
    return {variable.name: name for name, variable in held.items()}


def _ratios(built: Trainable, job: Job) -> Dict[str, float]:
    """Return each convolution's share of filters to cut: the method's ratio, or by its sensitivity."""
    layers = built.net.sublayers()
    convolutions = [layer.weight.name for layer in layers if isinstance(layer, paddle.nn.Conv2D)]
    if "ratio" in job.parameters:
        return dict.fromkeys(convolutions, job.parameters["ratio"])
    from paddleslim.prune import get_ratios_by_loss, sensitivity

    arrays, labels = sensitivity_examples(job)

    def accuracy(program: Any) -> float:
        return float((static_graphs.logits_of(built, program, arrays).argmax(axis=1) == labels).mean())

    measured = sensitivity(
        built.evaluate,
        paddle.CPUPlace(),
        convolutions,
        accuracy,
        sensitivities_file=job.path("sensitivities.pickle"),
        criterion=job.parameters["criterion"],
    )
    found = get_ratios_by_loss(measured, job.parameters["loss"])
    return {name: float(ratio) for name, ratio in found.items()}


def _values(built: Trainable) -> Dict[str, np.ndarray]:
    """Return parameters and statistics in the scope, by structured name."""
    scope = paddle.static.global_scope()
    return {own: np.array(scope.find_var(name).get_tensor()) for name, own in _names(built).items()}


def _saved(built: Trainable, program: Any, job: Job) -> str:
    """Save an eval program, and its logits for the first test digits; return its path in the artifact."""
    logits = static_graphs.logits_of(built, program, job.examples("test", COMPARED)[0])
    np.savez(job.path("compressed.npz"), logits=logits)
    static_graphs.save(built, program, job.prefix)
    return job.program
