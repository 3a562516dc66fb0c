"""`paddle.Model.load` in a process that did not train: resuming, resetting, skipping."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

import numpy as np
import paddle
from paddle.metric import Accuracy
from paddle.vision.transforms import ToTensor

from harness.worker.inspection import programs
from harness.worker.models import networks
from harness.worker.models.digits import Digits
from harness.worker.models.states import bits, flatten
from harness.worker.recipes.documents import Watch, high_level
from harness.worker.training import loops, static_graphs


def resume(
    model: str, digits: str, checkpoint: str, epoch: int, load_first: bool, epochs: int
) -> Dict[str, Any]:
    """Load ``checkpoint`` (a prefix) and fit ``epochs`` more; return the loss of every batch.

    `fit` shuffles by the number of epochs that its sampler has served, which no checkpoint keeps:
    ``epoch`` is the epoch to continue with. With 0, `fit` gets the dataset, as in document 003.
    ``load_first`` calls `load` before `prepare`, as the document's listing does.
    """
    wrapped, optim = high_level(networks.get(model))
    if load_first:
        wrapped.load(checkpoint)
    wrapped.prepare(optim, paddle.nn.CrossEntropyLoss(), Accuracy())
    if not load_first:
        wrapped.load(checkpoint)
    data = Digits(digits)
    train, test = data.dataset("train", ToTensor()), data.dataset("test", ToTensor())
    if epoch:
        # The loader that `fit` makes from a dataset, with an epoch that can be set.
        sampler = paddle.io.DistributedBatchSampler(train, 64, shuffle=True)
        sampler.set_epoch(epoch)
        train = paddle.io.DataLoader(train, batch_sampler=sampler)
    watch = Watch()
    wrapped.fit(train, test, epochs=epochs, batch_size=64, verbose=0, callbacks=[watch])
    return {"losses": np.asarray(watch.losses, "float32")}


def load(
    model: str, checkpoint: str, other: Optional[Dict[str, Any]] = None, **arguments: Any
) -> Dict[str, Any]:
    """Call `Model.load` on a new, prepared network: only then is an optimizer restored.

    ``other``: arguments that build the network with other shapes.

    Returns parameters ``before`` and ``after``, and the ``optimizer`` entries that wait for the first
    update, by their saved names.
    """
    reference = networks.get(model)
    paddle.seed(99)  # initial values differ from the checkpoint's, so that loading has an effect
    net = reference.build(**{**reference.arguments, **(other or {})})
    wrapped = paddle.Model(
        net, networks.input_specs(reference), [paddle.static.InputSpec([None, 1], "int64", "label")]
    )
    optim = loops.make_optimizer(loops.training_of(reference), wrapped.parameters())
    wrapped.prepare(optim, paddle.nn.CrossEntropyLoss())
    before = {name: bits(value).copy() for name, value in net.state_dict().items()}
    wrapped.load(checkpoint, **arguments)
    held = {**optim.state_dict(), **getattr(optim, "_accumulators_holder", {})}
    return {
        "before": before,
        "after": {name: bits(value) for name, value in net.state_dict().items()},
        "optimizer": flatten(held),
    }


def names_in_paddle_io() -> List[str]:
    """Return which of document 003's `paddle.io.load` and `paddle.io.load_inference_model` exist."""
    return [name for name in ("load", "load_inference_model") if hasattr(paddle.io, name)]


def three_systems(model: str, weights: str, folder: str, feed: List[np.ndarray]) -> Dict[str, Any]:
    """Save and load the same parameters by every system of document 003; return each one's outputs.

    Systems: `Model.save/load`, `paddle.save/load`, `static.save/load`,
    `static.save_inference_model/load_inference_model`. Loading starts from a network with other
    values each time.
    """
    reference = networks.get(model)
    net = networks.network(reference, weights)

    def fresh() -> Any:
        paddle.seed(77)
        other = reference.build(**reference.arguments)
        other.eval()
        return other

    def outputs(layer: Any) -> List[np.ndarray]:
        layer.eval()
        with paddle.no_grad():
            return [o.numpy() for o in networks.outputs_of(layer(*networks.tensors(feed)))]

    found = {"network": outputs(net), "untouched": outputs(fresh())}
    paddle.save(net.state_dict(), os.path.join(folder, "dygraph.pdparams"))
    other = fresh()
    other.set_state_dict(paddle.load(os.path.join(folder, "dygraph.pdparams")))
    found["paddle.save/load"] = outputs(other)

    specs = networks.input_specs(reference)
    paddle.Model(net, specs).save(os.path.join(folder, "high_level"))
    wrapped = paddle.Model(fresh(), specs)
    wrapped.load(os.path.join(folder, "high_level"))
    found["Model.save/load"] = outputs(wrapped.network)

    values = paddle.load(weights, return_numpy=True)
    with programs.static_mode():
        built = static_graphs.inference(reference)
        layer, main, inputs, fetches, executor = built
        programs.set_layer_values(layer, main, values)
        paddle.static.save(main, os.path.join(folder, "static"))
        paddle.static.save_inference_model(
            os.path.join(folder, "inference"), inputs, fetches, executor, program=main
        )
        programs.set_layer_values(layer, main, {n: np.zeros_like(v) for n, v in values.items()})
        found["static emptied"] = built.run(feed)
        paddle.static.load(main, os.path.join(folder, "static"), executor)
        found["static.save/load"] = built.run(feed)
    with programs.static_mode():
        executor = paddle.static.Executor(paddle.CPUPlace())
        prefix = os.path.join(folder, "inference")
        loaded, names, targets = paddle.static.load_inference_model(prefix, executor)
        found["static.save_inference_model"] = [
            np.asarray(o) for o in executor.run(loaded, feed=dict(zip(names, feed)), fetch_list=targets)
        ]
    return found
