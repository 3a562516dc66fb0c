"""Static programs of a model: built, initialised, run and trained, always in static graph mode."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np
import paddle
from paddle.jit.dy2static.convert_call_func import convert_call

from harness.worker.inspection import programs
from harness.worker.models import networks
from harness.worker.models.model import ReferenceModel


@contextlib.contextmanager
def numbered_from_zero() -> Iterator[None]:
    """Enter static graph mode, with generated names that do not depend on the process's history.

    Entering static mode restores its last name counters, and the quantizing passes continue them.
    """
    with programs.static_mode(), paddle.utils.unique_name.guard():
        yield


class Inference(NamedTuple):
    """A static program in eval mode, with the network that it was built of."""

    net: Any
    program: Any
    inputs: List[Any]
    outputs: List[Any]
    executor: Any

    def run(self, feed: Sequence[np.ndarray]) -> List[np.ndarray]:
        """Return the outputs for an array of each input."""
        given = {variable.name: array for variable, array in zip(self.inputs, feed)}
        found = self.executor.run(self.program, feed=given, fetch_list=self.outputs)
        return [np.asarray(array) for array in found]


def inference(model: ReferenceModel) -> Inference:
    """Build the network's program in eval mode; its parameters have initial values."""
    main, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(main, startup):
        inputs = networks.static_inputs(model)
        net = model.build(**model.arguments)
        net.eval()
        forward = convert_call(net.forward) if model.converted else net
        outputs = networks.outputs_of(forward(*inputs))
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(startup)
    return Inference(net, main, inputs, outputs, executor)


class Trainable(NamedTuple):
    """A static training program and its clone for evaluation, which share names and parameters."""

    net: Any
    train: Any
    evaluate: Any
    inputs: List[Any]
    """The network's, and the labels, int64 ``[n, 1]``."""
    fetches: List[str]
    """Names of what a step is asked for: the mean loss is the last."""
    logits: str
    executor: Any


def trainable(model: ReferenceModel, make_optimizer: Callable[[], Any], as_in_001: bool = False) -> Trainable:
    """Build the network's training program; its parameters have initial values.

    ``as_in_001``: as document 001 does, top-1 and top-5 accuracy are fetched before the loss, and the clone
    is made when the optimizer is in the program. PaddleSlim's example for pruning clones before it.
    """
    main, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(main, startup):
        inputs = networks.static_inputs(model)
        label = paddle.static.data("label", [None, 1], "int64")
        net = model.build(**model.arguments)
        logits = networks.outputs_of(net(*inputs))[0]
        loss = paddle.mean(paddle.nn.functional.cross_entropy(logits, label))
        fetched = [loss]
        if as_in_001:
            ks = (1, min(5, logits.shape[-1]))
            fetched = [*(paddle.metric.accuracy(logits, label, k=k) for k in ks), loss]
            make_optimizer().minimize(loss)
        evaluate = main.clone(for_test=True)
        if not as_in_001:
            make_optimizer().minimize(loss)
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(startup)
    names = [variable.name for variable in fetched]
    return Trainable(net, main, evaluate, [*inputs, label], names, logits.name, executor)


def run(
    built: Trainable, program: Any, fed: Sequence[np.ndarray], labels: np.ndarray, fetch: List[str]
) -> List[Any]:
    """Run a program once with `Executor.run` on arrays and labels ``[n, 1]``."""
    feed = {variable.name: array for variable, array in zip(built.inputs, [*fed, labels])}
    return list(built.executor.run(program, feed=feed, fetch_list=fetch))


def logits_of(built: Trainable, program: Any, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the logits of an eval program, float32 ``[n, classes]``."""
    # The program still computes the loss, so it needs a label.
    labels = np.zeros((len(arrays[0]), 1), "int64")
    return np.asarray(run(built, program, arrays, labels, [built.logits])[0])


def tune(
    built: Trainable,
    program: Any,
    batches: Iterable[Tuple[List[np.ndarray], np.ndarray]],
    after_step: Sequence[Callable[[], Any]] = (),
) -> List[float]:
    """Train on the batches; return the loss of each step."""
    losses = []
    for fed, labels in batches:
        losses.append(float(np.asarray(run(built, program, fed, labels, built.fetches)[-1]).mean()))
        for call in after_step:
            call()
    return losses


def save(built: Trainable, program: Any, prefix: str, target: str = "") -> None:
    """Save a program with `save_inference_model`; it fetches the logits or the named ``target``."""
    paddle.static.save_inference_model(
        path_prefix=prefix,
        feed_vars=built.inputs[:-1],
        fetch_vars=[program.global_block().var(target or built.logits)],
        executor=built.executor,
        program=program,
    )
