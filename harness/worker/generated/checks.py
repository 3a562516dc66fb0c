"""One generated network through everything that can run it, in one call.

The float64 dynamic graph is the oracle. Its conditioning is measured beside it: the same network with
inputs, parameters and every intermediate value moved by about a float32 rounding, several times. Where
those runs lie apart, no float32 engine can be held to the oracle; the near side decides by them.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import shutil
import sys
import tempfile
import types
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np
import paddle

from harness.worker import models, perturbation
from harness.worker.generated import source, values
from harness.worker.runtimes import jit, predictor, static

ROUNDING = 2.0**-23
TINY = float(np.finfo("float32").tiny)
"""Below it a float32 is denormal, and engines differ in whether they take it for zero."""
MARK = "stage:"
"""Printed before each stage, so that the log of a process that died tells where."""

PREDICTORS: Dict[str, Dict[str, Any]] = {
    "predictor": {},
    "predictor-no-onednn": {"onednn": False},
    "predictor-no-ir": {"ir_optim": False, "onednn": False},
}

_numbers = itertools.count()


def feeds(network: Mapping[str, Any], batches: Sequence[int]) -> List[List[np.ndarray]]:
    """One feed for each batch size; a network without dynamic dimensions has the one size it states."""
    found = []
    for number, batch in enumerate(batches):
        feed = []
        for spec in network["inputs"]:
            shape = [batch, *spec["shape"][1:]] if network["dynamic"] else spec["shape"]
            feed.append(values.draw({**spec, "shape": shape, "seed": spec["seed"] + 1000 * number}))
        found.append(feed)
    return found


NEAR_ONE = ("elu", "selu")
"""Operators that Paddle computes as a difference of values near one: what is below zero is off by a
rounding of one, and not of the result."""


def build(
    network: Mapping[str, Any], floating: str = "float32", watched: bool = False, folder: str = ""
) -> Any:
    """The network as a layer in evaluation mode. ``folder``: its source is written there, for exporting."""
    text = source.write(network, floating, watched)
    module = types.ModuleType(f"generated_{next(_numbers)}")
    file = "<generated>"
    if folder:
        file = os.path.join(folder, f"{module.__name__}_{hashlib.sha256(text.encode()).hexdigest()[:8]}.py")
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        module.__file__ = file
        sys.modules[module.__name__] = module  # inspect finds a class's source by its module
    exec(compile(text, file, "exec"), vars(module))
    paddle.set_default_dtype(floating)
    try:
        net = module.Network()
    finally:
        paddle.set_default_dtype("float32")
    if watched:
        net.see = lambda number, value: value
    net.eval()
    return net


def infer(net: Any, feed: Sequence[np.ndarray], dtype: str = "float32") -> List[np.ndarray]:
    """Outputs in dynamic graph."""
    paddle.set_default_dtype(dtype)
    try:
        with paddle.no_grad():
            return [_array(tensor) for tensor in models.outputs_of(net(*models.tensors(feed, dtype)))]
    finally:
        paddle.set_default_dtype("float32")


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.numpy())


def oracle(
    network: Mapping[str, Any], batches: Sequence[int], draws: int, additive: bool = False
) -> Dict[str, Any]:
    """Outputs in float64, ``[feed][output]``, and the same of ``draws`` moved runs, ``[draw][feed][output]``.

    Inputs, parameters and every intermediate value are moved by up to a float32 rounding of themselves; with
    ``additive`` every second draw moves them by that of their tensor's largest element, which breaks
    ties at zero too. Draws grow to eight roundings; the even ones take denormals for zero.
    """
    fed = feeds(network, batches)
    net = build(network, "float64", watched=True)
    first = len(network["inputs"])
    coarse = {first + place for place, node in enumerate(network["nodes"]) if node["op"] in NEAR_ONE}
    outputs = [infer(net, feed, "float64") for feed in fed]
    moved = []
    state = {name: value.numpy() for name, value in net.state_dict().items()}
    for draw in range(draws):
        rng = np.random.default_rng([7, draw])
        size = ROUNDING * (1, 2, 4, 8)[draw % 4]
        absolute = additive and draw % 2 == 1
        shift = functools.partial(_shifted, size=size, absolute=absolute, flush=draw % 2 == 0, rng=rng)
        net.set_state_dict(state)
        perturbation.move_network(net, size, rng)
        net.see = lambda number, value: _moved(value, shift, number in coarse)  # noqa: B023
        moved.append([infer(net, [shift(array) for array in feed], "float64") for feed in fed])
    return {"outputs": outputs, "moved": moved}


def _moved(value: Any, shift: Callable[..., np.ndarray], near_one: bool) -> Any:
    if not paddle.is_floating_point(value) or not value.size:
        return value
    return paddle.to_tensor(shift(value.numpy(), near_one=near_one))


def _shifted(
    array: np.ndarray,
    size: float,
    absolute: bool,
    flush: bool,
    rng: np.random.Generator,
    near_one: bool = False,
) -> np.ndarray:
    if not np.issubdtype(array.dtype, np.floating):
        return array
    # Beyond float32's range is infinity there: an overflow is met by the oracle, not excused later.
    with np.errstate(over="ignore", invalid="ignore"):
        wide = array.astype("float64")
        found = perturbation.moved(wide, size, rng)
        if near_one:
            found = np.where(wide < 0, found + size * rng.uniform(-1.0, 1.0, wide.shape), found)
        if absolute:
            finite = np.abs(wide[np.isfinite(wide)])
            scale = float(finite.max()) if finite.size else 0.0
            found = found + size * scale * rng.uniform(-1.0, 1.0, wide.shape)
        found = np.where(np.abs(found) > np.finfo("float32").max, np.sign(found) * np.inf, found)
        return np.where(np.abs(found) < TINY, 0.0, found) if flush else found


def run(
    network: Mapping[str, Any],
    batches: Sequence[int],
    draws: int,
    stages: Optional[Sequence[str]] = None,
    additive: bool = False,
    options: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """The network's oracle, and what every stage gave for every feed.

    Stages: ``dygraph`` (also ``permuted`` and ``rows``: the first feed's rows in another order, and one
    by one), ``export``, ``jit``, ``static`` and :data:`PREDICTORS` (``options`` beside their own). The
    first feed is run twice. ``draws`` and ``additive`` are :func:`oracle`'s.

    Returns:
        ``oracle``, ``moved``; ``stages``: name -> ``{"runs": [[array, ...], ...]}`` or ``{"raised": type,
        "message": text}``. An exporting error leaves the later stages out.
    """
    _mark("oracle")
    found: Dict[str, Any] = oracle(network, batches, draws, additive)
    fed = feeds(network, batches)
    sequence = [fed[0], fed[0], *fed[1:]]
    done: Dict[str, Any] = {}
    net = build(network)
    _try(done, "dygraph", stages, lambda: [infer(net, feed) for feed in sequence])
    rows = len(fed[0][0])
    if network["dynamic"] and network.get("equivariant") and "runs" in done.get("dygraph", {}):
        _try(done, "permuted", stages, lambda: [infer(net, [array[::-1].copy() for array in fed[0]])])
        _try(
            done, "rows", stages,
            lambda: [infer(net, [array[row : row + 1] for array in fed[0]]) for row in range(rows)],
        )  # fmt: skip
    folder = tempfile.mkdtemp(prefix="generated-")
    known = set(sys.modules)
    try:
        files: Dict[str, str] = {}
        _try(done, "export", None, lambda: files.update(export(network, folder)) or [])
        if files:
            for name, session in sessions(network, files, options or {}).items():
                _try(done, name, stages, lambda: _served(session(), sequence))  # noqa: B023
    finally:
        for name in set(sys.modules) - known:
            if name.startswith("generated_"):
                del sys.modules[name]
        shutil.rmtree(folder, ignore_errors=True)
    return {"oracle": found["outputs"], "moved": found["moved"], "stages": done}


def export(network: Mapping[str, Any], folder: str) -> Dict[str, str]:
    """`paddle.jit.save` of the network into the folder; the files by the runtimes' roles."""
    specs = [
        paddle.static.InputSpec([None, *spec["shape"][1:]] if network["dynamic"] else spec["shape"],
                                spec["dtype"], name=f"x{index}")
        for index, spec in enumerate(network["inputs"])
    ]  # fmt: skip
    prefix = os.path.join(folder, "model")
    paddle.jit.save(build(network, folder=folder), prefix, input_spec=specs)
    program = "model.json" if os.path.exists(prefix + ".json") else "model.pdmodel"
    return {
        "prefix": prefix,
        "folder": folder,
        "program": program,
        "model": os.path.join(folder, program),
        "params": prefix + ".pdiparams",
    }


def sessions(
    network: Mapping[str, Any], files: Dict[str, str], more: Mapping[str, Any]
) -> Dict[str, Callable[[], Any]]:
    """How each stage behind the export opens its session; the predictors with ``more`` options."""
    model: Any = types.SimpleNamespace(
        inputs=[types.SimpleNamespace(name=f"x{index}") for index in range(len(network["inputs"]))]
    )
    found: Dict[str, Callable[[], Any]] = {
        "jit": lambda: jit.Session(files, model, {}),
        "static": lambda: static.Session({**files, "params": "model.pdiparams"}, model, {}),
    }
    for name, options in PREDICTORS.items():
        found[name] = functools.partial(predictor.Session, files, model, {**options, **more})
    return found


def _served(session: Any, sequence: Sequence[List[np.ndarray]]) -> List[List[np.ndarray]]:
    try:
        return [[np.array(array) for array in session.infer(feed)] for feed in sequence]
    finally:
        session.close()


def _mark(stage: str) -> None:
    print(MARK, stage, flush=True)


def _try(done: Dict[str, Any], name: str, stages: Optional[Sequence[str]], what: Callable[[], Any]) -> None:
    """Run a stage; what it raises is its result."""
    if stages is not None and name not in stages:
        return
    _mark(name)
    try:
        done[name] = {"runs": what()}
    except Exception as error:
        paddle.disable_static()
        done[name] = {"raised": type(error).__name__, "message": str(error).strip() or repr(error)}
