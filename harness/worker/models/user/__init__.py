"""The user's own models in the worker: what was declared, and the models made of it.

The controller declares every model before a worker's first call (a module, a program or a graph by
its path, and later what was found when it was first run). Nothing is loaded before it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, List

_MODULES = {"layer": "layers", "deployed": "deployed", "graph": "graphs"}

_declared: Dict[str, Dict[str, Any]] = {}
_made: Dict[str, Any] = {}


def declare(models: List[Dict[str, Any]]) -> None:
    """Take over declarations; a model that was made of an older one is made anew."""
    for model in models:
        _declared[model["name"]] = model
        _made.pop(model["name"], None)


def declared(name: str) -> bool:
    """Whether a model of that name was declared."""
    return name in _declared


def declaration(name: str) -> Dict[str, Any]:
    """A model as it was declared."""
    return _declared[name]


def get(name: str) -> Any:
    """The model of that name as a :class:`~harness.worker.models.model.ReferenceModel`.

    Raises:
        Whatever loading it raises: a user's file may do anything.
    """
    if name not in _made:
        given = _declared[name]
        module = importlib.import_module(__name__ + "." + _MODULES[given["form"]])
        _made[name] = module.model(given)
    return _made[name]
