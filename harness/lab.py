"""The lab a run works in: workers, store, models, targets, and the executions they make."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness import compare
from harness.artifacts import Artifact, Store, key_of
from harness.targets import LEGACY_IR, Target
from harness.workers import ROOT, Worker, WorkerFailure, WorkerPool, WorkerSpec

Feed = list[NDArray[Any]]


class ModelInfo(msgspec.Struct, frozen=True):
    """A reference model as its worker describes it."""

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


class RecipeInfo(msgspec.Struct, frozen=True):
    """A recipe as its worker describes it."""

    name: str
    summary: str
    needs: list[str]
    graph: bool


class Execution(msgspec.Struct, frozen=True):
    """What running an artifact on a target gave.

    ``outputs[feed][output]`` are arrays; ``describe`` is what the engine says it did;
    ``printed`` what the process printed meanwhile.
    """

    outputs: list[Feed]
    describe: dict[str, Any]
    load_ms: float
    printed: str = ""


class Lab:
    """Makes artifacts through the store and executes them on targets.

    Args:
        pool: workers of the environment under test.
        profile_env: environment variables of the chosen profile for the whole run.
        digits: folder with the four idx-gz files; ``dataset`` says what they are.
    """

    def __init__(
        self,
        pool: WorkerPool,
        store: Store,
        targets: Mapping[str, Target],
        digits: Path,
        dataset: Mapping[str, Any],
    ) -> None:
        self.pool = pool
        self.store = store
        self.targets = dict(targets)
        self.digits = digits
        self.dataset = dict(dataset)
        self.environment: dict[str, Any] = pool.call("environment.describe")
        self.models = {info["name"]: msgspec.convert(info, ModelInfo) for info in pool.call("models.catalog")}
        self.recipes = {
            info["name"]: msgspec.convert(info, RecipeInfo) for info in pool.call("recipes.catalog")
        }

    @property
    def paddle(self) -> str:
        return str(self.environment["paddle"]["version"])

    @property
    def profile(self) -> str:
        """``"pir"`` or ``"legacy-ir"``: which IR the environment under test uses."""
        return str(self.environment["profile"])

    def spec(self, target: Target | None = None, **env: str) -> WorkerSpec:
        """The worker a target wants, with extra environment variables."""
        return self.pool.default.with_env({**(target.env if target else {}), **env})

    def not_applicable(self, target: Target) -> str | None:
        """Why the target cannot run in this environment, or None."""
        if target.profile == "legacy-ir" and self.profile == "legacy-ir":
            return f"Paddle {self.paddle} runs in legacy-IR mode already: the plain target is this one"
        reason = self.pool.call("runtimes.available", runtime=target.runtime, options=target.options)
        return None if reason is None else str(reason)

    # Artifacts

    def artifact(self, recipe: str, model: str, profile: str = "", **parameters: Any) -> Artifact:
        """The artifact of a recipe for a model, made now unless the store has it.

        Raises:
            WorkerFailure: the recipe (or one it needs) raised, crashed or hung.
            HarnessError: the store cannot be written.
        """
        if not self.recipes[recipe].graph:
            profile = ""
        needs = {need: self.artifact(need, model, profile) for need in self.recipes[recipe].needs}
        origin = {
            "recipe": recipe,
            "model": model,
            "parameters": parameters,
            "needs": {name: artifact.manifest.key for name, artifact in needs.items()},
            "sources": source_digest(self.models[model].file),
            "paddle": {name: self.environment["paddle"][name] for name in ("version", "commit", "cuda")},
            "python": self.environment["python"],
            "numpy": self.environment["numpy"],
            "cpu": self.environment["cpu"]["model"],
            "profile": (profile or self.profile) if self.recipes[recipe].graph else "",
            "digits": self.dataset["digest"],
        }
        env = LEGACY_IR if profile == "legacy-ir" else {}
        spec = self.pool.default.with_env(env)
        key = key_of(origin)
        if key in self._failed:
            raise self._failed[key]

        def make(folder: Path) -> Mapping[str, Any]:
            values: dict[str, Any] = self.pool.call(
                "recipes.produce",
                spec=spec,
                name=recipe,
                model=model,
                out=str(folder),
                inputs={name: str(artifact.path) for name, artifact in needs.items()},
                digits=str(self.digits),
                parameters=parameters,
            )
            return values

        try:
            return self.store.get_or_make(origin, make)
        except WorkerFailure as failure:
            # A recipe that stopped half-way can leave its process changed: after a failed export in
            # legacy-IR mode the next network's export met the first one's parameters.
            self.pool.discard(spec)
            # Every consumer would meet the same end again, each at the cost of a new process.
            self._failed[key] = failure
            raise

    @functools.cached_property
    def _failed(self) -> dict[str, WorkerFailure]:
        return {}

    def files(self, target: Target, model: str, layout: str = "combined") -> dict[str, str]:
        """The files a target's runtime reads, made if need be.

        ``layout``: ``"combined"`` or ``"separate"`` (document 002), or the recipe of another
        program in static graph mode (``"static"``, ``"normalized"``).
        """
        if target.runtime == "dygraph":
            return {"params": self.artifact("checkpoint", model, target.profile).file("model.pdparams")}
        if layout == "separate":
            folder = self.artifact("separate", model, target.profile).file("separate_persistables")
            return {"folder": folder, "program": "__model__"}
        recipe = "jit" if layout == "combined" else layout
        artifact = self.artifact(recipe, model, target.profile)
        program = Path(artifact.values["program"])
        return {
            "prefix": artifact.file("inference_model", "model"),
            "folder": artifact.file("inference_model"),
            "program": program.name,
            "params": "model.pdiparams"
            if target.runtime == "static"
            else artifact.file("inference_model", "model.pdiparams"),
            "model": artifact.file(str(program)),
        }

    # Executions

    def execute(
        self,
        target: Target,
        model: str,
        feeds: Sequence[Feed],
        layout: str = "combined",
        files: Mapping[str, str] | None = None,
        worker: Worker | None = None,
        **env: str,
    ) -> Execution:
        """Run the feeds one after the other in one session of the target.

        Raises:
            WorkerFailure: loading or running raised, crashed or hung.
        """
        files = files or self.files(target, model, layout)
        worker = worker or self.pool.warm(self.spec(target, **env))
        result = worker.call(
            "runtimes.execute",
            self.pool.deadline,
            runtime=target.runtime,
            files=dict(files),
            model=model,
            options=target.options,
            feeds=[list(feed) for feed in feeds],
        )
        return Execution(printed=worker.printed(), **result)

    def sample(self, model: str, batch: int, seed: int = 0) -> Feed:
        """One random feed of the model."""
        return self._sample(model, batch, seed)

    @functools.cache  # noqa: B019  a lab lives as long as its run
    def _sample(self, model: str, batch: int, seed: int) -> Feed:
        feed: Feed = self.pool.call("models.sample", name=model, batch=batch, seed=seed)
        return feed

    def reference(self, model: str, feeds: Sequence[Feed], **options: Any) -> list[Feed]:
        """Outputs of the dynamic graph with these options (``dtype="float64"``: the oracle)."""
        key = hashlib.sha256(repr((model, sorted(options.items()))).encode())
        for feed in feeds:
            for array in feed:
                key.update(str((array.dtype, array.shape)).encode())
                key.update(np.ascontiguousarray(array).tobytes())
        name = key.hexdigest()
        if name not in self._references:
            target = Target("reference", "dygraph", options)
            self._references[name] = self.execute(target, model, feeds).outputs
        return self._references[name]

    @functools.cached_property
    def _references(self) -> dict[str, list[Feed]]:
        return {}

    def oracle(self, model: str, feeds: Sequence[Feed]) -> list[Feed]:
        """The float64 outputs: what every execution is held against."""
        return self.reference(model, feeds, dtype="float64")

    def yardsticks(
        self, model: str, feeds: Sequence[Feed], storage: str = "float32"
    ) -> list[compare.Yardstick]:
        """For each output, what an execution may be wrong by, pooled over the feeds."""
        oracle = self.oracle(model, feeds)
        options = {} if storage == "float32" else {"storage": storage}
        measured = self.reference(model, feeds, **options)
        return [
            compare.Yardstick([o[i] for o in measured], [o[i] for o in oracle], storage)
            for i in range(len(oracle[0]))
        ]


@functools.cache
def source_digest(model_file: str) -> str:
    """Hash of the sources an artifact depends on: recipes, what they share, the model's file."""
    worker = ROOT / "harness" / "worker"
    shared = ("digits", "model", "models", "programs", "server", "training")
    files = [*(worker / f"{name}.py" for name in shared), *sorted((worker / "recipes").glob("*.py"))]
    digest = hashlib.sha256()
    for file in [*files, ROOT / "reference_models" / model_file]:
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
