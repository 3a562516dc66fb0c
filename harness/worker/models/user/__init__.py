"""User models in the worker: declarations, and the models made from them.

The controller declares every model before a worker's first call (a module, a program or a graph by
its path, and later the results of its first run). A model is loaded only when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any, Dict, List

_MODULES = {"layer": "layers", "deployed": "deployed", "graph": "graphs"}

_declared: Dict[str, Dict[str, Any]] = {}
_made: Dict[str, Any] = {}


def declare(models: List[Dict[str, Any]]) -> None:
    """Store declarations; a model whose declaration changes is made again."""
    for model in models:
        _declared[model["name"]] = model
        _made.pop(model["name"], None)


def declared(name: str) -> bool:
    """Whether a model of that name was declared."""
    return name in _declared


def declaration(name: str) -> Dict[str, Any]:
    """Return the declaration of a model."""
    return _declared[name]


def get(name: str) -> Any:
    """Return the model of that name as a :class:`~harness.worker.models.model.ReferenceModel`.

    Raises:
        Whatever loading it raises: a user's file may do anything.
    """
    if name not in _made:
        given = _declared[name]
        module = importlib.import_module(__name__ + "." + _MODULES[given["form"]])
        _made[name] = module.model(given)
    return _made[name]
