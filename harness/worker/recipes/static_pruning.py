"""Pruning in static graph with PaddleSlim's pruners, fine-tuning, `save_inference_model`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np
import paddle
import paddle.nn.functional as F

from harness.worker.inspection import programs
from harness.worker.inspection.programs import program_file
from harness.worker.models import networks
from harness.worker.models.digits import Digits
from harness.worker.recipes import CompressionMethod, Job, recipe
from harness.worker.recipes.dygraph_quantization import COMPARED
from harness.worker.recipes.pruning import keep_pruned, sensitivity_examples
from harness.worker.training.filter_groups import deciders
from harness.worker.training.fine_tuning import batches, scheduled, training_of

CRITERIA = {"l1_norm": "l1", "geometry_median": "fpgm", "bn_scale": "bn_scale"}
LENET, CONV_BN, MOBILENET, RESNET = "lenet", "conv_bn", "mobilenet_v1_x0_125", "resnet_vd_small"


def _method(
    name: str, quick: Tuple[str, ...], full: Tuple[str, ...] = (), **parameters: Any
) -> CompressionMethod:
    return CompressionMethod(name, "prune", "static", "paddleslim.prune.Pruner", parameters, quick, full)


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
WEIGHTS = (
    CompressionMethod(
        "prune-static-unstructured",
        "prune",
        "static",
        "paddleslim.prune.UnstructuredPruner",
        {"ratio": 0.5},
        (),
        (LENET, CONV_BN),
    ),
)


@dataclass(frozen=True)
class Programs:
    """The model's programs, which share one scope with the checkpoint's values.

    ``names``: the structured name of each parameter and statistic by its name in the programs;
    ``convolutions``: program names of the convolutions' weights, in the network's order.
    """

    train: Any
    test: Any
    inputs: List[Any]
    logits: Any
    loss: Any
    schedule: Any
    executor: Any
    names: Dict[str, str]
    convolutions: List[str]


@recipe("prune_static_filters", needs=("checkpoint",), methods=FILTERS)
def prune_static_filters(job: Job) -> Dict[str, Any]:
    """Prune the eval program's graph, then the train program and its values; fine-tune."""
    from paddleslim.analysis import flops
    from paddleslim.core import GraphWrapper
    from paddleslim.prune import Pruner, StaticPruningCollections

    with _built(job) as built:
        ratios = _ratios(built, job)
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
        test, _, _ = pruner.prune(built.test, only_graph=True, **arguments)
        train, _, _ = pruner.prune(built.train, **arguments)
        pruned = _values(built)
        keep_pruned(job, original, pruned)
        if "idx_selector" in job.parameters:  # it also chooses how many
            weights = {name: built.names[name] for name in ratios}
            ratios = {name: 1 - len(pruned[own]) / len(original[own]) for name, own in weights.items()}
        groups = StaticPruningCollections(list(ratios), GraphWrapper(built.test))
        losses = _tuned(built, train, job)
        return {
            "program": _saved(built, test, job),
            "losses": losses,
            "criterion": CRITERIA[job.parameters["criterion"]],
            "ratios": {built.names[name]: ratios[name] for name in deciders(groups, list(ratios))},
            "flops": {"before": float(flops(built.test)), "after": float(flops(test))},
        }


@recipe("prune_static_weights", needs=("checkpoint",), methods=WEIGHTS)
def prune_static_weights(job: Job) -> Dict[str, Any]:
    """Set the smallest weights of the train program to zero, and keep them at zero during fine-tuning."""
    from paddleslim.prune import UnstructuredPruner

    with _built(job) as built:
        original = _values(built)
        pruner = UnstructuredPruner(
            built.train, mode="ratio", ratio=job.parameters["ratio"], place=paddle.CPUPlace()
        )
        pruner.step()
        pruner.update_params()
        keep_pruned(job, original, _values(built))
        losses = _tuned(built, built.train, job, pruner.step)
        pruner.update_params()
        return {
            "program": _saved(built, built.test, job),
            "losses": losses,
            "criterion": "magnitude",
            "sparsity": float(UnstructuredPruner.total_sparse(built.test)),
        }


@contextlib.contextmanager
def _built(job: Job) -> Iterator[Programs]:
    """Build train and eval program; the latter is cloned before the optimizer, as in PaddleSlim's example."""
    with programs.static_mode():
        train, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.utils.unique_name.guard(), paddle.static.program_guard(train, startup):
            inputs = networks.static_inputs(job.model)
            label = paddle.static.data("label", [None, 1], "int64")
            net = job.model.build(**job.model.arguments)
            logits = networks.outputs_of(net(*inputs))[0]
            loss = paddle.mean(F.cross_entropy(logits, label))
            test = train.clone(for_test=True)
            optimizer, schedule = scheduled(job.model, job.digits, None, job.parameters.get("optimizer", ""))
            optimizer.minimize(loss)
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(startup)
        values = paddle.load(job.of("checkpoint", "model.pdparams"), return_numpy=True)
        programs.set_layer_values(net, train, values)
        held = {**dict(net.named_parameters()), **dict(net.named_buffers())}
        names = {variable.name: name for name, variable in held.items()}
        convolutions = [layer.weight.name for layer in net.sublayers() if isinstance(layer, paddle.nn.Conv2D)]
        yield Programs(train, test, inputs, logits, loss, schedule, executor, names, convolutions)


def _ratios(built: Programs, job: Job) -> Dict[str, float]:
    """Return each convolution's share of filters to cut: the method's ratio, or by its sensitivity."""
    if "ratio" in job.parameters:
        return dict.fromkeys(built.convolutions, job.parameters["ratio"])
    from paddleslim.prune import get_ratios_by_loss, sensitivity

    arrays, labels = sensitivity_examples(job)

    def accuracy(program: Any) -> float:
        return float((_run(built, program, arrays).argmax(axis=1) == labels).mean())

    measured = sensitivity(
        built.test,
        paddle.CPUPlace(),
        built.convolutions,
        accuracy,
        sensitivities_file=job.path("sensitivities.pickle"),
        criterion=job.parameters["criterion"],
    )
    found = get_ratios_by_loss(measured, job.parameters["loss"])
    return {name: float(ratio) for name, ratio in found.items()}


def _values(built: Programs) -> Dict[str, np.ndarray]:
    """Return parameters and statistics in the scope, by structured name."""
    scope = paddle.static.global_scope()
    return {
        structured: np.array(scope.find_var(name).get_tensor()) for name, structured in built.names.items()
    }


def _run(built: Programs, program: Any, arrays: List[np.ndarray]) -> np.ndarray:
    """Return the logits of an eval program, float32 ``[n, classes]``."""
    feed = {variable.name: array for variable, array in zip(built.inputs, arrays)}
    # The program still computes the loss, so it needs a label.
    feed["label"] = np.zeros((len(arrays[0]), 1), "int64")
    found: np.ndarray = built.executor.run(program, feed=feed, fetch_list=[built.logits.name])[0]
    return found


def _tuned(
    built: Programs, program: Any, job: Job, after_step: Optional[Callable[[], Any]] = None
) -> List[float]:
    """Fine-tune; return the loss of each step."""
    losses = []
    for feed, target in batches(job.model, job.digits):
        fed = {variable.name: array for variable, array in zip(built.inputs, feed)}
        fed["label"] = target
        loss = built.executor.run(program, feed=fed, fetch_list=[built.loss.name])[0]
        losses.append(float(np.asarray(loss).reshape(-1)[0]))
        built.schedule.step()
        if after_step is not None:
            after_step()
    return losses


def _saved(built: Programs, program: Any, job: Job) -> str:
    """Save an eval program, and its logits for the first test digits; return its path in the artifact."""
    arrays, _ = training_of(job.model).examples(Digits(job.digits), "test")
    np.savez(job.path("compressed.npz"), logits=_run(built, program, [array[:COMPARED] for array in arrays]))
    prefix = job.path("inference_model", "model")
    paddle.static.save_inference_model(prefix, built.inputs, [built.logits], built.executor, program=program)
    return os.path.relpath(program_file(prefix), job.out)
