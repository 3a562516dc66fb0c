"""A compressed model and the float model it was made from, on the same test digits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.artifacts.store import Artifact
from harness.checks import non_inferiority
from harness.checks.case import Case
from harness.core import statistics
from harness.core.errors import NotApplicable
from harness.execution.executor import Execution, Executor
from harness.models.catalogue import MethodInfo
from harness.plugin.session import RunSession
from harness.pool.workers import RemoteError, WorkerSpec
from harness.targets.target import Target
from suites.support.logits import distance, logits

T = TypeVar("T")

PLAIN = "predictor-no-onednn"
"""The target that runs a program operator by operator, its quantizers included. It computes what the
program says; no int8 kernel interprets it."""

ONEDNN, INT8 = "predictor-onednn", "predictor-int8"
"""Targets that latencies are compared on: the engine that has int8 kernels, without and with them."""

ABSENT = ["prior_box"]
"""Operator types that oneDNN has int8 kernels for and that no network here has. With int8 for these alone,
its passes remove the quantizers, and every layer runs in float32 on the weights as the passes read them."""

OPERATORS = {"Conv2D": ("conv2d", "depthwise_conv2d"), "Linear": ("matmul_v2", "mul", "matmul")}
"""Operators that a layer type becomes in a program."""

MULTIPLIERS = frozenset(kind for kinds in OPERATORS.values() for kind in kinds)
"""Operators in which a layer of any type multiplies."""

HELD = 64
"""Number of test digits whose logits a recipe keeps from before the export."""

CALIBRATION = (32, 8)
"""Batch size and number of batches that recipes calibrate on: the first training digits."""


BATCH = 250
TIMED, BLOCKS = 32, 12
"""Rows of a timed run, and blocks of three runs each."""


class Subject:
    """One model compressed by one method, and what a check asks of it.

    Raises:
        WorkerFailure: the method raised, crashed or hung.
        NotApplicable: the method is for legacy IR, and the environment already uses legacy IR.
    """

    def __init__(
        self, case: Case, executor: Executor, run: RunSession, model: str, method: MethodInfo
    ) -> None:
        self.case, self.executor, self.model, self.method = case, executor, model, method
        self.facts: dict[str, Any] = {
            "technique": method.technique,
            "graph": method.graph,
            "api": method.api,
            "profile": method.profile or executor.profile,
        }
        # Before anything is made: the page's table needs a row for a method that failed.
        case.measures["compression"] = self.facts
        self.memo = run.memo
        self.images = run.options.accuracy_samples
        self.bound = run.options.accuracy_bound
        self.artifact: Artifact = executor.builder.compressed(method, model)
        self.values = self.artifact.values

    def target(self, name: str) -> Target:
        """Return a target of the executor, in the method's profile."""
        return msgspec.structs.replace(self.executor.targets[name], profile=self.method.profile)

    def files(self, folder: str = "inference_model") -> dict[str, str]:
        """Return program and parameters of the deployable model, as every runtime takes them."""
        return {
            "prefix": self.artifact.file(folder, "model"),
            "folder": self.artifact.file(folder),
            "program": (program := Path(self.values["program"]).name),
            "model": self.artifact.file(folder, program),
            "params": self.artifact.file(folder, "model.pdiparams"),
        }

    def readable(self, target: Target) -> Target:
        """Return the target in a profile that can load the program: a ``.pdmodel`` needs legacy IR."""
        legacy = self.values["program"].endswith(".pdmodel") and self.executor.profile != "legacy-ir"
        return msgspec.structs.replace(target, profile="legacy-ir" if legacy else "")

    @property
    def reader(self) -> WorkerSpec:
        """The worker that can load the program."""
        return self.executor.spec(self.readable(self.executor.targets["static"]))

    def stored(self) -> dict[str, Any]:
        """Return the arguments of :mod:`harness.worker.inspection.compressed`: the files and the bits."""
        return {
            "folder": self.artifact.file("inference_model"),
            "program": Path(self.values["program"]).name,
            "params": "model.pdiparams",
            "bits": self.values.get("bits", 8),
        }

    @property
    def quantizable(self) -> set[str]:
        """Operators whose weights should be quantized; a recipe may name them by their layers."""
        asked: list[str] = self.values["quantizable"]
        return {operator for name in asked for operator in OPERATORS.get(name, (name,))}

    def inspect(self) -> dict[str, Any]:
        """Return what the program holds, read from its files."""
        found: dict[str, Any] = self.executor.pool.call(
            "inspection.compressed.inspect", spec=self.reader, **self.stored()
        )
        return found

    def digits(self) -> tuple[list[list[NDArray[Any]]], NDArray[Any]]:
        """Return the test digits in batches as feeds, and all labels.

        Raises:
            NotApplicable: the network is not trained on digits.
        """
        if not self.executor.models[self.model].trained:
            raise NotApplicable(f"{self.model} is not trained here, so it recognises no digits")

        def read() -> tuple[list[list[NDArray[Any]]], NDArray[Any]]:
            found = self.executor.pool.call(
                "training.loops.test_examples",
                model=self.model,
                digits=str(self.executor.builder.digits),
                limit=self.images,
            )
            rows = range(0, len(found["labels"]), BATCH)
            feeds = [[array[start : start + BATCH] for array in found["feed"]] for start in rows]
            return feeds, found["labels"]

        return self._once(f"digits {self.model}", read)

    def few(self, feeds: int) -> list[list[NDArray[Any]]]:
        """Return feeds of :data:`HELD` test digits each; the recipe kept the logits of the first feed.

        For a network that is not trained: the few random examples that the recipe kept, then others.
        """
        if not self.executor.models[self.model].trained:
            kept = self.arrays("compressed.npz")["feed"]
            return [[kept], *(self.executor.sample(self.model, len(kept), i) for i in range(1, feeds))]
        (batch, *_), _ = self.digits()
        return [[array[i * HELD : (i + 1) * HELD] for array in batch] for i in range(feeds)]

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a file that the recipe kept, by name."""
        found: dict[str, NDArray[Any]] = self.executor.pool.call(
            "checks.simulation.arrays", path=self.artifact.file(name)
        )
        return found

    def ranges(self) -> list[dict[str, Any]]:
        """Return the range of each layer's input in the float network, on the calibration's digits.

        Raises:
            NotApplicable: the network is not trained on digits.
        """
        if not self.executor.models[self.model].trained:
            raise NotApplicable(f"{self.model} is not trained here, so digits cannot calibrate it")
        weights = self.executor.builder.artifact("checkpoint", self.model).file("model.pdparams")
        return self._once(
            f"ranges {weights}",
            lambda: self.executor.pool.call(
                "checks.simulation.ranges",
                model=self.model,
                weights=weights,
                digits=str(self.executor.builder.digits),
                batch=CALIBRATION[0],
                batches=CALIBRATION[1],
            ),
        )

    def step_errors(self) -> list[dict[str, Any]]:
        """Return how far each rounded weight is from its float one, in steps.

        Empty where the weights were trained or fused with a BatchNorm: the same names are then other weights.
        """
        fused = self.method.parameters.get("optimize_model", False)
        if self.method.technique == "qat" or fused or not self.values.get("nearest", True):
            return []
        exported = self.executor.builder.artifact("jit", self.model, self.method.profile)
        float_files = {
            "folder": exported.file("inference_model"),
            "program": Path(exported.values["program"]).name,
            "params": "model.pdiparams",
        }
        found: list[dict[str, Any]] = self.executor.pool.call(
            "checks.simulation.step_errors", spec=self.reader, float_files=float_files, **self.stored()
        )
        return found

    def run(self, target: Target, feeds: list[list[NDArray[Any]]], **more: Any) -> Execution:
        """Run the deployable model on a target."""
        return self.executor.execute(target, self.model, feeds, files=self.files(), **more)

    def simulated(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """Return the program's logits on the feeds, ``[n, classes]``; several checks compare with them."""
        return self._once(
            f"simulated {self.artifact.manifest.key}",
            lambda: logits(self.run(self.target(PLAIN), feeds).outputs),
        )

    def _once(self, key: str, compute: Callable[[], T]) -> T:
        """Return what another check of the run has computed; compute it now if none has."""
        if key not in self.memo:
            self.memo[key] = compute()
        found: T = self.memo[key]
        return found

    def before(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """Return the logits of the float network in dynamic graph, ``[n, classes]``."""
        return logits(self.executor.reference(self.model, feeds))

    def narrowed(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """Return the logits of the pruning control, trained without PaddleSlim, ``[n, classes]``."""
        found: list[NDArray[Any]] = self.executor.pool.call(
            "training.pruning_control.logits",
            model=self.model,
            pruned=self.artifact.file("pruned.npz"),
            digits=str(self.executor.builder.digits),
            feeds=feeds,
        )
        return np.concatenate(found)

    def quantization_error(self, feeds: list[list[NDArray[Any]]], quantized: NDArray[Any]) -> float:
        """Return the RMS change of the logits by quantization; other errors are given in this unit.

        Compared with the float network that has the program's weights, so that a change by training is no
        error. Where only weights are quantized, or layers were fused and the program has other
        parameters: compared with the network before.
        """
        if self.method.technique == "weights":
            return distance(quantized, self.before(feeds))
        return distance(quantized, self.own_weights(feeds))

    def own_weights(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """Return :meth:`unfused`; where layers were fused, the logits of the network before."""
        try:
            return self.unfused(feeds)
        except LookupError:
            return self.before(feeds)

    def unfused(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """Return the logits of the float network with the program's weights.

        Raises:
            LookupError: layers were fused, so the program has other weights.
        """

        def compute() -> NDArray[Any] | None:
            try:
                found = self.executor.pool.call(
                    "checks.simulation.simulate",
                    spec=self.reader,
                    model=self.model,
                    feeds=feeds,
                    **self.stored(),
                )
            except RemoteError as error:
                if error.failure.type != "LookupError":
                    raise
                return None
            return np.concatenate(found)

        digest = hashlib.sha256(b"".join(array.tobytes() for feed in feeds for array in feed)).hexdigest()
        found = self._once(f"own weights {self.artifact.manifest.key} {digest}", compute)
        if found is None:
            raise LookupError(f"{self.method.id} fused layers of {self.model}")
        return found

    def latency(self, target: Target) -> dict[str, Any]:
        """Return time and memory of the compressed model over the float one's, both on oneDNN in one session.

        The float export and the compressed model take turns in one process. Each block gives a ratio; the
        interval is that of the blocks' median at 99 %.
        """
        executor, pool = self.executor, self.executor.pool
        exported = executor.builder.files(self.target(ONEDNN), self.model)
        worker = pool.warm(executor.spec(target))
        feed = [array[:TIMED] for array in self.few(1)[0]]
        sessions, memory = [], []
        try:
            for files, where in ((exported, self.target(ONEDNN)), (self.files(), target)):
                base = worker.call("checks.timing.reset_peak", pool.deadline)["now_mib"]
                opened = worker.call(
                    "runtimes.open_session",
                    pool.deadline,
                    runtime=where.runtime,
                    files=files,
                    model=self.model,
                    options=where.options,
                )
                sessions.append(opened["session"])
                worker.call("checks.timing.block", pool.deadline, session=sessions[-1], feed=feed, runs=3)
                memory.append(worker.call("checks.timing.memory", pool.deadline)["peak_mib"] - base)
            before, after = worker.call(
                "checks.timing.paired", pool.deadline, sessions=sessions, feed=feed, blocks=BLOCKS, runs=3
            )
        finally:
            for session in sessions:
                worker.call("runtimes.close_session", pool.deadline, session=session)
        ratios = [a / b for a, b in zip(after, before, strict=True)]
        low, high = statistics.median_interval(ratios)
        found: dict[str, Any] = {
            "ratio": float(np.median(ratios)),
            "low": low,
            "high": high,
            "batch": TIMED,
            "int8": bool(target.options.get("int8")),
            "median_us": 1e6 * float(np.median(after)),
            "memory_mib": memory[1],
            "memory_before_mib": memory[0],
        }
        self.facts["latency"] = found
        return found

    def accuracy(
        self, what: str, baseline: NDArray[Any], candidate: NDArray[Any], labels: NDArray[Any], bound: float
    ) -> tuple[non_inferiority.Loss, non_inferiority.Standing]:
        """Return the accuracy that the candidate loses, and its standing to the bound (in points)."""
        right = [logits.argmax(axis=1) == labels for logits in (baseline, candidate)]
        found = non_inferiority.loss(*right)
        stands = found.against(bound / 100)
        self.facts[what] = {
            **msgspec.to_builtins(found),
            "estimate": found.estimate,
            "bound": bound / 100,
            "standing": stands.value,
        }
        return found, stands

    def hold_accuracy(
        self,
        baseline: NDArray[Any],
        candidate: NDArray[Any],
        labels: NDArray[Any],
        bound: float,
        what: str = "accuracy",
    ) -> None:
        """Demand that the loss of accuracy is at most ``bound`` points; ``what`` names it in the facts.

        Raises:
            NotApplicable: there are too few images to decide.
        """
        found, stands = self.accuracy(what, baseline, candidate, labels, bound)
        if stands is non_inferiority.Standing.undecided:
            raise NotApplicable(
                f"not enough data: {found.sentence()}, and the bound is {bound:g} points; give more digits "
                "with --dataset (the full MNIST has ten times as many)"
            )
        # Where the loss is surely beyond the bound, the lower end says by how much at least.
        worse = stands is non_inferiority.Standing.worse
        self.case.at_most(
            "points lost, at 99 % confidence", 100 * (found.low if worse else found.high), bound
        )

    def cost(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return elements, multiply-accumulates and bytes of the float export and of the compressed model."""
        executor = self.executor
        exported = executor.builder.artifact("jit", self.model, self.method.profile)
        program = exported.values["program"].split("/")[-1]
        before = executor.pool.call(
            "inspection.compressed.inspect",
            spec=executor.pool.default.with_env(self.target(PLAIN).env),
            folder=exported.file("inference_model"),
            program=program,
            params="model.pdiparams",
        )
        after = self.inspect()
        sizes = [a.manifest.sizes["inference_model/model.pdiparams"] for a in (exported, self.artifact)]
        figures = []
        for found, size in zip((before, after), sizes, strict=True):
            figures.append({"elements": found["elements"], "macs": found["macs"], "bytes": size})
        self.facts["cost"] = {
            f"{name}_ratio": figures[1][name] / figures[0][name] for name in ("elements", "macs", "bytes")
        }
        self.facts["cost"]["operators"] = after["operators"]
        return figures[0], figures[1]
