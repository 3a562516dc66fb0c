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
    fed = feeds(network, batches)
    sequence = [fed[0], fed[0], *fed[1:]]
    done: Dict[str, Any] = {}
    net = build(network)
    where = folder or tempfile.mkdtemp(prefix="generated-")
    known = set(sys.modules)
    try:
        _try(done, "dygraph", stages, lambda: _inferred(net, sequence))
        _try(done, "restored", stages, lambda: _inferred(restored(network, net, where), sequence))
        if network["dynamic"] and network.get("equivariant") and "runs" in done.get("dygraph", {}):
            _by_rows(done, stages, net, fed[0])
        files: Dict[str, str] = {}
        _try(done, "export", None, lambda: files.update(_exported(network, where)) or [])
        if files:
            found["program"] = files["program"]
            _read(done, stages, network, files, options or {}, sequence)
            if source.has_constants(network):
                _try(done, "folded", stages, lambda: _folded(network, where, options or {}, sequence))
    finally:
        for name in set(sys.modules) - known:
            if name.startswith("generated_"):
                del sys.modules[name]
        if not folder:
            shutil.rmtree(where, ignore_errors=True)
    found["stages"] = done
    return found


def read(
    network: Mapping[str, Any],
    batches: Sequence[int],
    folder: str,
    stages: Sequence[str],
    options: Optional[Mapping[str, Any]] = None,
) -> Dict[str, Any]:
    """Return ``stages`` as :func:`run` does, for files that another release wrote into the folder."""
    fed = feeds(network, batches)
    done: Dict[str, Any] = {}
    _read(done, stages, network, forms.files_in(folder), options or {}, [fed[0], fed[0], *fed[1:]])
    return done


def _inferred(net: Any, sequence: Sequence[List[np.ndarray]]) -> List[List[np.ndarray]]:
    return [infer(net, feed) for feed in sequence]


def restored(network: Mapping[str, Any], net: Any, folder: str) -> Any:
    """Return another instance, its parameters zeroed, after loading the saved state of ``net``."""
    path = os.path.join(folder, "state.pdparams")
    paddle.save(net.state_dict(), path)
    other = build(network)
    for parameter in other.parameters():
        parameter.set_value(paddle.zeros_like(parameter))
    other.set_state_dict(paddle.load(path))
    return other


def _by_rows(done: Dict[str, Any], stages: Sequence[str], net: Any, feed: Sequence[np.ndarray]) -> None:
    rows = range(len(feed[0]))
    _try(done, "permuted", stages, lambda: [infer(net, [array[::-1].copy() for array in feed])])
    _try(done, "rows", stages, lambda: [infer(net, [a[row : row + 1] for a in feed]) for row in rows])


def _exported(network: Mapping[str, Any], folder: str, folded: bool = False) -> Dict[str, str]:
    return forms.export(network, build(network, folder=folder, folded=folded), folder)


def _read(
    done: Dict[str, Any],
    stages: Sequence[str],
    network: Mapping[str, Any],
    files: Dict[str, str],
    options: Mapping[str, Any],
    sequence: Sequence[List[np.ndarray]],
) -> None:
    for name, session in forms.sessions(network, files, options).items():
        _try(done, name, stages, lambda: _served(session(), sequence))  # noqa: B023


def _folded(
    network: Mapping[str, Any],
    folder: str,
    options: Mapping[str, Any],
    sequence: Sequence[List[np.ndarray]],
) -> List[List[np.ndarray]]:
    inner = os.path.join(folder, "folded")
    os.mkdir(inner)
    files = _exported(network, inner, folded=True)
    return _served(forms.sessions(network, files, options)["predictor"](), sequence)


def _served(session: Any, sequence: Sequence[List[np.ndarray]]) -> List[List[np.ndarray]]:
    try:
        return [[np.array(array) for array in session.infer(feed)] for feed in sequence]
    finally:
        session.close()


def _mark(stage: str) -> None:
    print(MARK, stage, flush=True)


def _try(done: Dict[str, Any], name: str, stages: Optional[Sequence[str]], what: Callable[[], Any]) -> None:
    """Run a stage; an exception becomes its result."""
    if stages is not None and name not in stages:
        return
    _mark(name)
    try:
        done[name] = {"runs": what()}
    except forms.Refused as refusal:
        done[name] = {"refused": str(refusal)}
    except Exception as error:
        paddle.disable_static()
        done[name] = {"raised": type(error).__name__, "message": str(error).strip() or repr(error)}
