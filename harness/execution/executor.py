"""Executing artifacts on targets, and the references that outputs are compared with."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.artifacts.builder import ArtifactBuilder
from harness.checks import tolerance
from harness.core.choices import LEGACY_IR
from harness.core.errors import NotApplicable
from harness.pool.workers import Worker, WorkerSpec
from harness.targets.availability import described, unavailable
from harness.targets.target import Target, expanded

Feed = list[NDArray[Any]]
SEQUENCES = ("static", "predictor")
"""Runtimes that take sequences with their offsets (LoD)."""


class Execution(msgspec.Struct, frozen=True):
    """Result of executing an artifact on a target.

    ``outputs[feed][output]`` are arrays; ``describe`` is what the engine says it did;
    ``printed`` what the process printed during the call.
    """

    outputs: list[Feed]
    describe: dict[str, Any]
    load_ms: float
    printed: str = ""


class Executor:
    """Executes artifacts on targets.

    Args:
        builder: makes the artifacts; its environment is the one under test.
        targets: by name; those of custom devices are repeated for each device that Paddle reports.
    """

    def __init__(self, builder: ArtifactBuilder, targets: Mapping[str, Target]) -> None:
        self.builder = builder
        self.pool, self.models, self.environment = builder.pool, builder.models, builder.environment
        self.targets = expanded(targets, self.environment["paddle"]["custom_devices"])

    @property
    def paddle(self) -> str:
        """Paddle's version."""
        return self.builder.paddle

    @property
    def profile(self) -> str:
        """The builder's profile: ``"pir"`` or ``"legacy-ir"``."""
        return self.builder.profile

    def spec(self, target: Target | None = None, **env: str) -> WorkerSpec:
        """Return the worker specification of a target, with extra environment variables."""
        if target is None:
            return self.pool.default.with_env(env)
        # Where legacy IR is the only one, its switch would only start a second, equal process.
        already_set = LEGACY_IR if self.profile == "legacy-ir" and not target.interpreter else {}
        variables = {name: value for name, value in target.env.items() if name not in already_set}
        return self.pool.default.with_env({**variables, **env}).at(target.interpreter)

    def options(self, target: Target) -> dict[str, Any]:
        """Return the runtime's options: the target's, and the interpreter of its engine, if it needs one.

        Raises:
            NotApplicable: the engine's environment cannot be made here.
        """
        return {**target.options, **self.builder.engines.options(target.runtime)}

    def not_applicable(self, target: Target) -> str | None:
        """Return why the target cannot run in this environment, or None.

        Raises:
            HarnessError: its interpreter is on another host, and no Paddle answers there.
        """
        refusal = self.builder.engines.refusal(target.runtime)
        if refusal:
            return refusal
        full = msgspec.structs.replace(target, options=self.options(target))
        return unavailable(self.pool, full, self.targets.values(), self.environment, self.where(target))

    def where(self, target: Target) -> dict[str, Any]:
        """Describe the environment of a target with another interpreter; {} for one without.

        Raises:
            HarnessError: no Paddle answers there; the message says what to do.
        """
        interpreter = target.interpreter
        if interpreter and interpreter not in self._described:
            self._described[interpreter] = described(self.pool, interpreter)
        return self._described.get(interpreter, {})

    @functools.cached_property
    def _described(self) -> dict[str, dict[str, Any]]:
        return {}

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
        if target.interpreter and self.models[model].form:
            raise NotApplicable("models of your own stay on this machine: only the harness's files travel")
        in_sequences = self.models[model].form and self.builder.usable(model).in_sequences
        if in_sequences and target.runtime not in SEQUENCES:
            raise NotApplicable(f"{model} takes sequences (LoD), which {target.runtime} cannot be given")
        files = files or self.builder.files(target, model, layout)
        worker = worker or self.pool.warm(self.spec(target, **env))
        result = worker.call(
            "runtimes.execute",
            self.pool.deadline,
            runtime=target.runtime,
            files=dict(files),
            model=model,
            options=self.options(target),
            feeds=[list(feed) for feed in feeds],
        )
        return Execution(printed=worker.printed(), **result)

    def sample(self, model: str, batch: int, seed: int = 0) -> Feed:
        """Return one random feed of the model."""
        return self._sample(model, batch, seed)

    @functools.cache  # noqa: B019  an executor lives as long as its run
    def _sample(self, model: str, batch: int, seed: int) -> Feed:
        feed: Feed = self.pool.call("models.networks.sample", name=model, batch=batch, seed=seed)
        return feed

    def reference(self, model: str, feeds: Sequence[Feed], **options: Any) -> list[Feed]:
        """Return the outputs of the reference execution, with these options of its runtime.

        The reference is the network in dynamic graph (``dtype="float64"``: in that type). A deployed model
        has no code; its reference is the static executor's run of its program.
        """
        key = hashlib.sha256(repr((model, sorted(options.items()))).encode())
        for feed in feeds:
            for array in feed:
                key.update(str((array.dtype, array.shape)).encode())
                key.update(np.ascontiguousarray(array).tobytes())
        name = key.hexdigest()
        if name not in self._references:
            target = Target("reference", "dygraph", options)
            if self.models[model].form == "deployed":
                profile = self.builder.usable(model).profile
                target = Target("reference", "static", options, profile=profile)
            self._references[name] = self.execute(target, model, feeds).outputs
        return self._references[name]

    @functools.cached_property
    def _references(self) -> dict[str, list[Feed]]:
        return {}

    def oracle(self, model: str, feeds: Sequence[Feed]) -> list[Feed]:
        """Return what every execution is compared with: float64 outputs, or the reference if none exist."""
        return self.reference(model, feeds, **({"dtype": "float64"} if self._exact(model) else {}))

    def _exact(self, model: str) -> bool:
        return not self.models[model].form or self.builder.usable(model).exact

    def tolerances(
        self, model: str, feeds: Sequence[Feed], storage: str = "float32"
    ) -> list[tolerance.Tolerance]:
        """Return the tolerance of each output, pooled over the feeds.

        It is measured on the dynamic graph, compared with its float64 run. In two cases it is measured on
        runs of the reference with inputs and parameters moved by a rounding: there is no float64 run, or
        the storage is coarser and the model is a user's, whose code may have no layers to round outputs of.
        """
        if self._exact(model) and (storage == "float32" or not self.models[model].form):
            truth, multiple = self.oracle(model, feeds), tolerance.MULTIPLE
            measured = self.reference(model, feeds, **({} if storage == "float32" else {"storage": storage}))
        else:
            size, draws = tolerance.EPSILON[storage], range(tolerance.DRAWS)
            moved = [self.reference(model, feeds, perturb=size, draw=draw) for draw in draws]
            measured, multiple = [run for runs in moved for run in runs], tolerance.MOVED_MULTIPLE
            truth = self.reference(model, feeds) * len(moved)
            shapes, moved_to = ([[a.shape for a in run] for run in runs] for runs in (truth, measured))
            if shapes != moved_to:
                # A detector keeps one box more or less, say: what is right is then not one array.
                raise NotApplicable(
                    f"the shapes of {model}'s outputs change when inputs and parameters move by a "
                    f"rounding of {storage}, so no error of theirs can be stated"
                )
        return [
            tolerance.Tolerance([o[i] for o in measured], [o[i] for o in truth], storage, multiple)
            for i in range(len(truth[0]))
        ]


class Producer(msgspec.Struct, frozen=True):
    """An environment whose files another one loads: its short name and its executor."""

    name: str
    executor: Executor
