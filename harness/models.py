"""What the near side knows of models and recipes: as their worker describes them, and by their sources."""

from __future__ import annotations

import functools
import hashlib

import msgspec

from harness.model_files import UserModel
from harness.workers import ROOT


class ModelInfo(msgspec.Struct, frozen=True):
    """A model as its worker describes it; one of the user's has a ``form``, and no inputs before it ran."""

    name: str
    summary: str
    document: str
    tier: str
    role: str
    inputs: list[tuple[str, list[int | None], str]]
    outputs: list[str]
    trained: bool
    converted: bool
    accuracy: float | None
    file: str
    form: str = ""


class RecipeInfo(msgspec.Struct, frozen=True):
    """A recipe as its worker describes it."""

    name: str
    summary: str
    needs: list[str]
    graph: bool


def user_info(model: UserModel) -> ModelInfo:
    """A model of the user's before it was run."""
    return ModelInfo(
        name=model.name,
        summary=f"{model.form}: {model.path}",
        document="",
        tier="quick",
        role="conformance",
        inputs=[],
        outputs=[],
        trained=False,
        converted=model.form != "deployed",
        accuracy=None,
        file="",
        form=model.form,
    )


@functools.cache
def source_digest(model_file: str, users: bool = False) -> str:
    """Hash of the sources an artifact depends on: recipes, what they share, the model's file.

    ``users``: what makes the user's models of their files counts too.
    """
    worker = ROOT / "harness" / "worker"
    shared = ("digits", "model", "models", "programs", "server", "training")
    files = [*(worker / f"{name}.py" for name in shared), *sorted((worker / "recipes").glob("*.py"))]
    files += sorted((worker / "user_models").glob("*.py")) if users else []
    digest = hashlib.sha256()
    for file in [*files, *([ROOT / "reference_models" / model_file] if model_file else [])]:
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
