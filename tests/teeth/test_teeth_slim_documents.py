"""Mutants of suites/test_slim_documents.py: documents 001 and 004 that are not kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.artifacts.store import Manifest
from harness.execution.executor import Executor
from suites import test_slim_documents as suite
from suites.support.mutants.disturbances import Arguments, Made, Result, option, outputs, put, values
from suites.support.mutants.machinery import Mutant, Teeth, full_mnist, parameters

EXECUTE, INSPECT, ARRAYS = "runtimes.execute", "inspection.compressed.inspect", "checks.simulation.arrays"
LEGACY = {"profile": "legacy-ir"}
LINKED = {"model": "lenet", "method": "ptq-static-hist-legacy-ir"}
QAT = {"model": "resnet_vd_small", "method": "qat-config"}
PTQ = {"model": "resnet_vd_small", "method": "ptq-config-legacy-ir"}


def made(change: Callable[[dict[str, Any]], Any], recipe: str = "document_001") -> Any:
    return values(recipe, change)


def operator(program: str, name: str, count: int) -> Any:
    """Another number of one kind of operators in one of the document's programs."""
    return made(lambda found: found["operators"][program].update({name: count}))


def accuracy(which: str, place: int, value: float) -> Any:
    return made(lambda found: found["measured"][which].__setitem__(place, value))


def without_quantizers(found: dict[str, Any]) -> None:
    for name in ("quantized_train", "quantized_eval"):
        counts = found["operators"][name]
        for kind in [kind for kind in counts if "quantize" in kind]:
            del counts[kind]


def layers(**changed: Any) -> Result:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        for layer in answer["layers"]:
            layer.update(changed)
        return answer

    return Result(INSPECT, change)


def float_program(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """The float program's files under the int8 program's name."""
    files = {name: path.replace("int8", "float") for name, path in arguments["files"].items()}
    return {**arguments, "files": files}


def logits_program(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """The program that was saved for the logits."""
    files = {n: path.replace("inference_model/", "logits/") for n, path in arguments["files"].items()}
    return {**arguments, "files": files}


def not_numbers(runs: list[list[Any]]) -> None:
    runs[0][0][:] = np.nan


def fewer(runs: list[list[Any]]) -> None:
    runs[0][0] = runs[0][0][:-1]


def blind(runs: list[list[Any]]) -> None:
    for run in runs:
        run[0][:] = 0


def two(runs: list[list[Any]]) -> None:
    runs[0].append(runs[0][0])


def sizes(recipe: str, **changed: int) -> Made:
    """Other sizes of files in a manifest; by their names' last part without its ending."""

    def change(manifest: Manifest) -> Manifest:
        found = {
            name: changed.get(name.split("/")[-1].replace(".", "_"), n) for name, n in manifest.sizes.items()
        }
        return msgspec.structs.replace(manifest, sizes=found)

    return Made(recipe, change)


def elsewhere(manifest: Manifest) -> Manifest:
    """The quantized model in a folder of another name."""
    found = {name.replace("quant_post_static_model", "out"): h for name, h in manifest.files.items()}
    return msgspec.structs.replace(manifest, files=found)


def arms(**wrong: int) -> Result:
    """Every arm recognises every digit, but for so many that one gets wrong."""

    def change(arrays: dict[str, Any]) -> dict[str, Any]:
        found = {name: arrays["labels"].copy() for name in arrays}
        for arm, count in wrong.items():
            found[arm][:count] += 1
        return found

    return Result(ARRAYS, change)


def took(before: float, after: float) -> Result:
    """Seconds that the float and the int8 model take in every block."""
    return Result("checks.timing.paired", put([[before] * 12, [after] * 12]))


SEEDS = {"model": "resnet_vd_small", "seeds": (1, 1)}
"""One training, twice: what is wrong here is wrong with every seed."""
GAIN = (option("runtimes.open_session", drop="int8"), took(2.0, 1.0))
"""oneDNN's int8 kernels fail on this network: the check itself is what is tried here."""
REPAIRED = (Arguments(EXECUTE, logits_program),)

MUTANTS = (
    Mutant("an update lost", suite.test_001_build, (made(lambda f: f["losses"].pop()),), LEGACY, "updates"),
    Mutant(
        "nothing learned",
        suite.test_001_build,
        (made(lambda f: f["losses"].__setitem__(slice(-10, None), f["losses"][:10])),),
        LEGACY,
        "loss of the last ten",
    ),
    Mutant(
        "a clone that trains",
        suite.test_001_build,
        (operator("eval", "momentum", 1),),
        LEGACY,
        "clone trains",
    ),
    Mutant(
        "a program that does not",
        suite.test_001_build,
        (made(lambda f: f["operators"]["train"].pop("momentum")),),
        LEGACY,
        "program trains",
    ),
    Mutant("guessing", suite.test_001_build, (accuracy("float", 0, 0.1),), LEGACY, "top-1 accuracy"),
    Mutant("fewer in five", suite.test_001_build, (accuracy("float", 1, 0.2),), LEGACY, "top-5"),
    Mutant(
        "94 %",
        suite.test_001_accuracy,
        (accuracy("float", 0, 0.94),),
        LEGACY,
        "top-1",
        repair=(accuracy("float", 0, 0.96),),
        executor=full_mnist,
    ),
    Mutant("none inserted", suite.test_001_insert, (made(without_quantizers),), LEGACY, "quantizers in the"),
    Mutant(
        "there before",
        suite.test_001_insert,
        (operator("train", "fake_quantize_abs_max", 1),),
        LEGACY,
        "program before",
    ),
    Mutant("a loss", suite.test_001_lossless, (accuracy("quantized", 0, 0.1),), LEGACY, "accuracy lost"),
    Mutant(
        "a file missing",
        suite.test_001_convert,
        (made(lambda f: f["files"].remove("inference_model/int8.pdiparams")),),
        LEGACY,
        "int8.pdiparams written",
    ),
    Mutant("a blind program", suite.test_001_convert, (outputs(blind),), LEGACY, "the predictor's accuracy"),
    Mutant(
        "two outputs", suite.test_001_saved_for_the_loss, (outputs(two),), LEGACY, "outputs", repair=REPAIRED
    ),
    Mutant("float16", suite.test_001_float_range, (layers(dtype="float16"),), LEGACY, "types"),
    Mutant("no whole numbers", suite.test_001_float_range, (layers(stored="float"),), LEGACY, "values"),
    Mutant("no convolution", suite.test_001_float_range, (layers(op="matmul_v2"),), LEGACY, "convolutions"),
    Mutant("float32", suite.test_001_int8_size, (layers(dtype="float32"),), LEGACY, "types"),
    Mutant(
        "as large",
        suite.test_001_int8_size,
        (sizes("document_001", int8_pdiparams=10**6),),
        LEGACY,
        "size over",
    ),
    Mutant(
        "an int8 program that runs",
        suite.test_001_int8_unusable,
        (Arguments(EXECUTE, float_program),),
        LEGACY,
        "it ran",
    ),
    Mutant("no numbers", suite.test_linked_flows, (outputs(not_numbers),), LINKED, "are numbers"),
    Mutant("an example lost", suite.test_linked_flows, (outputs(fewer),), LINKED, "examples"),
    Mutant(
        "a loss that rises",
        suite.test_004_qat,
        (made(lambda f: f["losses"].extend([9.0] * 10), "configured_training"),),
        QAT,
        "loss of the last ten",
    ),
    Mutant(
        "no accuracy",
        suite.test_004_qat,
        (made(lambda f: f["accuracy"].append(0.5), "configured_training"),),
        QAT,
        "accuracy",
    ),
    Mutant(
        "another folder",
        suite.test_004_ptq,
        (Made("configured_calibration", elsewhere),),
        PTQ,
        "quant_post_static_model written",
    ),
    Mutant(
        "as large",
        suite.test_004_int8_gain,
        (sizes("configured_calibration", model_pdiparams=10**6),),
        PTQ,
        "size of the parameters",
        repair=GAIN,
    ),
    Mutant("slower", suite.test_004_int8_gain, (took(1.0, 2.0),), PTQ, "time over", repair=GAIN),
    Mutant(
        "no better than from scratch",
        suite.test_004_hyperparameters,
        (arms(advised=100),),
        SEEDS,
        "from scratch is behind",
        slow=True,
    ),
    Mutant(
        "as good as trained with it",
        suite.test_004_ptq_against_qat,
        (arms(aware=100),),
        {**SEEDS, **LEGACY},
        "loses more",
        repair=(arms(post=100),),
        slow=True,
    ),
    Mutant("blind as deployed", suite.test_004_ptq, (outputs(blind),), PTQ, "as it is deployed"),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
