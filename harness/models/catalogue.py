"""What the controller knows about models and recipes: a worker's descriptions, and hashes of the sources."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import msgspec

from harness.core.extensions import name_of, places
from harness.core.paths import ROOT
from harness.models.files import UserModel


class ModelInfo(msgspec.Struct, frozen=True):
    """A model as a worker describes it; a user model has a ``form``, and no inputs before its first run."""

    name: str
    summary: str
    document: str = ""
    tier: str = "quick"
    role: str = "conformance"
    inputs: list[tuple[str, list[int | None], str]] = []
    outputs: list[str] = []
    trained: bool = False
    converted: bool = False
    accuracy: float | None = None
    file: str = ""
    form: str = ""


TECHNIQUES = ("qat", "ptq", "weights", "prune")
"""Quantization-aware training, post-training quantization, weights alone, pruning."""


class MethodInfo(msgspec.Struct, frozen=True):
    """A documented compression method, as its recipe declares it (``harness/worker/recipes``).

    ``profile``: ``""`` for the run's, or ``"legacy-ir"``.
    """

    name: str
    technique: str
    graph: str
    api: str
    parameters: dict[str, Any]
    models: list[str]
    full: list[str]
    alike: bool = False
    recipe: str = ""
    profile: str = ""

    @property
    def id(self) -> str:
        """Name in case ids; a profile comes last, as in the names of targets."""
        return f"{self.name}-{self.profile}" if self.profile else self.name

    @property
    def quantizes(self) -> bool:
        return self.technique != "prune"


class RecipeInfo(msgspec.Struct, frozen=True):
    """A recipe as a worker describes it; ``module`` is the worker's module that contains it."""

    name: str
    summary: str
    needs: list[str]
    graph: bool
    module: str
    methods: list[MethodInfo]
    needs_code: bool
    """Whether it builds the network, which a deployed model has no code for."""
    deadlines: int
    """How many deadlines its one call may take."""


def user_info(model: UserModel) -> ModelInfo:
    """Describe a user model before its first run."""
    summary = f"{model.form}: {model.path}"
    return ModelInfo(model.name, summary, converted=model.form != "deployed", form=model.form)


@functools.cache
def source_digest(module: str, model_file: str, users: bool = False) -> str:
    """Hash the sources an artifact depends on: its recipe's module with all imports, and the model's file.

    ``users``: whether to add the code that builds user models from their files.
    """
    files = {*_imported(module), *_imported("harness.worker.protocol.server")}
    if users:
        files.update((ROOT / "harness" / "worker" / "models" / "user").glob("*.py"))
    if model_file:
        files.add(model_source(model_file))
    digest = hashlib.sha256()
    for name, file in sorted((name_of(file), file) for file in files):
        digest.update(name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def model_source(name: str) -> Path:
    """The file of a reference model, which an extension may have."""
    found = (folder / name for folder in places("reference_models"))
    return next(file for file in found if file.is_file())


@functools.cache
def _imported(module: str) -> frozenset[Path]:
    """Return the files of a worker's module and of all worker modules it imports, directly or indirectly."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if file is None or file in found:
            continue
        found.add(file)
        if file.name == "__init__.py":
            found.update(file.parent.glob("configs/*.yaml"))
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                package = name if file.name == "__init__.py" else name.rpartition(".")[0]
                origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                if origin.startswith("harness.worker"):
                    waiting += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names if alias.name.startswith("harness.worker")]
    return frozenset(found)


CONVERTERS = {"paddle2onnx": ("paddle2onnx", "polygraphy", "onnx-graphsurgeon")}
"""Modules other than Paddle that write a recipe's files, and the distributions that decide what is written:
paddle2onnx folds constants with Polygraphy if GraphSurgeon is installed."""


@functools.cache
def converters(module: str) -> tuple[str, ...]:
    """Return the distributions, except Paddle's, whose versions an artifact of this module depends on."""
    sources = [file.read_text() for file in sorted(_imported(module))]
    used = [name for name in CONVERTERS if any(f"import {name}" in source for source in sources)]
    return tuple(distribution for name in used for distribution in CONVERTERS[name])


def _file(module: str) -> Path | None:
    """The file of a module, or None where the name is of something inside one."""
    inner = module.split(".")[2:]
    paths = [folder.joinpath(*inner) for folder in places("worker")]
    found = (file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py"))
    return next((file for file in found if file.is_file()), None)
