"""Building artifacts with recipes, through the store, and choosing the files that a target reads."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.artifacts.failure_cache import FailureCache
from harness.artifacts.store import Artifact, Store
from harness.core.choices import LEGACY_IR, Limits
from harness.core.errors import NotApplicable
from harness.core.hashing import key_of
from harness.models.catalogue import MethodInfo, ModelInfo, RecipeInfo, converters, source_digest, user_info
from harness.models.files import UserModel, copy_deployed
from harness.models.first_run import FirstRun, FirstRuns
from harness.models.specification import unique
from harness.pool.workers import WorkerFailure, WorkerPool
from harness.targets.engines import Engines
from harness.targets.target import Target

AT_SIZE = 8
"""How many deadlines a recipe may take for a network of the full tier: training or pruning one at full
size is a single call."""


class ArtifactBuilder:
    """Builds artifacts in one environment under test and keeps them in a store.

    Args:
        pool: workers of the environment under test.
        store: where artifacts are kept, and which recipes are known to fail.
        digits: folder with the four idx-gz files; ``dataset`` describes them.
        user_models: user models, and the ``limits`` of their first run.
        retry_failed: try recipes that the failure cache knows to fail.

    Raises:
        HarnessError: a user model has the name of another model.
    """

    def __init__(
        self,
        pool: WorkerPool,
        store: Store,
        digits: Path,
        dataset: Mapping[str, Any],
        user_models: Sequence[UserModel] = (),
        limits: Limits | None = None,
        retry_failed: bool = False,
    ) -> None:
        self.pool = pool
        self.store = store
        self.failures = FailureCache(store.root, retry_failed)
        self.digits = digits
        self.dataset = dict(dataset)
        self.environment: dict[str, Any] = pool.call("protocol.environment.describe")
        self.models = {
            info["name"]: msgspec.convert(info, ModelInfo) for info in pool.call("models.networks.catalog")
        }
        self.recipes = {
            info["name"]: msgspec.convert(info, RecipeInfo) for info in pool.call("recipes.catalog")
        }
        self.engines = Engines(pool)
        self.first_runs = FirstRuns(pool, unique(user_models, self.models), limits or Limits())
        self.models.update({model.name: user_info(model) for model in user_models})

    @property
    def paddle(self) -> str:
        return str(self.environment["paddle"]["version"])

    @property
    def profile(self) -> str:
        """``"pir"`` or ``"legacy-ir"``: which IR the environment under test uses."""
        return str(self.environment["profile"])

    def usable(self, model: str) -> FirstRun:
        """Return the result of a user model's first run; run the model now unless it was run before."""
        found = self.first_runs.of(model)
        inputs = [(name, list(shape), dtype) for name, shape, dtype in found.inputs]
        self.models[model] = msgspec.structs.replace(
            self.models[model], inputs=inputs, outputs=list(found.outputs)
        )
        return found

    def refusal(self, model: str) -> str:
        """Return why a user model is refused here; '' for a usable one, and for reference models."""
        return self.usable(model).refusal if self.models[model].form else ""

    @functools.cached_property
    def methods(self) -> dict[str, MethodInfo]:
        """Every documented compression method, by its id: in the run's profile and in legacy IR."""
        found = [
            msgspec.structs.replace(method, recipe=recipe.name, profile=profile)
            for recipe in self.recipes.values()
            for profile in ("", "legacy-ir")
            for method in recipe.methods
        ]
        return {method.id: method for method in found}

    def compressed(self, method: MethodInfo, model: str) -> Artifact:
        """Return the artifact of a compression method for a model.

        Raises:
            NotApplicable: the method is for legacy IR, and the environment is in legacy-IR mode already.
            As :meth:`artifact`.
        """
        if method.profile == "legacy-ir" == self.profile:
            raise NotApplicable(
                f"Paddle {self.paddle} is in legacy-IR mode already, so the plain method is it"
            )
        return self.artifact(method.recipe, model, method.profile, **method.parameters)

    def artifact(self, recipe: str, model: str, profile: str = "", **parameters: Any) -> Artifact:
        """Return the artifact of a recipe for a model; make it now unless the store has it.

        Raises:
            WorkerFailure: the recipe (or one it needs) raised, crashed or hung.
            HarnessError: the store cannot be written.
            NotApplicable: it needs Python code, and the model is a deployed one.
        """
        known = self.recipes[recipe]
        if self.models[model].form == "deployed" and (recipe == "jit" or known.needs_code):
            return self._as_it_is(recipe, model)
        if not known.graph:
            profile = ""
        needs = {need: self.artifact(need, model, profile) for need in known.needs}
        origin = {
            "recipe": recipe,
            "model": model,
            "parameters": parameters,
            "needs": {name: artifact.manifest.key for name, artifact in needs.items()},
            "sources": self._sources(recipe, model),
            "paddle": {name: self.environment["paddle"][name] for name in ("version", "commit", "cuda")},
            "python": self.environment["python"],
            "numpy": self.environment["numpy"],
            "cpu": self.environment["cpu"]["model"],
            "profile": (profile or self.profile) if known.graph else "",
            "digits": self.dataset["digest"],
            **self.engines.origin(recipe),
        }
        env = LEGACY_IR if profile == "legacy-ir" != self.profile else {}
        spec = self.pool.default.with_env(env)
        if named := converters(known.module):
            origin["converters"] = {name: self.environment["installed"].get(name, "") for name in named}
        key = key_of(origin)
        if key not in self._failed:
            end = self.failures.recall(key)
            if end is not None:
                self._failed[key] = end
        if key in self._failed:
            raise self._failed[key]

        at_size = AT_SIZE if self.models[model].tier == "full" else 1

        def make(folder: Path) -> Mapping[str, Any]:
            values: dict[str, Any] = self.pool.call(
                "recipes.produce",
                spec=spec,
                deadline=self.pool.deadline * known.deadlines * at_size,
                name=recipe,
                model=model,
                out=str(folder),
                inputs={name: str(artifact.path) for name, artifact in needs.items()},
                digits=str(self.digits),
                parameters={**parameters, **self.engines.parameters(recipe)},
            )
            return values

        try:
            made = self.store.get_or_make(origin, make)
        except WorkerFailure as failure:
            # A recipe that stopped half-way can leave its process changed: after a failed export in
            # legacy-IR mode the next network's export met the first one's parameters.
            self.pool.discard(spec)
            # Else every consumer would fail in the same way, each at the cost of a new process.
            self._failed[key] = failure
            self.failures.note(key, failure)
            raise
        self.failures.forget(key)
        return made

    @functools.cached_property
    def _failed(self) -> dict[str, WorkerFailure]:
        return {}

    def _sources(self, recipe: str, model: str) -> str:
        form = self.models[model].form
        digest = source_digest(self.recipes[recipe].module, self.models[model].file, users=bool(form))
        return f"{digest}+{self.first_runs.digest(model)}" if form else digest

    def _as_it_is(self, recipe: str, model: str) -> Artifact:
        """Copy a deployed model's files: no environment made them, so they are the same for all."""
        if recipe != "jit":
            raise NotApplicable(
                f"{model} is deployed: it has no Python code that the recipe {recipe} could run"
            )
        user = self.first_runs.models[model]
        origin = {"recipe": "as it is", "model": model, "sources": self.first_runs.digest(model)}
        return self.store.get_or_make(origin, functools.partial(copy_deployed, user))

    def files(self, target: Target, model: str, layout: str = "combined") -> dict[str, str]:
        """Return the files that a target's runtime reads; make them if need be.

        ``layout``: ``"combined"`` or ``"separate"`` (document 002), or the recipe of another
        program in static graph mode (``"static"``, ``"normalized"``). A deployed model keeps its
        layout. A runtime that does not read Paddle's exports gets what its recipe converted.

        Raises:
            NotApplicable: the model has no such files.
        """
        if self.models[model].form == "deployed":
            as_it_is = self._deployed_files(target, model, layout)
            if as_it_is:
                return as_it_is
        if target.runtime == "dygraph":
            return {"params": self.artifact("checkpoint", model, target.profile).file("model.pdparams")}
        if self._converted.get(target.runtime):
            made = self.conversion(target, model)
            return {name: made.file(file) for name, file in made.values["files"].items()}
        if layout == "separate":
            folder = self.artifact("separate", model, target.profile).file("separate_persistables")
            return {"folder": folder, "program": "__model__"}
        recipe = "jit" if layout == "combined" else layout
        if recipe != "jit" and self.models[model].form:
            # A constructor called in static mode does other things than the user's ever does.
            raise NotApplicable(f"{model} is a model of yours, which is exported by jit.save alone")
        artifact = self.artifact(recipe, model, target.profile)
        program = Path(artifact.values["program"])
        if (
            target.options.get("in_memory")
            and "inference_model/model.pdiparams" not in artifact.manifest.files
        ):
            raise NotApplicable(f"{model} has no parameters, and so no file of them to be read from memory")
        return {
            "prefix": artifact.file("inference_model", "model"),
            "folder": artifact.file("inference_model"),
            "program": program.name,
            "params": "model.pdiparams"
            if target.runtime == "static"
            else artifact.file("inference_model", "model.pdiparams"),
            "model": artifact.file(str(program)),
        }

    def conversion(self, target: Target, model: str) -> Artifact:
        """Return the artifact converted for a runtime that does not read Paddle's exports.

        Raises:
            As :meth:`artifact`.
        """
        return self.artifact(self._converted[target.runtime], model, self._exported_in(target))

    def _exported_in(self, target: Target) -> str:
        """Return the profile whose export the target's runtime reads; '' for the run's."""
        profile = target.profile or self.engines.profile(target.runtime)
        return "" if profile == self.profile else profile

    def _deployed_files(self, target: Target, model: str, layout: str) -> dict[str, str]:
        """Return the files of a deployed model with a file per parameter; {} for combined parameters."""
        user = self.first_runs.models[model]
        if target.runtime == "dygraph":
            raise NotApplicable(f"{model} is deployed: it has no network for the dynamic graph")
        if user.path.endswith(".json") and self._exported_in(target) == "legacy-ir":
            raise NotApplicable(f"{model} is a .json program, which legacy IR does not read")
        if user.parameter_file:
            if layout == "separate":  # nobody deploys what the harness would have to save again
                raise NotApplicable(f"{model} has combined parameters, and no file for each")
            return {}
        if self._converted.get(target.runtime):
            raise NotApplicable(f"{model} has a file for each parameter: {target.name} needs combined ones")
        if layout not in ("combined", "separate") or target.options.get("in_memory"):
            raise NotApplicable(f"{model} has a file for each parameter, and no combined ones")
        program = Path(user.path).name
        return {"folder": self.artifact("jit", model).file("separate_persistables"), "program": program}

    @functools.cached_property
    def _converted(self) -> dict[str, str]:
        recipes: dict[str, str] = self.pool.call("runtimes.recipes")
        return recipes
