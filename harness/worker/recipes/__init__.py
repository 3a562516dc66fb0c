"""Documented ways to make files out of a model, one file per family.

A recipe is a function decorated with :func:`recipe`; any module of this folder is found.
It writes into ``job.out`` and returns plain values that go into the artifact's manifest.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from dataclasses import asdict, dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from harness.worker.inspection.programs import program_file
from harness.worker.models import networks
from harness.worker.models.model import ReferenceModel, Training
from harness.worker.training import loops

# Modules of extensions lie in folders of their own, and are found here all the same.
__path__ = pkgutil.extend_path(__path__, __name__)


COMPARED = 64
"""Number of test examples whose logits an artifact of a compression method keeps."""


@dataclass(frozen=True)
class Job:
    """A recipe's input: the model, the output folder, and the artifacts it builds on."""

    model: ReferenceModel
    out: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    digits: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def path(self, *parts: str) -> str:
        """Return a path inside the output folder; its parent folder is made."""
        path = os.path.join(self.out, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def of(self, need: str, *parts: str) -> str:
        """Return a path inside the artifact of the recipe ``need``."""
        return os.path.join(self.inputs[need], *parts)

    @property
    def training(self) -> Training:
        """How the model is trained; asked for only where it is."""
        return loops.training_of(self.model)

    def examples(self, split: str, rows: Optional[int] = None) -> Tuple[List[np.ndarray], np.ndarray]:
        """Return inputs and labels of a split of the digits, as :func:`loops.examples`."""
        return loops.examples(self.model, self.digits, split, rows)

    @property
    def prefix(self) -> str:
        """Path of the inference model that the recipe writes, without its ending."""
        return self.path("inference_model", "model")

    @property
    def program(self) -> str:
        """Path of its program in the artifact, once it is written."""
        return os.path.relpath(program_file(self.prefix), self.out)

    @property
    def files(self) -> List[str]:
        """Relative paths of all that was written so far."""
        found = (os.path.join(parent, name) for parent, _, names in os.walk(self.out) for name in names)
        return sorted(os.path.relpath(path, self.out) for path in found)

    @property
    def exported(self) -> Dict[str, str]:
        """The float model that `jit` exported, by the arguments of the functions that quantize files."""
        folder = self.of("jit", "inference_model")
        return {
            "model_dir": folder,
            "model_filename": os.path.basename(program_file(os.path.join(folder, "model"))),
            "params_filename": "model.pdiparams",
        }


@dataclass(frozen=True)
class CompressionMethod:
    """One documented way to compress a model: a recipe with these parameters.

    ``technique`` is ``"qat"`` (quantization-aware training), ``"ptq"`` (post-training quantization with
    calibration), ``"weights"`` (quantization of weights only, no calibration) or ``"prune"``.
    ``graph`` is ``"static"`` or ``"dynamic"``. ``api`` names the call that compresses.
    ``models`` are the reference models it is tried on; the full tier adds ``full``. ``alike``:
    it does the same in either profile, so the quick tier tries it only in the run's profile.
    """

    name: str
    technique: str
    graph: str
    api: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    models: Tuple[str, ...] = ("lenet",)
    full: Tuple[str, ...] = ()
    alike: bool = False


def methods_of(
    technique: str, graph: str, api: str, prefix: str = "", full: Tuple[str, ...] = ()
) -> Callable[..., CompressionMethod]:
    """Return a function that makes methods of one kind.

    It takes the name without ``prefix``, the models and the recipe's parameters. ``full``: the models
    of the full tier where a method states none.
    """

    def method(
        name: str,
        models: Tuple[str, ...] = (),
        full: Tuple[str, ...] = full,
        alike: bool = False,
        **parameters: Any,
    ) -> CompressionMethod:
        return CompressionMethod(prefix + name, technique, graph, api, parameters, models, full, alike)

    return method


@dataclass(frozen=True)
class Recipe:
    name: str
    summary: str
    needs: Tuple[str, ...]
    make: Callable[[Job], Dict[str, Any]]
    graph: bool = True
    """Whether it writes a program; without one the artifact is the same in every profile, and made once."""
    methods: Tuple[CompressionMethod, ...] = ()
    needs_code: bool = False
    """Whether it builds the network, so that a deployed model, which has no code, has no such artifact."""
    deadlines: int = 1
    """How many deadlines its one call may take: one for each network that it trains."""


PLAIN = ("name", "summary", "graph", "needs_code", "deadlines")
"""Fields that cross to the controller as they are."""
_RECIPES: Dict[str, Recipe] = {}


def recipe(
    name: str,
    needs: Tuple[str, ...] = (),
    graph: bool = True,
    methods: Tuple[CompressionMethod, ...] = (),
    needs_code: bool = False,
    deadlines: int = 1,
) -> Callable[[Callable[[Job], Any]], Callable[[Job], Any]]:
    """Register a recipe.

    Args:
        needs: the recipes whose artifacts of the same model it reads.
        graph: whether it writes a program.
        methods: the ways to compress a model that it stands for (``docs/compression.md`` has what such a
            recipe writes).
        needs_code: whether it builds the network, which a deployed model has no code for.
        deadlines: how many networks it trains in its one call, where that is more than one.

    Raises:
        ValueError: another module has a recipe of this name.
    """

    def register(function: Callable[[Job], Dict[str, Any]]) -> Callable[[Job], Dict[str, Any]]:
        summary = (function.__doc__ or "").strip().splitlines()[0]
        known = _RECIPES.get(name)
        if known is not None and known.make.__module__ != function.__module__:
            raise ValueError(f"{known.make.__module__} and {function.__module__} have a recipe named {name}")
        _RECIPES[name] = Recipe(name, summary, needs, function, graph, methods, needs_code, deadlines)
        return function

    return register


def _all() -> Dict[str, Recipe]:
    for info in pkgutil.iter_modules(__path__):
        importlib.import_module(__name__ + "." + info.name)
    return _RECIPES


def catalog() -> List[Dict[str, Any]]:
    """Return every recipe in plain values."""
    return [
        {
            **{name: getattr(recipe, name) for name in PLAIN},
            "needs": list(recipe.needs),
            "module": recipe.make.__module__,
            "methods": [asdict(method) for method in recipe.methods],
        }
        for recipe in sorted(_all().values(), key=lambda recipe: recipe.name)
    ]


def produce(
    name: str,
    model: str,
    out: str,
    inputs: Mapping[str, str],
    digits: str,
    parameters: Mapping[str, Any],
) -> Dict[str, Any]:
    """Run a recipe in ``out`` (an existing empty folder); return its manifest values."""
    job = Job(networks.get(model), out, inputs, digits, parameters)
    return _all()[name].make(job)
