"""Every way in which Paddle loads a model file; each gives arrays that show what was loaded.

A loader is a function of ``files`` (paths by role), the model and a feed. It returns a flat
dict of arrays: loaded values, and outputs or a training step where there is something to run.
It lets every exception of Paddle reach the caller.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Callable, Dict, List, Mapping

import numpy as np
import paddle

from harness.worker.inspection import programs
from harness.worker.models import networks, states
from harness.worker.models.model import ReferenceModel
from harness.worker.runtimes import jit, predictor, static
from harness.worker.training import loops, static_graphs

M_PERTURB = -6
"""glibc's number of this `mallopt` option; other C libraries report that they do not have it."""

Feed = List[np.ndarray]
Loader = Callable[[Mapping[str, str], ReferenceModel, Feed], Dict[str, np.ndarray]]


def _paddle_load(path: str) -> Any:
    """Call `paddle.load`; return its result, also as a flat dict (for another type, the type's name)."""
    loaded = paddle.load(path)
    if isinstance(loaded, dict):
        return loaded, states.flatten(loaded)
    return loaded, {"not a state dict but": np.asarray(type(loaded).__name__)}


def load_params(files: Mapping[str, str], model: ReferenceModel, feed: Feed) -> Dict[str, np.ndarray]:
    """Load parameters with `paddle.load` and `set_state_dict`; return them and the network's outputs."""
    state, found = _paddle_load(files["params"])
    if isinstance(state, dict):
        net = model.build(**model.arguments)
        net.set_state_dict(state)
        net.eval()
        with paddle.no_grad():
            found.update(_outputs(networks.outputs_of(net(*networks.tensors(feed)))))
    return found


def load_optimizer(files: Mapping[str, str], model: ReferenceModel, feed: Feed) -> Dict[str, np.ndarray]:
    """Load an optimizer's state with `paddle.load`."""
    return _paddle_load(files["optimizer"])[1]


def model_load(files: Mapping[str, str], model: ReferenceModel, feed: Feed) -> Dict[str, np.ndarray]:
    """Call `Model.load` after `prepare` (only then is the optimizer restored), run, and do one training step.

    The step uses the optimizer's state, so its result shows what was restored.
    """
    net = model.build(**model.arguments)
    wrapped = paddle.Model(net)
    optimizer = loops.make_optimizer(loops.training_of(model), net.parameters())
    wrapped.prepare(optimizer, paddle.nn.CrossEntropyLoss())
    wrapped.load(files["prefix"])
    found = states.flatten(net.state_dict(), "loaded")
    found.update(_outputs(wrapped.predict_batch(feed)))
    labels = (np.arange(len(feed[0]), dtype="int64") % found["output 0"].shape[-1]).reshape(-1, 1)
    wrapped.train_batch(feed, [labels])
    found.update(states.flatten(net.state_dict(), "after a step"))
    found.update(states.flatten(optimizer.state_dict(), "optimizer after a step"))
    return found


def save_static(model: str, weight: np.ndarray, prefix: str) -> None:
    """Save the initialised network with `static.save`, with ``weight`` as the parameter of that shape.

    Raises:
        ValueError: no parameter, or more than one, has the shape of ``weight``.
    """
    with programs.static_mode():
        main = static_graphs.inference(networks.get(model)).program
        scope = paddle.static.global_scope()
        values = [scope.find_var(item["name"]).get_tensor() for item in programs.parameters(main)]
        found = [value for value in values if tuple(value.shape()) == weight.shape]
        if len(found) != 1:
            raise ValueError(f"{len(found)} parameters have shape {weight.shape}")
        found[0].set(weight, paddle.CPUPlace())
        paddle.static.save(main, prefix)


def static_load(files: Mapping[str, str], model: ReferenceModel, feed: Feed) -> Dict[str, np.ndarray]:
    """Call `static.load` on a program with other values; return the loaded values and its outputs."""
    with programs.static_mode():
        paddle.seed(model.seed + 1)
        built = static_graphs.inference(model)
        paddle.static.load(built.program, files["prefix"], built.executor)
        return _outputs(built.run(feed))


def _execution(runtime: Any, **options: Any) -> Loader:
    """Return a loader that gives a runtime's outputs for the feed.

    It does not use `runtimes.execute`: that calls `describe`, and `Config.summary` itself raises where
    the model came from memory.
    """

    def load(files: Mapping[str, str], model: ReferenceModel, feed: Feed) -> Dict[str, np.ndarray]:
        session = runtime.Session(files, model, options)
        try:
            return _outputs(session.infer(feed))
        finally:
            session.close()

    return load


def _outputs(values: List[Any]) -> Dict[str, np.ndarray]:
    return {f"output {index}": np.asarray(value) for index, value in enumerate(values)}


LOADERS: Dict[str, Loader] = {
    "paddle.load-params": load_params,
    "paddle.load-optimizer": load_optimizer,
    "Model.load": model_load,
    "jit.load": _execution(jit),
    "static.load": static_load,
    "static": _execution(static),
    "predictor": _execution(predictor),
    "predictor-memory": _execution(predictor, in_memory=True),
}


def scramble_memory(value: int = 0xA5) -> bool:
    """Make the C library overwrite memory when it is allocated and freed; return whether it can.

    Where a loader reads less than it allocated, the rest holds old memory, often the weights of
    the load before, and the outcome would be luck. `MALLOC_PERTURB_` does the same, but only if it
    is set before the process starts.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt is not None and mallopt(M_PERTURB, value))


def load(loader: str, files: Mapping[str, str], model: str, feed: Feed) -> Dict[str, np.ndarray]:
    """Load the files with one of :data:`LOADERS`.

    Raises:
        FileNotFoundError: the folder of the files is missing, an error of the caller.
    """
    for path in files.values():
        folder = os.path.dirname(path)
        if folder and not os.path.isdir(folder):
            raise FileNotFoundError(f"{folder} is missing: the files were not laid out")
    return LOADERS[loader](files, networks.get(model), feed)
