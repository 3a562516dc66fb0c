"""Ways to execute an artifact, one file each.

A runtime module defines ``available(options) -> reason | None`` and a class ``Session`` with
``__init__(files, model, options)``, ``infer(feed) -> outputs``, ``describe() -> dict`` and
``close()``; a module of this folder is found by its name. ``RECIPE`` names the recipe whose artifact
it reads, if that is not a Paddle export: its ``values["files"]`` are the files by the names that the
session knows them by, relative to the artifact. ``PROFILE`` names the profile whose export that recipe
needs, and ``ENGINE`` an environment of ``harness/engines.toml``: its interpreter is the option
``python`` of the runtime and the parameter ``engine_python`` of the recipe. ``PACKAGES`` (name: version)
are what it needs beside Paddle in the environment under test: managed environments have them, `harness
doctor` looks for them and says their ``PURPOSE``. ``PLAIN`` is how a script of plain Paddle opens the files
and defines ``infer(feed)``: a Jinja template with ``files`` by their names, ``model`` (its name) and
``calls`` (the macros of ``harness/execution/scripts/calls.j2``).
``STAGES`` are the ways that generated networks go on it, by name
(:class:`harness.fuzz.verdict.Stage` has the fields); ``of_export(files)`` gives the session's files of a
`jit.save` export (``prefix``, ``folder``, ``program``, ``model``, ``params``), where they are others. The
first four are literals, since they are read without importing the module. A module imports its engine
where it is used, so that one that is missing is a reason and not an error.
"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from harness.worker.models import networks

# Modules of extensions lie in folders of their own, and are found here all the same.
__path__ = pkgutil.extend_path(__path__, __name__)


def check_inputs(what: str, names: List[str], wanted: List[str]) -> None:
    """Raise a ValueError where the inputs' names are not the model's, whatever their order."""
    if sorted(names) != sorted(wanted):
        raise ValueError(f"the {what}'s inputs are {names}, the model's {wanted}")


def _module(runtime: str) -> Any:
    return importlib.import_module(__name__ + "." + runtime)


def catalog() -> List[Dict[str, Any]]:
    """Return every runtime: name, summary, and why it is missing here (None: it is not missing)."""
    return [
        {
            "name": info.name,
            "summary": (_module(info.name).__doc__ or "").strip().splitlines()[0],
            "missing": _module(info.name).available({}),
        }
        for info in pkgutil.iter_modules(__path__)
    ]


def recipes() -> Dict[str, str]:
    """Return the recipe whose artifact each runtime reads; '' for an export of Paddle."""
    return {info.name: getattr(_module(info.name), "RECIPE", "") for info in pkgutil.iter_modules(__path__)}


def engines() -> List[Dict[str, str]]:
    """Return the runtimes whose engine has a separate environment: it, their recipe and its profile."""
    names = ("ENGINE", "RECIPE", "PROFILE")
    found = [
        {"runtime": info.name, **{name.lower(): getattr(_module(info.name), name, "") for name in names}}
        for info in pkgutil.iter_modules(__path__)
    ]
    return [item for item in found if item["engine"]]


def stages() -> Dict[str, Dict[str, Any]]:
    """What runtimes state of stages, the plainest stage first; ``runtime`` and ``options`` are in each."""
    found = [
        (stage["place"], name, {"options": {}, **stage, "runtime": info.name})
        for info in pkgutil.iter_modules(__path__)
        for name, stage in getattr(_module(info.name), "STAGES", {}).items()
    ]
    return {name: stage for _, name, stage in sorted(found, key=lambda item: item[:2])}


def session_of_export(runtime: str, files: Mapping[str, str], model: Any, options: Mapping[str, Any]) -> Any:
    """A session of the runtime on the files of a `jit.save` export."""
    module = _module(runtime)
    own = module.of_export(files) if hasattr(module, "of_export") else files
    return module.Session(own, model, options)


def available(runtime: str, options: Mapping[str, Any]) -> Optional[str]:
    """Return why the runtime cannot run here with these options, or None."""
    return _module(runtime).available(options)


def lods(model: Any) -> Dict[int, str]:
    """Return the inputs that hold sequence offsets, by index, each with the name of what it describes."""
    return {index: spec.lod_of for index, spec in enumerate(model.inputs) if spec.lod_of}


def parted(
    feed: Sequence[np.ndarray], offsets: Mapping[int, str]
) -> Tuple[List[np.ndarray], Dict[str, np.ndarray]]:
    """Return a feed's values, and the sequence offsets among them by the name of what they describe."""
    values = [array for index, array in enumerate(feed) if index not in offsets]
    return values, {name: feed[index] for index, name in offsets.items()}


_sessions: Dict[int, Any] = {}
_numbers = itertools.count(1)


def open_session(
    runtime: str, files: Mapping[str, str], model: str, options: Mapping[str, Any]
) -> Dict[str, Any]:
    """Load an artifact; return the session's number, the loading time, and its description."""
    started = time.perf_counter()
    session = _module(runtime).Session(files, networks.get(model), options)
    seconds = time.perf_counter() - started
    number = next(_numbers)
    _sessions[number] = session
    return {"session": number, "load_ms": seconds * 1e3, "describe": session.describe()}


def infer(session: int, feeds: List[List[np.ndarray]]) -> List[List[np.ndarray]]:
    """Return the outputs of each feed, run one after the other in the same session."""
    return [_sessions[session].infer(feed) for feed in feeds]


def close_session(session: int) -> None:
    """Close the session; unknown numbers are fine (its worker may have been replaced)."""
    found = _sessions.pop(session, None)
    if found is not None:
        found.close()


def execute(
    runtime: str,
    files: Mapping[str, str],
    model: str,
    options: Mapping[str, Any],
    feeds: List[List[np.ndarray]],
) -> Dict[str, Any]:
    """Open, run every feed, describe, close; return outputs per feed, description, load time."""
    opened = open_session(runtime, files, model, options)
    try:
        outputs = infer(opened["session"], feeds)
        # Described after running too: some engines decide at their first run.
        return {
            "outputs": outputs,
            "describe": _sessions[opened["session"]].describe(),
            "load_ms": opened["load_ms"],
        }
    finally:
        close_session(opened["session"])
