"""Quantized and pruned models: what each documented method makes of a network, and what that is worth."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.checks import non_inferiority, tolerance
from harness.checks.case import Case
from harness.core.errors import NotApplicable
from harness.execution import engine_log
from harness.execution.executor import Executor
from harness.models.catalogue import MethodInfo
from harness.plugin.session import RunSession
from harness.targets.target import Target
from suites.support import pruning
from suites.support.compression import (
    ABSENT,
    INT8,
    MULTIPLIERS,
    ONEDNN,
    PLAIN,
    Subject,
)
from suites.support.logits import agreement, logits, rms
from suites.support.rounding import APART, ROUNDINGS, calm_feeds, moved, rounding, rounding_of
from suites.test_agreement import require

MAIN = (
    "qat-static",
    "qat-slim",
    "ptq-static-hist",
    "ptq-slim-hist",
    "ptq-paddle",
    "weights-dynamic",
    "prune-l1",
    "prune-static-l1",
)
"""Methods that a gate tries: one of each technique and interface."""

SHOWN = {"method": MAIN, "model": ("lenet", "resnet_vd_small")}

pytestmark = [
    pytest.mark.area("Quantized and pruned models"),
    pytest.mark.runs("compression"),
    pytest.mark.brief(**SHOWN),
]

quantizes = pytest.mark.methods(techniques=("qat", "ptq", "weights"))
calibrates = pytest.mark.methods(techniques=("qat", "ptq"))
prunes = pytest.mark.methods(techniques=("prune",))

PRUNED_BOUND = 5.0
"""Points of accuracy that a network may lose with half of its filters; the documents state no bound."""

MOVED = 0.5
"""Share of the quantization error that the export may move the logits by. Where a value is halfway
between two levels, a rounding decides which: such flips are few."""

INT8_ERROR = 5.0
"""Largest distance of int8 kernels from the simulation, in quantization errors: they also quantize what
the simulation leaves float between two quantized operators. Seen: 0.1 to 2.6 where they work, 64 where
they misread a program."""

SAME_CLASS = 0.95
"""Least share of digits for which int8 kernels choose the simulation's class."""

HALF_STEP = 0.5 + 1e-3
"""Steps that rounding to the nearest level may be off by, with the inaccuracy of a float32 division."""

RULE = 1e-4
"""Share by which a scale may miss a maximum or mean over the same digits: the float32 of two engines
differs."""

SCALE = {"qat": (0.2, 1.6), "ptq": (0.2, 1.05)}
"""Bounds of an activation's scale over the largest magnitude in the float network. Calibration clips
outliers and adds none; training moves the weights in front of it."""

READ = (
    "qat-static", "qat-static-matmul", "qat-slim", "qat-config",
    "ptq-static-hist", "ptq-slim-hist", "ptq-config",
)  # fmt: skip
"""Compression methods that cover each way of writing the files of a quantized model."""

ENGINES = {"plain": PLAIN, "int8": INT8, "static": "static"}
"""Engines that run the program repeatedly, with the target of each."""

HALF_A_STEP = 0.5 / 127
"""A relative change of inputs and parameters (scales included) that a check has to see."""

SEQUENCE = (0, 1, 0, 0, 0, 0, 0, 0, 0, 1)
"""Which of two feeds each of a session's ten runs gets: it shows a stale output and one that degrades."""


@pytest.mark.claims("card-int8-bound")
@quantizes
def test_accuracy(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """A quantized model loses no more accuracy than the bound, paired on the test digits."""
    subject = Subject(case, executor, run_session, model, method)
    feeds, labels = subject.digits()
    got = subject.simulated(feeds)
    subject.hold_accuracy(subject.before(feeds), got, labels, subject.bound)


@prunes
def test_pruned_accuracy(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """A pruned and fine-tuned model loses at most a few points, or no more than the pruning control loses.

    A narrow network has no filters to spare. Its loss is not the tool's fault if the criterion chose the
    removed filters, and if a network without them loses as much after fine-tuning in plain Paddle.
    """
    subject = Subject(case, executor, run_session, model, method)
    feeds, labels = subject.digits()
    before, got = subject.before(feeds), subject.simulated(feeds)
    _, stands = subject.accuracy("accuracy", before, got, labels, PRUNED_BOUND)
    if stands is non_inferiority.Standing.worse and "sparsity" not in subject.values:
        pruning.check(case, subject.arrays("pruned.npz"), subject.values)
        subject.hold_accuracy(subject.narrowed(feeds), got, labels, PRUNED_BOUND, "against_control")
    else:
        subject.hold_accuracy(before, got, labels, PRUNED_BOUND)


@quantizes
def test_quantized(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """Every layer that should be quantized has its weight on an int8 grid and quantizers at its input."""
    subject = Subject(case, executor, run_session, model, method)
    found = subject.inspect()
    asked = [layer for layer in found["layers"] if layer["op"] in subject.quantizable]
    case.at_least("layers that were to be quantized", len(asked), 1)
    left = [f"{layer['op']} {layer['weight']}" for layer in asked if not _is_quantized(layer)]
    case.exact("layers whose weight was left float", left, [])
    bad = [layer["weight"] for layer in asked if not _is_scaled(layer)]
    case.exact("rounded weights without positive scales", bad, [])
    inputs = [layer for layer in asked if layer["activation_scale"] is not None]
    if method.technique != "weights":
        case.exact("layers whose input is quantized", len(inputs), len(asked))
    if method.parameters.get("fuse") or method.parameters.get("config", {}).get("fuse_conv_bn"):
        case.exact("BatchNorm layers left by the fusing that was asked for", subject.values["batch_norms"], 0)
    subject.facts["quantized"] = {
        "layers": len(asked),
        "weights": len(asked) - len(left),
        "inputs": len(inputs),
        "float": len(found["layers"]) - len(asked),
        "stored": sorted({layer["stored"] for layer in asked}),
    }


def _is_scaled(layer: dict[str, Any]) -> bool:
    """Whether every scale is a positive number; whole numbers without a scale have no meaning."""
    scales = layer["scales"] or ([0.0] if layer["stored"] in ("int8", "integers") else [])
    return all(np.isfinite(value) and value > 0 for value in scales)


def _is_quantized(layer: dict[str, Any]) -> bool:
    return layer["stored"] != "float" or bool(layer["quantizer"])


@calibrates
def test_scales(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """Scales fit: those of activations to the float network's ranges, those of weights to half a step."""
    subject = Subject(case, executor, run_session, model, method)
    # An embedding looks rows up: its input has no range, and nothing calibrates it.
    layers = [layer for layer in subject.inspect()["layers"] if layer["op"] in MULTIPLIERS]
    rule = subject.values.get("scale_rule", "")
    ranges = subject.ranges()
    case.exact("layers", len(layers), len(ranges))
    pairs = [(a["activation_scale"], b) for a, b in zip(layers, ranges, strict=False)]
    pairs = [(scale, seen) for scale, seen in pairs if scale is not None]
    errors = subject.step_errors()
    if not pairs and not errors:
        raise NotApplicable("the program stores neither scales of activations nor rounded weights")
    ratios = [scale / seen["largest"] for scale, seen in pairs]
    subject.facts["scales"] = {"least": min(ratios, default=None), "largest": max(ratios, default=None)}
    low, high = SCALE[method.technique]
    for ratio in ratios:
        case.at_least("scale of an activation over its range", ratio, low)
        case.at_most("scale of an activation over its range", ratio, high)
    for scale, seen in pairs if rule else ():
        case.at_most(f"distance of a scale from the {rule}", abs(scale / seen[rule] - 1), RULE)
    for error in errors:
        case.at_most(
            f"{error['weight']}: steps from the float weight", error["steps"] - error["rounding"], HALF_STEP
        )


@pytest.mark.claims("004-export")
@pytest.mark.methods
def test_export_agrees(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """The exported model gives what the compressed network in memory gave before the export."""
    subject = Subject(case, executor, run_session, model, method)
    (feed,) = subject.few(1)
    (got,) = subject.run(subject.target(PLAIN), [feed]).outputs
    expected = subject.arrays("compressed.npz")["logits"]
    if not method.quantizes or not executor.models[model].trained:
        # The quantization error of untrained weights is no useful unit: four updates leave a float network
        # whose logits in evaluation are hundreds of times those of its quantized twin.
        case.close("logits", got[0], expected, rounding_of(subject, [feed]))
        return
    error = subject.quantization_error([feed], expected)
    moved = rms(got[0] - expected)
    subject.facts["export"] = {"moved": moved, "quantization_error": error}
    case.at_most("distance of the export, over the quantization error", moved / error, MOVED)


@pytest.mark.claims("004-int8-gain")
@calibrates
@pytest.mark.targets(models="quantized")
def test_int8_kernels(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo, target: Target
) -> None:
    """Int8 kernels run, and give the simulation's classes, within a few times the quantization error."""
    require(executor, target)
    subject = Subject(case, executor, run_session, model, method)
    feeds, labels = subject.digits()
    simulated = subject.simulated(feeds)
    result = subject.run(subject.target(target.name), feeds, **engine_log.VERBOSE)
    got = logits(result.outputs)
    seen = engine_log.read(result.printed)
    error = subject.quantization_error(feeds, simulated)
    facts = {
        "int8_primitives": seen.int8,
        "primitives": seen.primitives,
        "error": rms(got - simulated),
        "quantization_error": error,
        "same_class": agreement(got, simulated),
    }
    subject.facts["int8"] = facts
    case.at_least("int8 primitives that multiply", seen.computing_int8, 1)
    case.at_least("share of digits with the simulation's class", facts["same_class"], SAME_CLASS)
    case.at_most("error of int8 over that of quantizing", facts["error"] / error, INT8_ERROR)
    _, stands = subject.accuracy("int8_accuracy", simulated, got, labels, subject.bound)
    # The check of accuracy decides about small losses; here only a certain loss beyond the bound fails.
    case.exact("int8 kernels lose more than the bound", stands is non_inferiority.Standing.worse, False)


@pytest.mark.full
@pytest.mark.methods(names=READ)
def test_int8_weights(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """OneDNN's int8 engine reads the weights in the file: in float32 it gives the float network's logits.

    On int8 kernels the quantization error hides a weight that is read wrongly.
    """
    subject = Subject(case, executor, run_session, model, method)
    # The tolerance is the checkpoint's rounding; an untrained network is far from it after a few updates.
    subject.digits()
    feeds = subject.few(1)
    target = subject.target(INT8)
    target = msgspec.structs.replace(target, options={**target.options, "int8": ABSENT})
    try:
        expected = subject.unfused(feeds)
    except LookupError as error:
        raise NotApplicable(f"{error}, so no float network has the program's weights") from error
    got = logits(subject.run(target, feeds).outputs)
    case.close("logits in float32", got, expected, rounding(subject, feeds))


@quantizes
def test_default_predictor(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """The predictor in its default configuration, which uses oneDNN, gives what the program says."""
    subject = Subject(case, executor, run_session, model, method)
    feeds, _ = subject.digits()
    simulated = subject.simulated(feeds)
    got = logits(subject.run(subject.target("predictor"), feeds).outputs)
    error = subject.quantization_error(feeds, simulated)
    subject.facts["default"] = {"error": rms(got - simulated), "quantization_error": error}
    case.at_most(
        "distance from the simulation, over the quantization error", rms(got - simulated) / error, MOVED
    )
    case.at_least("share of digits with the simulation's class", agreement(got, simulated), SAME_CLASS)


@pytest.mark.brief(**SHOWN, engine=("plain", "int8"))
@pytest.mark.methods
@pytest.mark.parametrize("engine", ENGINES)
def test_later_runs(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo, engine: str
) -> None:
    """First, second and tenth run, another process and another thread count give the same outputs."""
    if engine == "int8" and method.technique not in ("qat", "ptq"):
        raise NotApplicable("the program has no scales of activations, which int8 kernels need")
    subject = Subject(case, executor, run_session, model, method)
    feeds = subject.few(2)
    target = subject.target(ENGINES[engine])
    if engine == "static":
        target = subject.readable(target)
    runs = subject.run(target, [feeds[index] for index in SEQUENCE]).outputs
    case.exact("number of runs", len(runs), len(SEQUENCE))
    with executor.pool.elsewhere(run_session.options.tier == "full", executor.spec(target)) as worker:
        others = subject.run(target, feeds, worker=worker).outputs
    for number, (index, run) in enumerate(zip(SEQUENCE, runs, strict=False), start=1):
        case.bitwise(f"run {number}, against another process", run[0], others[index][0])
    if engine == "plain":
        threads = Target("threads", "predictor", {**target.options, "threads": 2}, profile=target.profile)
        calm = calm_feeds(subject, feeds) if method.quantizes else []
        two = subject.run(threads, [*feeds, *calm]).outputs
        allowed = rounding_of(subject, feeds)
        for run, one in zip(two[: len(feeds)], runs, strict=False):
            case.close("two threads", run[0], one[0], allowed)
        if calm:
            _hold_rows(subject, calm, logits(two[len(feeds) :]))


def _hold_rows(subject: Subject, feeds: list[list[NDArray[Any]]], got: NDArray[Any]) -> None:
    """Demand that two threads gave the logits ``got`` within rounding, in rows where a small change shows.

    Raises:
        NotApplicable: rounding hides a small change in too many rows.
    """
    case = subject.case
    (exact,), (changed,) = moved(subject, feeds, 0.0, draws=1), moved(subject, feeds, HALF_A_STEP, draws=1)
    rows = tolerance.Rows(moved(subject, feeds, ROUNDINGS), exact, changed, APART)
    subject.facts["rows"] = {"clear": int(rows.clear.sum()), "all": len(rows.clear)}
    if rows.blind:
        case.conclude()  # report earlier failures first
        raise NotApplicable(rows.blind)
    case.saw(got)
    expected = logits(subject.run(subject.target(PLAIN), feeds).outputs)
    case.add(tolerance.middle("two threads", got, expected, rows))


@pytest.mark.timing
@pytest.mark.claims("004-prune")
@prunes
def test_smaller(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """A pruned model has fewer filters and parameters, less to compute, and a smaller file."""
    subject = Subject(case, executor, run_session, model, method)
    if "sparsity" in subject.values:
        raise NotApplicable("unstructured pruning sets weights to zero, and promises nothing smaller")
    before, after = subject.cost()
    subject.latency(subject.target(ONEDNN))
    case.at_most("parameters left", after["elements"] / before["elements"], 0.9)
    case.at_most("multiply-accumulates left", after["macs"] / before["macs"], 0.9)
    case.at_most("size of the parameter file", after["bytes"] / before["bytes"], 0.95)


@pytest.mark.timing
@quantizes
def test_cost(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """A quantized model has the float model's layers and no more to compute; its file size is measured."""
    subject = Subject(case, executor, run_session, model, method)
    before, after = subject.cost()
    subject.latency(subject.target(ONEDNN if method.technique == "weights" else INT8))
    case.exact("multiply-accumulates", after["macs"], before["macs"])


@pytest.mark.claims("004-prune")
@prunes
def test_filters(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """The pruned filters are those that the criterion ranks last, in every layer that they reach."""
    subject = Subject(case, executor, run_session, model, method)
    if "sparsity" in subject.values:
        layers = subject.inspect()["layers"]
        sizes = [float(np.prod(layer["shape"])) for layer in layers]
        zeros = float(np.average([layer["zeros"] for layer in layers], weights=sizes))
        case.at_least("share of the weights that are zero", zeros, 0.45)
        return
    pruning.check(case, subject.arrays("pruned.npz"), subject.values)
