"""A compressed model beside the float one it was made from, on the same test digits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.artifacts.store import Artifact
from harness.checks import non_inferiority, tolerance
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
"""The target that runs a program operator by operator, its quantizers included: what it computes
is what the program says, and no kernel's reading of it."""

ONEDNN, INT8 = "predictor-onednn", "predictor-int8"
"""What a latency is compared on: the engine that has int8 kernels, without and with them."""

ABSENT = ["prior_box"]
"""Operator types that oneDNN has int8 kernels for and no network here has: where int8 is for these alone, its
passes take the quantizers out and every layer runs in float32, on weights as the passes read them."""

OPERATORS = {"Conv2D": ("conv2d", "depthwise_conv2d"), "Linear": ("matmul_v2", "mul", "matmul")}
"""What layers become in a program."""

MULTIPLIERS = frozenset(kind for kinds in OPERATORS.values() for kind in kinds)
"""Operators that a layer multiplies in, whichever it is."""

HELD = 64
"""Test digits whose logits a recipe keeps from before the export."""

CALIBRATION = (32, 8)
"""Training digits that recipes calibrate on: the first, so many a batch, and so many batches."""

ROUNDINGS = tolerance.MOVED_MULTIPLE * tolerance.EPSILON["float32"]
"""What inputs and parameters of a quantized program are moved by, to see what other orders of its sums may
do. Through quantizers an effect is not in proportion to its cause: a value that lies between two levels
falls to one or the other, and all that is behind it changes by a step. So the harness's allowance for
another engine, which multiplies the effect in a float network, multiplies the cause here."""

APART = 2**0.5
"""Two executions over one and the exact one: they are off by as much, each in its own way."""

BATCH = 250
TIMED, BLOCKS = 32, 12
"""Rows of a timed run, and blocks of three runs each."""


class Subject:
    """One model that one method compressed, and what a check asks of it.

    Raises:
        WorkerFailure: the method raised, crashed or hung.
        NotApplicable: the method is that of legacy IR, which the environment is in already.
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
        # Before anything is made: a row of the page's table says what failed to be.
        case.measures["compression"] = self.facts
        self.memo = run.memo
        self.images = run.options.accuracy_samples
        self.bound = run.options.accuracy_bound
        self.artifact: Artifact = executor.builder.compressed(method, model)
        self.values = self.artifact.values

    def target(self, name: str) -> Target:
        """A target of the executor, in the method's profile."""
        return msgspec.structs.replace(self.executor.targets[name], profile=self.method.profile)

    def files(self, folder: str = "inference_model") -> dict[str, str]:
        """Program and parameters of the deployable model, for any runtime."""
        return {
            "prefix": self.artifact.file(folder, "model"),
            "folder": self.artifact.file(folder),
            "program": (program := Path(self.values["program"]).name),
            "model": self.artifact.file(folder, program),
            "params": self.artifact.file(folder, "model.pdiparams"),
        }

    def readable(self, target: Target) -> Target:
        """The target in a profile that can load the program: a ``.pdmodel`` needs legacy IR."""
        legacy = self.values["program"].endswith(".pdmodel") and self.executor.profile != "legacy-ir"
        return msgspec.structs.replace(target, profile="legacy-ir" if legacy else "")

    @property
    def reader(self) -> WorkerSpec:
        """The worker that can load the program."""
        return self.executor.spec(self.readable(self.executor.targets["static"]))

    def stored(self) -> dict[str, Any]:
        """Folder, program, parameters and bits as :mod:`harness.worker.inspection.compressed` takes them."""
        return {
            "folder": self.artifact.file("inference_model"),
            "program": Path(self.values["program"]).name,
            "params": "model.pdiparams",
            "bits": self.values.get("bits", 8),
        }

    @property
    def quantizable(self) -> set[str]:
        """Operators whose weights were to be quantized; a recipe may name them by their layers."""
        asked: list[str] = self.values["quantizable"]
        return {operator for name in asked for operator in OPERATORS.get(name, (name,))}

    def inspect(self) -> dict[str, Any]:
        """What the program holds, read from its files."""
        found: dict[str, Any] = self.executor.pool.call(
            "inspection.compressed.inspect", spec=self.reader, **self.stored()
        )
        return found

    def digits(self) -> tuple[list[list[NDArray[Any]]], NDArray[Any]]:
        """Test digits in batches as feeds, and all labels.

        Raises:
            NotApplicable: the network is not trained on digits.
        """
        if not self.executor.models[self.model].trained:
            raise NotApplicable(f"{self.model} is not trained here, so no digits are its to recognise")

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
        """Feeds of :data:`HELD` test digits each, the first of which the recipe kept the logits of.

        Of a network that is not trained: the few random examples that the recipe kept, and others.
        """
        if not self.executor.models[self.model].trained:
            kept = self.arrays("compressed.npz")["feed"]
            return [[kept], *(self.executor.sample(self.model, len(kept), i) for i in range(1, feeds))]
        (batch, *_), _ = self.digits()
        return [[array[i * HELD : (i + 1) * HELD] for array in batch] for i in range(feeds)]

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """A file of arrays that the recipe kept."""
        found: dict[str, NDArray[Any]] = self.executor.pool.call(
            "checks.simulation.arrays", path=self.artifact.file(name)
        )
        return found

    def ranges(self) -> list[dict[str, Any]]:
        """What goes into each layer of the float network: on the calibration's digits.

        Raises:
            NotApplicable: the network is not trained on digits.
        """
        if not self.executor.models[self.model].trained:
            raise NotApplicable(f"{self.model} is not trained here: no digits have calibrated it")
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
        """How far rounded weights are from the float ones, in steps.

        None where something trained them, or where they were fused with a BatchNorm before: weights of
        the same names are then other ones.
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
        """The deployable model on a target."""
        return self.executor.execute(target, self.model, feeds, files=self.files(), **more)

    def simulated(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """What the program says of all test digits, ``[n, classes]``: several checks hold something to it."""
        return self._once(
            f"simulated {self.artifact.manifest.key}",
            lambda: logits(self.run(self.target(PLAIN), feeds).outputs),
        )

    def _once(self, key: str, compute: Callable[[], T]) -> T:
        """What another check of the run has computed, or computed now."""
        if key not in self.memo:
            self.memo[key] = compute()
        found: T = self.memo[key]
        return found

    def before(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """Logits of the float network in dynamic graph, ``[n, classes]``."""
        return logits(self.executor.reference(self.model, feeds))

    def narrowed(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """Logits of the network narrowed and trained on without PaddleSlim, ``[n, classes]``."""
        found: list[NDArray[Any]] = self.executor.pool.call(
            "training.pruning_control.logits",
            model=self.model,
            pruned=self.artifact.file("pruned.npz"),
            digits=str(self.executor.builder.digits),
            feeds=feeds,
        )
        return np.concatenate(found)

    def quantization_error(self, feeds: list[list[NDArray[Any]]], quantized: NDArray[Any]) -> float:
        """Root mean square by which quantizing moves the logits: the unit that other errors are told in.

        Against the float network with the program's own weights, so that what a training changed is no
        error. Where only weights are quantized, or layers were fused and the program has other
        parameters: against the network before.
        """
        if self.method.technique == "weights":
            return distance(quantized, self.before(feeds))
        return distance(quantized, self.own_weights(feeds))

    def own_weights(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """Logits of the float network with the program's own weights; its own where layers were fused."""
        try:
            return self.unfused(feeds)
        except LookupError:
            return self.before(feeds)

    def unfused(self, feeds: list[list[NDArray[Any]]]) -> NDArray[Any]:
        """Logits of the float network with the program's own weights.

        Raises:
            LookupError: layers were fused, so that the program has other ones.
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
        """Time and memory of the compressed model over the float one's, both on oneDNN, in one session.

        The float export and the compressed model take turns in one process; the ratio is of each
        block, its interval that of the blocks' median at 99 %.
        """
        executor, pool = self.executor, self.executor.pool
        exported = executor.builder.files(self.target(ONEDNN), self.model)
        worker = pool.warm(executor.spec(target))
        feed = [array[:TIMED] for array in self.few(1)[0]]
        sessions, memory = [], []
        with pool.quiet():
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
        """What the candidate's logits lose to the baseline's, and how that stands to the bound in points."""
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
            NotApplicable: the images are too few to tell.
        """
        found, stands = self.accuracy(what, baseline, candidate, labels, bound)
        if stands is non_inferiority.Standing.undecided:
            raise NotApplicable(
                f"not enough data: {found.sentence()}, and the bound is {bound:g} points; give more digits "
                "with --dataset (the full MNIST has ten times as many)"
            )
        # Where the loss is surely beyond the bound, the lower end tells by how much at least.
        worse = stands is non_inferiority.Standing.worse
        self.case.at_most(
            "points lost, at 99 % confidence", 100 * (found.low if worse else found.high), bound
        )


def rounding(subject: Subject, feeds: list[list[NDArray[Any]]]) -> tolerance.Tolerance:
    """What float32 arithmetic alone may move the float network's logits by."""
    return subject.executor.tolerances(subject.model, feeds)[0]


def rounding_of(subject: Subject, feeds: list[list[NDArray[Any]]]) -> tolerance.Tolerance:
    """What float32 arithmetic alone may move the deployed model's logits by, pooled over the feeds.

    That of the float network where a trained one is pruned, whose logits keep their size. Else what the
    very program moves by when its inputs and parameters move by :data:`ROUNDINGS`: an untrained network
    that lost half of its filters can have logits of 1e9.
    """
    if not subject.method.quantizes and subject.executor.models[subject.model].trained:
        return rounding(subject, feeds)
    exact = moved(subject, feeds, 0.0, draws=1) * tolerance.DRAWS
    return tolerance.Tolerance(moved(subject, feeds, ROUNDINGS), exact, "float32", APART)


def moved(
    subject: Subject, feeds: list[list[NDArray[Any]]], size: float, draws: int = tolerance.DRAWS
) -> list[NDArray[Any]]:
    """Of each draw the model's logits ``[n, classes]``, inputs and parameters moved by that share."""
    target, found = subject.readable(subject.executor.targets["static"]), []
    for draw in range(draws):
        options = {**target.options, "perturb": size, "draw": draw}
        found.append(logits(subject.run(msgspec.structs.replace(target, options=options), feeds).outputs))
    return found
