"""Run one generated network in every engine that can run it, in one call.

The float64 dynamic graph is the oracle. Its conditioning is measured too: the same network is run several
times with inputs, parameters and every intermediate value moved by about a float32 rounding. Where these
runs differ, no float32 engine can be expected to match the oracle; the controller decides by them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np
import paddle

from harness.worker import runtimes
from harness.worker.checks.generated import forms, source
from harness.worker.checks.generated.oracle import COARSE, build, feeds, infer, oracle, stored_in_bfloat16

MARK = "stage:"
"""Printed before each stage, so that the log of a process that died shows the stage."""


def run(
    network: Mapping[str, Any],
    batches: Sequence[int],
    draws: int,
    stages: Sequence[str],
    additive: bool = False,
    options: Optional[Mapping[str, Any]] = None,
    folder: str = "",
) -> Dict[str, Any]:
    """Return the network's oracle, and the outputs of every stage for every feed.

    Stages: ``dygraph`` (also ``restored``: another instance with the saved state; ``permuted`` and
    ``rows``: the first feed's rows in another order, and one by one), ``export``, those of
    :func:`forms.sessions` (predictors get ``options`` in addition to their own), and ``folded``: the
    predictor again, with everything that depends on parameters alone computed beforehand. The first feed is
    run twice. ``draws`` and ``additive`` are :func:`oracle`'s. ``folder``: where the exported files stay.

    Returns:
        ``oracle``, ``moved``; ``program``, the exported file's name; ``coarse``, the runs moved by
        roundings of bfloat16, where a stage computes in it; ``stages``: name -> ``{"runs": [[array, ...],
        ...]}``, ``{"raised": type, "message": text}`` or ``{"refused": text}``. After an error in the
        export the later stages are missing.
    """
    _mark("oracle")
    truth = oracle(network, batches, draws, additive)
    found: Dict[str, Any] = {"oracle": truth["outputs"], "moved": truth["moved"]}
    if any(stage.get("coarse") for name, stage in runtimes.stages().items() if name in stages):
        found["coarse"] = [
            stored_in_bfloat16(network, batches),
            *oracle(network, batches, draws, additive, COARSE)["moved"],
        ]
    asked = _Stages(network, batches, stages, options)
    net = build(network)
    where = folder or tempfile.mkdtemp(prefix="generated-")
    known = set(sys.modules)
    try:
        asked.run("dygraph", lambda: asked.inferred(net))
        asked.run("restored", lambda: asked.inferred(restored(network, net, where)))
        if network["dynamic"] and network.get("equivariant") and "runs" in asked.done.get("dygraph", {}):
            first = asked.sequence[0]
            asked.run("permuted", lambda: [infer(net, [array[::-1].copy() for array in first])])
            rows = [[array[row : row + 1] for array in first] for row in range(len(first[0]))]
            asked.run("rows", lambda: [infer(net, feed) for feed in rows])
        files: Dict[str, str] = {}
        asked.run("export", lambda: files.update(_exported(network, where)) or [], always=True)
        if files:
            found["program"] = files["program"]
            asked.read(files)
            if source.has_constants(network):
                asked.run("folded", lambda: asked.folded(where))
    finally:
        for name in set(sys.modules) - known:
            if name.startswith("generated_"):
                del sys.modules[name]
        if not folder:
            shutil.rmtree(where, ignore_errors=True)
    found["stages"] = asked.done
    return found


def read(
    network: Mapping[str, Any],
    batches: Sequence[int],
    folder: str,
    stages: Sequence[str],
    options: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """Return ``stages`` as :func:`run` does, for files that another release wrote into the folder."""
    asked = _Stages(network, batches, stages, options)
    asked.read(forms.files_in(folder))
    return asked.done


def restored(network: Mapping[str, Any], net: Any, folder: str) -> Any:
    """Return another instance, its parameters zeroed, after loading the saved state of ``net``."""
    path = os.path.join(folder, "state.pdparams")
    paddle.save(net.state_dict(), path)
    other = build(network)
    for parameter in other.parameters():
        parameter.set_value(paddle.zeros_like(parameter))
    other.set_state_dict(paddle.load(path))
    return other


def _exported(network: Mapping[str, Any], folder: str, folded: bool = False) -> Dict[str, str]:
    return forms.export(network, build(network, folder=folder, folded=folded), folder)


def _mark(stage: str) -> None:
    print(MARK, stage, flush=True)


class _Stages:
    """The stages that are asked for of a network, its feeds, and in ``done`` what came of each stage."""

    def __init__(
        self,
        network: Mapping[str, Any],
        batches: Sequence[int],
        asked: Sequence[str],
        options: Optional[Mapping[str, Any]],
    ) -> None:
        self.network, self.asked, self.options = network, asked, options or {}
        first, *others = feeds(network, batches)
        self.sequence = [first, first, *others]
        self.done: Dict[str, Any] = {}

    def run(self, name: str, what: Callable[[], Any], always: bool = False) -> None:
        """Run a stage if it is asked for; an exception becomes its result."""
        if not always and name not in self.asked:
            return
        _mark(name)
        try:
            self.done[name] = {"runs": what()}
        except forms.Refused as refusal:
            self.done[name] = {"refused": str(refusal)}
        except Exception as error:
            paddle.disable_static()
            self.done[name] = {"raised": type(error).__name__, "message": str(error).strip() or repr(error)}

    def read(self, files: Dict[str, str]) -> None:
        """Run the stages that read exported files."""
        for name, session in forms.sessions(self.network, files, self.options).items():
            self.run(name, lambda: self.served(session()))  # noqa: B023

    def inferred(self, net: Any) -> List[List[np.ndarray]]:
        """The outputs of a network in dynamic graph."""
        return [infer(net, feed) for feed in self.sequence]

    def served(self, session: Any) -> List[List[np.ndarray]]:
        """The outputs of a session, which is closed."""
        try:
            return [[np.array(array) for array in session.infer(feed)] for feed in self.sequence]
        finally:
            session.close()

    def folded(self, folder: str) -> List[List[np.ndarray]]:
        """The predictor's outputs where what depends on parameters alone was computed beforehand."""
        inner = os.path.join(folder, "folded")
        os.mkdir(inner)
        files = _exported(self.network, inner, folded=True)
        return self.served(forms.sessions(self.network, files, self.options)["predictor"]())
