"""The first run of user models, once before any check: it finds out which an environment can run.

A model is refused in this environment, with the reason, if it cannot be loaded, does not answer in
time, takes too much memory, returns values that are not finite, or does not repeat its outputs. The
other models go on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.checks.tolerance import bitwise
from harness.core.choices import GIB, LEGACY_IR, Limits
from harness.core.types import RemoteFailure
from harness.models.files import UserModel, digest
from harness.models.specification import declaration
from harness.pool.workers import RemoteError, WorkerCrash, WorkerFailure, WorkerPool, WorkerSpec

OWN_TOTAL = "models of your own"
"""Key of the user models' total in a run's footer."""

APART = {"HARNESS_FIRST_RUNS": "1"}
"""Environment variables of the worker for first runs: what a model breaks there affects no other worker."""

PROCESS_GIB = 0.25
"""Memory that a worker takes without a model."""


class FirstRun(msgspec.Struct, frozen=True):
    """Result of a model's first run. If ``refusal`` is empty, the model is usable here.

    ``kind`` is the kind of refusal, for counting: ``not loaded``, ``crash``, ``timeout``, ``memory``,
    ``not finite``, ``empty``, ``not repeatable``. ``failure`` is set where a call did not return.
    ``profile``: the profile that loads a deployed program; ``exact``: whether a float64 run exists.
    ``batches``: batch sizes that run; ``batch_failure``: why another does not.
    """

    model: str
    refusal: str = ""
    kind: str = ""
    failure: WorkerFailure | None = None
    inputs: tuple[tuple[str, tuple[int | None, ...], str], ...] = ()
    outputs: tuple[str, ...] = ()
    runs: tuple[list[NDArray[Any]], ...] = ()
    profile: str = ""
    exact: bool = False
    batches: tuple[int, ...] = ()
    batch_failure: WorkerFailure | None = None
    rows: int = 0
    """Rows of the example inputs; 0 where the inputs are drawn."""
    sources: str = ""
    notes: tuple[str, ...] = ()

    @property
    def open_batch(self) -> bool:
        """Whether the stated inputs leave the batch size open."""
        return len(self.batches) > 1 or self.batch_failure is not None

    @property
    def in_sequences(self) -> bool:
        """Whether an input has sequences (LoD), whose offsets are an input of their own."""
        return any(name.endswith(".lod") for name, _, _ in self.inputs)

    @property
    def not_finite(self) -> int:
        """Number of values in the first run's outputs that are not finite."""
        return sum(int((~np.isfinite(a)).sum()) for a in self.runs[0] if a.dtype.kind in "fc")


class FirstRuns:
    """Runs each model for the first time, once, when it is first asked for.

    Args:
        pool: workers of the environment under test; each of them is given the models and the memory
            limit.
    """

    def __init__(self, pool: WorkerPool, models: Sequence[UserModel], limits: Limits) -> None:
        self.pool = pool
        self.limits = limits
        self.models = {model.name: model for model in models}
        self._found: dict[str, FirstRun] = {}
        if models:
            # A path below the logs: what is generated for a model stays with its run.
            scratch = str((pool.logs / "wrappers").absolute())
            for model in models:
                pool.guests.models[model.name] = {**declaration(model), "scratch": scratch}
            pool.guests.memory = int((limits.gib + PROCESS_GIB) * GIB)

    @property
    def done(self) -> list[FirstRun]:
        """Results so far."""
        return list(self._found.values())

    def of(self, name: str) -> FirstRun:
        """Return the result of the model's first run; run it now unless it was run before."""
        if name not in self._found:
            self._found[name] = self._run(self.models[name])
        return self._found[name]

    def digest(self, name: str) -> str:
        """Hash the model's files, with those that its Python file imported."""
        return self.of(name).sources or digest(self.models[name].files)

    def _run(self, model: UserModel) -> FirstRun:
        try:
            deployed = model.form == "deployed"
            found = self._deployed(model) if deployed else self._examine(model, self._spec())
        except WorkerFailure as failure:
            return _refused(model, failure)
        if found.not_finite:
            what = f"{found.not_finite} of its outputs' values are not finite for the first inputs drawn"
            return msgspec.structs.replace(found, refusal=what, kind="not finite")
        if not sum(output.size for output in found.runs[0]):
            what = "all its outputs are empty for the first inputs drawn: give others with inputs= or spec="
            return msgspec.structs.replace(found, refusal=what, kind="empty")
        if not all(bitwise("", b, a, empty_ok=True).ok for a, b in zip(*found.runs, strict=True)):
            what = "it does not repeat its outputs for the same inputs: it draws random numbers, say"
            return msgspec.structs.replace(found, refusal=what, kind="not repeatable")
        return found

    def _deployed(self, model: UserModel) -> FirstRun:
        """Run the model in the profile that reads its program: the new IR does not load a ``.pdmodel``."""
        try:
            return self._examine(model, self._spec())
        except RemoteError as failure:
            first = failure
        profile = self.pool.call("protocol.environment.describe")["profile"]
        if profile != "pir" or model.path.endswith(".json"):
            raise first
        # What the new IR says of a .pdmodel is the same of every one, so what this one says is the reason.
        found = self._examine(model, self._spec(**LEGACY_IR), "legacy-ir")
        note = f"its reference is of legacy IR, since without it load_inference_model says {first.sentence}"
        return msgspec.structs.replace(found, notes=(note, *found.notes))

    def _examine(self, model: UserModel, spec: WorkerSpec, profile: str = "") -> FirstRun:
        name = model.name
        if model.form == "deployed":
            self._declare(name, feeds=self._call("feeds", spec, name))
        needed = self._call("needs", spec, name) / GIB
        if needed > self.limits.gib:
            text = f"parameters and inputs alone take {needed:.3g} GiB of {self.limits.gib:.3g}"
            raise RemoteError("needs", RemoteFailure("memory", text))
        ran = self._call("run", spec, name)
        self._declare(name, outputs=ran["outputs"])
        found = FirstRun(
            model=name,
            inputs=tuple((n, tuple(shape), dtype) for n, shape, dtype in ran["inputs"]),
            outputs=tuple(ran["outputs"]),
            runs=tuple(ran["runs"]),
            profile=profile,
            batches=(1,),
            rows=ran["rows"],
            sources=digest([*model.files, *map(Path, ran["files"])]),
        )
        found = self._other_batch(found, spec)
        return found if model.form == "deployed" else self._oracle(found, spec)

    def _other_batch(self, found: FirstRun, spec: WorkerSpec) -> FirstRun:
        """Try another batch size where the inputs leave it open; a model that fails runs at batch 1 only."""
        if not any(shape and shape[0] is None for _, shape, _ in found.inputs):
            return found
        try:
            rows = self._call("other_batch", spec, found.model)
        except WorkerFailure as failure:
            given = self.pool.guests.models[found.model]
            fixed = [
                {"name": name, "dtype": None, "shape": [1, *shape[1:]], "low": None, "high": None}
                for name, shape, _ in found.inputs
                if shape and shape[0] is None and not found.in_sequences
            ]
            self._declare(found.model, spec=[*given["spec"], *fixed])
            inputs = tuple(
                (name, (1, *shape[1:]) if shape and shape[0] is None else shape, dtype)
                for name, shape, dtype in found.inputs
            )
            return msgspec.structs.replace(found, inputs=inputs, batch_failure=failure)
        return msgspec.structs.replace(found, batches=(1, rows))

    def _oracle(self, found: FirstRun, spec: WorkerSpec) -> FirstRun:
        """Find out whether the network runs in float64 throughout: one that uses float32 is no oracle."""
        try:
            dtypes = self._call("float64", spec, found.model)
        except WorkerFailure as failure:
            reason = failure.sentence
        else:
            if set(dtypes) <= {"float64"}:
                return msgspec.structs.replace(found, exact=True)
            reason = f"its outputs stay {', '.join(dtypes)}"
        note = f"no float64 oracle, so tolerances come of inputs and parameters moved by a rounding: {reason}"
        return msgspec.structs.replace(found, notes=(*found.notes, note))

    def _declare(self, name: str, **more: Any) -> None:
        guests = self.pool.guests.models
        guests[name] = {**guests[name], **more}

    def _spec(self, **env: str) -> WorkerSpec:
        return self.pool.default.with_env({**APART, **env})

    def _call(self, function: str, spec: WorkerSpec, name: str) -> Any:
        try:
            return self.pool.call(
                f"checks.first_run.{function}", spec=spec, deadline=self.limits.seconds, name=name
            )
        except WorkerFailure:
            if function == "run":
                # A model that stopped half-way can leave its process changed.
                self.pool.discard(spec)
            raise


def _refused(model: UserModel, failure: WorkerFailure) -> FirstRun:
    kind = {"error": "not loaded"}.get(failure.outcome, failure.outcome)
    memory = failure.failure.type in ("memory", "MemoryError") or (
        isinstance(failure, WorkerCrash) and "bad_alloc" in failure.failure.log_tail
    )
    return FirstRun(
        model=model.name, refusal=failure.sentence, kind="memory" if memory else kind, failure=failure
    )


def total(results: Collection[str]) -> str:
    """Count the usable models (''), and the refused ones by kind of refusal, in a sentence."""
    kinds = [kind for kind in results if kind]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    usable = f"{len(results) - len(kinds)} of {len(results)} models of your own are usable here"
    return f"{usable}; refused: {counted}" if kinds else usable
