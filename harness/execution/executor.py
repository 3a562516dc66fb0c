"""The lab a run works in: executions of artifacts on targets, and what they are held against."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.artifacts.builder import Workshop
from harness.checks import tolerance
from harness.core.errors import NotApplicable
from harness.pool.workers import Worker
from harness.targets.target import Target

Feed = list[NDArray[Any]]


class Execution(msgspec.Struct, frozen=True):
    """What running an artifact on a target gave.

    ``outputs[feed][output]`` are arrays; ``describe`` is what the engine says it did;
    ``printed`` what the process printed meanwhile.
    """

    outputs: list[Feed]
    describe: dict[str, Any]
    load_ms: float
    printed: str = ""


class Lab(Workshop):
    """Executes artifacts on targets."""

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
        files = files or self.files(target, model, layout)
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
        """One random feed of the model."""
        return self._sample(model, batch, seed)

    @functools.cache  # noqa: B019  a lab lives as long as its run
    def _sample(self, model: str, batch: int, seed: int) -> Feed:
        feed: Feed = self.pool.call("models.networks.sample", name=model, batch=batch, seed=seed)
        return feed

    def reference(self, model: str, feeds: Sequence[Feed], **options: Any) -> list[Feed]:
        """Outputs of the plainest execution there is, with these options of its runtime.

        The network in dynamic graph (``dtype="float64"``: in that type); of a deployed model, which has
        no code, the static executor's run of its program.
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
                profile = self.usable(model).profile
                target = Target("reference", "static", options, profile=profile)
            self._references[name] = self.execute(target, model, feeds).outputs
        return self._references[name]

    @functools.cached_property
    def _references(self) -> dict[str, list[Feed]]:
        return {}

    def oracle(self, model: str, feeds: Sequence[Feed]) -> list[Feed]:
        """What every execution is held against: the float64 outputs, or the reference where none exist."""
        return self.reference(model, feeds, **({"dtype": "float64"} if self._exact(model) else {}))

    def _exact(self, model: str) -> bool:
        return not self.models[model].form or self.usable(model).exact

    def yardsticks(
        self, model: str, feeds: Sequence[Feed], storage: str = "float32"
    ) -> list[tolerance.Yardstick]:
        """For each output, what an execution may be wrong by, pooled over the feeds.

        Measured on the dynamic graph against its float64 run. Without one, and for a coarser storage
        of networks whose code need not be made of layers that could round their outputs, measured on
        runs of the reference with inputs and parameters moved by a rounding.
        """
        if self._exact(model) and (storage == "float32" or not self.models[model].form):
            truth, multiple = self.oracle(model, feeds), tolerance.MULTIPLE
            measured = self.reference(model, feeds, **({} if storage == "float32" else {"storage": storage}))
        else:
            size, draws = tolerance.EPSILON[storage], range(tolerance.DRAWS)
            moved = [self.reference(model, feeds, perturb=size, draw=draw) for draw in draws]
            measured, multiple = [run for runs in moved for run in runs], tolerance.MOVED_MULTIPLE
            truth = self.reference(model, feeds) * len(moved)
        return [
            tolerance.Yardstick([o[i] for o in measured], [o[i] for o in truth], storage, multiple)
            for i in range(len(truth[0]))
        ]


class Producer(msgspec.Struct, frozen=True):
    """An environment whose files another one loads: its short name, and its lab."""

    name: str
    lab: Lab
