"""Mutants of suites/test_compression.py: models that are not what their method says, or not worth it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.artifacts.store import Manifest
from harness.checks.case import Case, CheckFailed
from harness.checks.tolerance import Rows, middle
from harness.core.choices import LEGACY_IR
from harness.core.errors import NotApplicable
from harness.execution.executor import Executor
from suites import test_compression as suite
from suites.support.mutants.disturbances import (
    CONVOLUTIONS,
    Arguments,
    Files,
    Made,
    Result,
    confused,
    noisy,
    number,
    option,
    outputs,
    put,
    values,
    within,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters
from suites.support.pruning import kept

EXECUTE, INSPECT, STEPS = "runtimes.execute", "inspection.compressed.inspect", "checks.simulation.step_errors"
ARRAYS, NARROWED = "checks.simulation.arrays", "training.pruning_control.logits"
# What 3.3.1 cannot do in its own IR, it does in legacy IR.
PTQ = {"model": "lenet", "method": "ptq-static-hist-legacy-ir"}
LARGEST = {"model": "lenet", "method": "ptq-static-abs-max-legacy-ir"}
PRUNED = {"model": "resnet_vd_small", "method": "prune-static-l1-legacy-ir"}
AT_SIZE = {"model": "mobilenet_v1", "method": "ptq-config-legacy-ir"}
PLAIN_RUNS = {**PTQ, "engine": "plain"}
INT8 = {**PTQ, "target": "predictor-int8"}


def rescaled(change: Callable[[np.ndarray], np.ndarray], weight: bool, layer: int = 1) -> Any:
    """A copy of the program's parameters with another scale of a layer's weight, or of its input."""

    def damage(folder: Path, executor: Executor) -> bool:
        found = list(folder.rglob("inference_model/model.pdiparams"))
        if not found or not (folder / "compressed.npz").exists():
            return False
        where = {"folder": str(found[0].parent), "program": "model.pdmodel", "params": found[0].name}
        legacy = executor.pool.default.with_env(LEGACY_IR)
        one = executor.pool.call(INSPECT, spec=legacy, **where)["layers"][layer]
        scales = np.asarray(one["scales"] if weight else [one["activation_scale"]], "float32")
        octets = found[0].read_bytes()
        if not octets.count(scales.tobytes()):
            return False
        found[0].write_bytes(octets.replace(scales.tobytes(), change(scales).astype("float32").tobytes()))
        return True

    return damage


def larger(scales: np.ndarray) -> np.ndarray:
    return scales * np.float32(1.05)


def swapped(scales: np.ndarray) -> np.ndarray:
    """Those of the two channels that differ most."""
    low, high = int(scales.argmin()), int(scales.argmax())
    other = scales.copy()
    other[[low, high]] = scales[[high, low]]
    return other


def float_model(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """The float export's files in place of the quantized ones."""
    exported = executor.builder.artifact("jit", "lenet", "legacy-ir")
    return {**arguments, "folder": exported.file("inference_model")}


def float_files(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    exported = executor.builder.artifact("jit", "lenet", "legacy-ir")
    files = {
        "model": exported.file("inference_model/model.pdmodel"),
        "params": exported.file("inference_model/model.pdiparams"),
    }
    return {**arguments, "files": {**arguments["files"], **files}}


def lost(runs: list[list[Any]]) -> None:
    """Every third digit gets the class behind its own."""
    for run in runs:
        run[0][::3] = np.roll(run[0][::3], 1, axis=1)


def control_lost(found: list[Any]) -> list[Any]:
    """The network that was narrowed without PaddleSlim loses the same digits."""
    lost([[array] for array in found])
    return found


def control_kept(found: list[Any]) -> list[Any]:
    """It has them again."""
    for array in found:
        array[::3] = np.roll(array[::3], -1, axis=1)
    return found


def stale(runs: list[list[Any]]) -> None:
    """The second run gives the first one's outputs."""
    runs[1] = [array.copy() for array in runs[0]]


WEIGHT, BIAS, LEFT = "blocks.0.reduce.conv.weight", "blocks.0.reduce.norm.bias", "classifier.bias"
"""Of the pruned network: a convolution that is pruned, its normalisation, and what keeps its size."""


def another_layer(arrays: dict[str, Any]) -> dict[str, Any]:
    """The convolution lost its last filters, and not those that its own norm ranks last."""
    before, after = arrays[f"original/{WEIGHT}"], arrays[f"pruned/{WEIGHT}"]
    columns = kept(before, after)[1]
    return {**arrays, f"pruned/{WEIGHT}": before[: len(after)][:, columns].copy()}


def one_bias(arrays: dict[str, Any]) -> dict[str, Any]:
    """A bias lost other entries than its filters did."""
    before, after = arrays[f"original/{BIAS}"], arrays[f"pruned/{BIAS}"]
    wrong = before[: len(after)] if not np.array_equal(before[: len(after)], after) else before[-len(after) :]
    return {**arrays, f"pruned/{BIAS}": wrong.copy()}


def untouched(arrays: dict[str, Any]) -> dict[str, Any]:
    """A layer far behind was changed as well."""
    return {**arrays, f"pruned/{LEFT}": arrays[f"original/{LEFT}"] + np.float32(1)}


def nothing(arrays: dict[str, Any]) -> dict[str, Any]:
    return {
        name: arrays[name.replace("pruned/", "original/")] if name.startswith("pruned/") else array
        for name, array in arrays.items()
    }


def layers(change: Callable[[list[dict[str, Any]]], Any]) -> Result:
    """The inspection with other layers; ``change`` alters them in place."""

    def changed(answer: dict[str, Any]) -> dict[str, Any]:
        change(answer["layers"])
        return answer

    return Result(INSPECT, changed)


def larger_files(manifest: Manifest) -> Manifest:
    return msgspec.structs.replace(manifest, sizes=dict.fromkeys(manifest.sizes, 10**6))


as_large = Made("prune_static_filters", larger_files)

ACCURACY, QUANTIZED, SCALES = suite.test_accuracy, suite.test_quantized, suite.test_scales
EXPORT, KERNELS, LATER = suite.test_export_agrees, suite.test_int8_kernels, suite.test_later_runs

MUTANTS = (
    Mutant("classes confused", ACCURACY, (outputs(confused),), PTQ, "points lost"),
    Mutant("classes confused", suite.test_pruned_accuracy, (outputs(lost),), PRUNED, "points lost"),
    # Where the control loses as much, the check passes; that it does not is what must be noticed.
    Mutant(
        "a loss that the filters do not cost",
        suite.test_pruned_accuracy,
        (Result(NARROWED, control_kept),),
        PRUNED,
        "points lost",
        repair=(outputs(lost), Result(NARROWED, control_lost)),
    ),
    Mutant(
        "a weight read wrongly", suite.test_int8_weights, (outputs(noisy(1e-3)),), PTQ, "logits in float32"
    ),
    Mutant("the float model", QUANTIZED, (Arguments(INSPECT, float_model),), PTQ, "weight was left float"),
    Mutant("no layer", QUANTIZED, (layers(list.clear),), PTQ, "layers that were to be quantized"),
    Mutant(
        "a scale that is no number",
        QUANTIZED,
        (layers(lambda found: found[0].update(scales=[float("nan")])),),
        PTQ,
        "without positive scales",
    ),
    Mutant(
        "an input left float",
        QUANTIZED,
        (layers(lambda found: found[1].update(activation_scale=None)),),
        PTQ,
        "whose input is quantized",
    ),
    Mutant(
        "a BatchNorm left",
        QUANTIZED,
        (values("ptq_slim", lambda found: found.update(batch_norms=1)),),
        {"model": "conv_bn", "method": "ptq-slim-fuse-legacy-ir"},
        "BatchNorm layers left",
    ),
    Mutant("a layer lost", SCALES, (layers(list.pop),), PTQ, "layers"),
    Mutant(
        "a weight's scale off by 5 %",
        SCALES,
        (Files(STEPS, rescaled(larger, weight=True)),),
        PTQ,
        "steps from the float weight",
    ),
    Mutant(
        "two channels' scales swapped",
        SCALES,
        (Files(STEPS, rescaled(swapped, weight=True)),),
        PTQ,
        "steps from the float weight",
    ),
    Mutant(
        "an activation's scale off by 5 %",
        SCALES,
        (Files(INSPECT, rescaled(larger, weight=False)),),
        LARGEST,
        "distance of a scale from the largest",
    ),
    Mutant(
        "a scale ten times too large",
        SCALES,
        (layers(lambda found: found[1].update(activation_scale=10 * found[1]["activation_scale"])),),
        PTQ,
        "scale of an activation over its range",
    ),
    Mutant(
        "a scale ten times too small",
        SCALES,
        (layers(lambda found: found[1].update(activation_scale=found[1]["activation_scale"] / 10)),),
        PTQ,
        "scale of an activation over its range",
    ),
    Mutant("the float model", EXPORT, (Arguments(EXECUTE, float_files),), PTQ, "distance of the export"),
    Mutant("another export", EXPORT, (outputs(noisy(1e-2)),), PRUNED, "logits"),
    Mutant(
        "another export at size",
        EXPORT,
        (outputs(noisy(0.1), number(1)),),
        AT_SIZE,
        "logits",
        slow=True,
    ),
    Mutant(
        "other threads, another scale at size",
        LATER,
        (Files(EXECUTE, rescaled(larger, weight=False), number(3)),),
        {**AT_SIZE, "engine": "plain"},
        "two threads",
        slow=True,
    ),
    Mutant(
        "fell back to float",
        KERNELS,
        (option(EXECUTE, drop="int8"),),
        INT8,
        "int8 primitives",
        repair=CONVOLUTIONS,
    ),
    Mutant(
        "other classes",
        KERNELS,
        (outputs(confused, number(2)),),
        INT8,
        "the simulation's class",
        repair=CONVOLUTIONS,
    ),
    Mutant(
        "a larger error",
        KERNELS,
        (outputs(noisy(0.5), number(2)),),
        INT8,
        "error of int8",
        repair=CONVOLUTIONS,
    ),
    Mutant(
        "other classes, and wrong ones",
        KERNELS,
        (outputs(confused, number(2)),),
        INT8,
        "lose more than the bound",
        repair=CONVOLUTIONS,
    ),
    Mutant(
        "other logits unasked",
        suite.test_default_predictor,
        (outputs(noisy(0.1), number(2)),),
        PTQ,
        "distance from the simulation",
    ),
    Mutant(
        "other classes unasked",
        suite.test_default_predictor,
        (outputs(confused, number(2)),),
        PTQ,
        "the simulation's class",
    ),
    Mutant("a stale second run", LATER, (outputs(stale, number(1)),), PLAIN_RUNS, "run 2"),
    Mutant("a run lost", LATER, (outputs(list.pop, number(1)),), PLAIN_RUNS, "number of runs"),
    Mutant("other threads, other sums", LATER, (outputs(noisy(1e-1), number(3)),), PLAIN_RUNS, "two threads"),
    Mutant(
        "other threads, another scale",
        LATER,
        (Files(EXECUTE, rescaled(larger, weight=False), number(3)),),
        PLAIN_RUNS,
        "two threads",
    ),
    Mutant(
        "as many parameters",
        suite.test_smaller,
        (Result(INSPECT, within(put(10**6), "elements")),),
        PRUNED,
        "parameters left",
    ),
    Mutant(
        "as much to compute",
        suite.test_smaller,
        (Result(INSPECT, within(put(10**6), "macs")),),
        PRUNED,
        "multiply-accumulates left",
    ),
    Mutant("a file as large", suite.test_smaller, (as_large,), PRUNED, "size of the parameter file"),
    Mutant(
        "no zeros",
        suite.test_filters,
        (layers(lambda found: [layer.update(zeros=0.1) for layer in found]),),
        {"model": "lenet", "method": "prune-static-unstructured-legacy-ir"},
        "are zero",
    ),
    Mutant(
        "a layer twice",
        suite.test_cost,
        (Result(INSPECT, within(put(833_040), "macs"), number(2)),),
        PTQ,
        "multiply-accumulates",
    ),
    Mutant(
        "a mask of another layer",
        suite.test_filters,
        (Result(ARRAYS, another_layer),),
        PRUNED,
        "filters kept",
    ),
    Mutant("a bias of others", suite.test_filters, (Result(ARRAYS, one_bias),), PRUNED, "something else"),
    Mutant("a layer too many", suite.test_filters, (Result(ARRAYS, untouched),), PRUNED, "left alone"),
    Mutant("nothing pruned", suite.test_filters, (Result(ARRAYS, nothing),), PRUNED, "arrays that shrank"),
)


def flips(share: float, draw: int) -> np.ndarray:
    """Logits of 100 rows, of which a share are a step off and the others a rounding."""
    rng = np.random.default_rng(draw)
    steps = rng.random((100, 1)) < share
    return LOGITS + np.where(steps, 1e-2, 1e-7) * rng.standard_normal(LOGITS.shape)


LOGITS = np.random.default_rng(9).standard_normal((100, 10))
FAULT = flips(1.0, 99)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_a_fault_shows_in_rows_that_roundings_leave_alone(share: float) -> None:
    """Over all rows a few steps hide it, as they are of its size."""
    draws = [flips(share, draw) for draw in range(4)]
    rows = Rows(draws, LOGITS, flips(1.0, 98), 2**0.5)
    assert not rows.blind
    assert not middle("x", FAULT, LOGITS, rows).ok
    assert not middle("x", np.full_like(LOGITS, np.nan), LOGITS, rows).ok
    for other in range(10, 30):
        assert middle("x", flips(share, other), LOGITS, rows).ok


def test_where_roundings_hide_a_fault_the_check_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither passes nor fails, and says both sizes; what failed before is told all the same."""
    moves = {0.0: 0.0, suite.HALF_A_STEP: 1.0}
    monkeypatch.setattr(
        suite,
        "moved",
        lambda subject, feeds, size, draws=4: [
            flips(moves.get(size, 0.95), draw) if size else LOGITS for draw in range(draws)
        ],
    )
    subject: Any = SimpleNamespace(case=Case(), facts={})
    subject.case.exact("something", 1, 1)
    with pytest.raises(NotApplicable, match=r"be off by 0\.0\d+, and the change moves it by 0\.0\d+; of 100"):
        suite._hold_rows(subject, [], LOGITS)
    subject.case.exact("something else", 1, 2)
    with pytest.raises(CheckFailed, match="something else"):
        suite._hold_rows(subject, [], LOGITS)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
