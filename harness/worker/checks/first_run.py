"""The first run of a user model: whether it loads, its inputs and outputs, and whether it repeats."""

from __future__ import annotations

import os
from typing import Any, Dict, List

import paddle

from harness.worker.models import networks, user
from harness.worker.models.user import deployed, graphs, layers
from harness.worker.runtimes import dygraph, static

OTHER_BATCH = 3


def needs(name: str) -> int:
    """Return the bytes of parameters and inputs, as far as known before anything is allocated."""
    given = user.declaration(name)
    if given["form"] == "graph":
        return graphs.size(given["path"])
    files = [given["path"], given["params"], given["inputs"]] if given["form"] == "deployed" else []
    held = sum(os.path.getsize(file) for file in files if file)
    if given["form"] == "deployed" and not given["params"]:
        folder = os.path.dirname(given["path"])
        held += sum(item.stat().st_size for item in os.scandir(folder) if item.is_file())
    return held + sum(spec.nbytes for spec in networks.get(name).inputs)


def feeds(name: str) -> List[Any]:
    """Return ``[name, shape, dtype, LoD levels]`` of a deployed program's inputs, as its file has them."""
    return deployed.feeds(user.declaration(name))


def run(name: str) -> Dict[str, Any]:
    """Run the model twice on the same feed; return its inputs and outputs, and the files it consists of.

    Raises:
        Whatever loading or running it raises.
    """
    model = networks.get(name)
    feed = model.sample(1, 0)
    session = _session(name)
    try:
        first, second = session.infer(feed), session.infer(feed)
    finally:
        session.close()
    given = user.declaration(name)
    file = os.path.join(given["path"], "model.py") if given["form"] == "graph" else given["path"]
    return {
        "inputs": [[spec.name, list(spec.shape), spec.dtype] for spec in model.inputs],
        "outputs": [f"output {index}" for index in range(len(first))],
        "runs": [first, second],
        "files": layers.files(file) if given["form"] != "deployed" else [],
        "rows": _rows(model),
    }


def _rows(model: Any) -> int:
    """Return how many rows the example inputs have; 0 without any, or where the batch is fixed."""
    given = zip(getattr(model, "examples", ()), model.inputs)
    open_ = (array for array, spec in given if array is not None and spec.shape and spec.shape[0] is None)
    return max(map(len, open_), default=0)


def other_batch(name: str) -> int:
    """Run another batch size; return its number of rows."""
    session = _session(name)
    try:
        session.infer(networks.get(name).sample(OTHER_BATCH, 1))
    finally:
        session.close()
    return OTHER_BATCH


def float64(name: str) -> List[str]:
    """Run the network in float64; return the dtypes of its floating outputs.

    Raises:
        Whatever the network raises, for example because it fixes its types.
    """
    net = networks.network(networks.get(name), None, "float64")
    net.eval()
    paddle.set_default_dtype("float64")  # as the dynamic graph's session does
    with paddle.no_grad():
        outputs = networks.called(net, networks.get(name), networks.get(name).sample(1, 0), "float64")
    return sorted({str(o.dtype).split(".")[-1] for o in outputs if paddle.is_floating_point(o)})


def _session(name: str) -> Any:
    """Open the simplest execution: the network itself, or the static executor's run of a program."""
    model, given = networks.get(name), user.declaration(name)
    if given["form"] != "deployed":
        initial: Any = {"params": None}  # a layer's own, which are its values already
        return dygraph.Session(initial, model, {})
    folder, program = os.path.split(given["path"])
    files = {"folder": folder, "program": program}
    if given["params"]:
        files["params"] = os.path.relpath(given["params"], folder)
    return static.Session(files, model, {})
