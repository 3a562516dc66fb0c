"""Mutants of suites/test_documents.py."""

from __future__ import annotations

from typing import Any

import pytest

from suites import test_documents as suite
from suites.support.mutants.disturbances import (
    Files,
    Result,
    argument,
    flipped,
    last_bit,
    number,
    outputs,
    path_has,
    put,
    runtime,
    setting,
    values,
    within,
    without,
)
from suites.support.mutants.machinery import Mutant, Teeth, full_mnist, parameters

EXECUTE = "runtimes.execute"
HIGH = "checks.high_level.three_systems"
LOAD = "checks.high_level.load"
TRAINED = "mnist_checkpoint/final.pdparams"
EXPORTED = flipped("inference/*.pdiparams", of=TRAINED)


def of_000(change: Any) -> Any:
    return values("document_000", change)


def of_003(change: Any) -> Any:
    return values("document_003", change)


def lacks(ending: str) -> Any:
    """The method did not write the files of that ending."""

    def change(found: dict[str, Any]) -> None:
        found["files"] = [name for name in found["files"] if not name.endswith(ending)]

    return change


def has(name: str) -> Any:
    """The method wrote one file more."""
    return lambda found: found["files"].append(name)


def legacy_name(found: dict[str, Any]) -> None:
    """The program has the name that document 002's listings load."""
    found["files"] = [name.replace("lenet.json", "lenet.pdmodel") for name in found["files"]]


def flat_second_epoch(found: dict[str, Any]) -> None:
    """The loss falls in the first epoch only, and at the very end."""
    half = len(found["losses"]) // 2
    found["losses"][half:-10] = [1.0] * (half - 10)


def risen_at_the_end(found: dict[str, Any]) -> None:
    found["losses"][-10:] = [max(found["losses"])] * 10


def nothing_learnt(found: dict[str, Any]) -> None:
    found["train_accuracy"][1] = found["train_accuracy"][0]


def stated(found: dict[str, Any]) -> None:
    """What document 003 prints; the packaged digits are too few to reach it."""
    found["evaluations"] = [0.9771, 0.9840, 0.9880]


def dropped_moments(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if "moment" not in name}


def only_skipped(state: dict[str, Any]) -> dict[str, Any]:
    """Of the saved state, the parameters alone that another number of classes gives another shape."""
    return {name: value for name, value in state.items() if name.startswith("classifier")}


KEEP, RESET = {"reset": False}, {"reset": True}
LAST = {
    "network": "mobilenet_v1_x0_125",
    "other": {"scale": 0.125, "repeats": 1, "num_classes": 7},
}
WITHOUT_ORDER = {"load_first": False, "epoch": 0}
REPAIRED = (setting("checks.high_level.resume", load_first=False, epoch=1),)
"""What the listing promises comes about if `load` follows `prepare` and the data order goes on."""

TRAINING = (
    Mutant(
        "an update is missing",
        suite.test_000_training,
        (of_000(lambda v: v["losses"].pop(3)),),
        says="updates",
    ),
    Mutant(
        "no progress in epoch 2", suite.test_000_training, (of_000(flat_second_epoch),), says="second epoch"
    ),
    Mutant("diverges at the end", suite.test_000_training, (of_000(risen_at_the_end),), says="last ten"),
    Mutant("accuracy stands", suite.test_000_training, (of_000(nothing_learnt),), says="rise of training"),
    Mutant(
        "a NaN as loss",
        suite.test_000_training,
        (of_000(lambda v: v["losses"].append(v["losses"].pop() * float("nan"))),),
        says="last ten",
    ),
    Mutant(
        "guesses",
        suite.test_000_training,
        (of_000(lambda v: v.update(test_accuracy=0.1)),),
        says="test accuracy",
    ),
    Mutant("no optimizer file", suite.test_000_files, (of_000(lacks("lenet.pdopt")),), says="lenet.pdopt"),
    Mutant("no program", suite.test_000_files, (of_000(lacks(".json")),), says="programs written"),
    Mutant(
        "two programs",
        suite.test_000_files,
        (of_000(has("inference_model/lenet.pdmodel")),),
        says="programs written",
    ),
    Mutant("Paddle itself", suite.test_002_program_name, repair=(of_000(legacy_name),), says="program"),
    Mutant(
        "a second program",
        suite.test_002_program_name,
        (of_000(has("inference_model/lenet.json")),),
        repair=(of_000(legacy_name),),
        says="program",
    ),
)

PREDICTOR = (
    Mutant(
        "weight's exponent bit flipped",
        suite.test_002_predictor,
        (Files(EXECUTE, flipped("inference_model/*.pdiparams", of="lenet.pdparams"), runtime("predictor")),),
        says="images: run 1",
    ),
    Mutant(
        "stale second image",
        suite.test_002_predictor,
        (outputs(lambda runs: runs.__setitem__(1, runs[0]), runtime("predictor")),),
        says="images: run 2",
    ),
    Mutant(
        "output is a list",
        suite.test_002_predictor,
        (Result(EXECUTE, within(lambda a: a.tolist(), "outputs", 0, 0), runtime("predictor")),),
        says="output is an array",
    ),
    Mutant(
        "no image is run",
        suite.test_002_predictor,
        (setting(EXECUTE, runtime("predictor"), feeds=[]),),
        says="images: number of runs",
    ),
)

FIT = (
    Mutant("no final", suite.test_003_fit, (of_003(lacks("final.pdparams")),), says="final.pdparams"),
    Mutant("an epoch's file missing", suite.test_003_fit, (of_003(lacks("/1.pdparams")),), says="1.pdparams"),
    Mutant(
        "third epoch bad",
        suite.test_003_fit,
        (of_003(lambda v: v["evaluations"].__setitem__(2, 0.5)),),
        says="after three",
    ),
    Mutant(
        "no gain",
        suite.test_003_fit,
        (of_003(lambda v: v["evaluations"].__setitem__(0, v["evaluations"][2])),),
        says="gain",
    ),
    Mutant(
        "evaluate gives another figure",
        suite.test_003_evaluate_and_predict,
        (
            of_003(
                lambda v: v.update(accuracy=v["accuracy"] + 0.001, predicted_accuracy=v["accuracy"] + 0.001)
            ),
        ),
        says="evaluate",
    ),
    Mutant(
        "predict is of other classes",
        suite.test_003_evaluate_and_predict,
        (of_003(lambda v: v.update(predicted_accuracy=v["predicted_accuracy"] - 0.001)),),
        says="predict",
    ),
    Mutant("Paddle itself", suite.test_003_fit_files, repair=(of_003(lacks(".pdopt")),), says="files of fit"),
    Mutant(
        "a file more",
        suite.test_003_fit_files,
        (of_003(has("mnist_checkpoint/3.pdparams")),),
        repair=(of_003(lacks(".pdopt")),),
        says="files of fit",
    ),
    Mutant(
        "no optimizer file", suite.test_003_save_for_training, (of_003(lacks("test.pdopt")),), says="files"
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_003_save_for_training,
        (
            Files(
                "models.states.flat",
                flipped("test.pdparams", of="mnist_checkpoint/test.pdparams"),
                path_has("test.pdparams"),
            ),
        ),
        says="pdparams: linear3.bias",
    ),
    Mutant(
        "moment's exponent bit flipped",
        suite.test_003_save_for_training,
        (
            Files(
                "models.states.flat",
                flipped("test.pdopt", "linear_2.b_0_moment1_0", of="mnist_checkpoint/test.pdopt"),
                path_has("test.pdopt"),
            ),
        ),
        says="pdopt: linear_2.b_0_moment1_0",
    ),
    *(
        Mutant(
            f"weight's exponent bit flipped for {name}",
            suite.test_003_save_for_inference,
            (Files(EXECUTE, EXPORTED, lambda call, name=name: call.arguments["runtime"] == name),),
            {"runtime": name},
            "run 1",
        )
        for name in ("jit", "static", "predictor")
    ),
    Mutant(
        "no feed is run",
        suite.test_003_save_for_inference,
        (setting(EXECUTE, runtime("jit"), feeds=[]),),
        {"runtime": "jit"},
        "number of runs",
    ),
    Mutant(
        "two points less after an epoch",
        suite.test_003_accuracy,
        (of_003(lambda v: v["evaluations"].__setitem__(1, v["evaluations"][1] - 0.02)),),
        repair=(of_003(stated),),
        executor=full_mnist,
        says="after epoch 2",
    ),
    Mutant(
        "an epoch without evaluation",
        suite.test_003_accuracy,
        (of_003(lambda v: v["evaluations"].pop()),),
        repair=(of_003(stated),),
        executor=full_mnist,
        says="epochs evaluated",
    ),
    Mutant(
        "Paddle on few digits",
        suite.test_003_accuracy,
        repair=(of_003(stated),),
        executor=full_mnist,
        says="epoch 1",
    ),
)

SYSTEMS = (
    Mutant(
        "weight's exponent bit flipped",
        suite.test_003_three_systems,
        (Files(HIGH, flipped("model.pdparams")),),
        {"model": "lenet"},
        "static.save/load: output 0",
    ),
    Mutant(
        "nothing was loaded",
        suite.test_003_three_systems,
        (Result(HIGH, lambda found: {**found, "static.save/load": found["static emptied"]}),),
        {"model": "lenet"},
        "static.save/load: output 0",
    ),
    Mutant(
        "one bit off",
        suite.test_003_three_systems,
        (Result(HIGH, within(last_bit, "Model.save/load", 0)),),
        {"model": "lenet"},
        "Model.save/load: output 0",
    ),
    Mutant(
        "a system is missing",
        suite.test_003_three_systems,
        (Result(HIGH, without("static.save/load")),),
        {"model": "lenet"},
        "systems",
    ),
    Mutant(
        "the network before loading is the saved one",
        suite.test_003_three_systems,
        (Result(HIGH, lambda found: {**found, "untouched": found["network"]}),),
        {"model": "lenet"},
        "untouched",
    ),
    Mutant(
        "Paddle itself",
        suite.test_003_names_in_paddle_io,
        repair=(Result("checks.high_level.names_in_paddle_io", put(["load", "load_inference_model"])),),
        says="names",
    ),
)

LOADING = (
    Mutant(
        "weight's exponent bit flipped",
        suite.test_003_load,
        (Files(LOAD, flipped("test.pdparams", of="mnist_checkpoint/test.pdparams")),),
        KEEP,
        "parameters: linear3.bias",
    ),
    Mutant(
        "optimizer state dropped",
        suite.test_003_load,
        (setting(LOAD, reset_optimizer=True),),
        KEEP,
        "optimizer: ",
    ),
    Mutant(
        "optimizer state kept",
        suite.test_003_load,
        (setting(LOAD, reset_optimizer=False),),
        RESET,
        "moments of the",
    ),
    Mutant(
        "moment's exponent bit flipped",
        suite.test_003_load,
        (Files(LOAD, flipped("test.pdopt", "linear_2.b_0_moment1_0", of="mnist_checkpoint/test.pdopt")),),
        KEEP,
        "optimizer: linear_2.b_0_moment1_0",
    ),
    Mutant(
        "the same before loading",
        suite.test_003_load,
        (Result(LOAD, lambda got: {**got, "before": got["after"]}),),
        KEEP,
        "others before",
    ),
    Mutant(
        "nothing of the optimizer was saved",
        suite.test_003_load,
        (Result("models.states.flat", dropped_moments),),
        KEEP,
        "moments saved",
    ),
    Mutant(
        "nothing is of another shape",
        suite.test_003_skip_mismatch,
        (setting(LOAD, number(1), other={}),),
        LAST,
        "parameters of another shape",
    ),
    Mutant(
        "nothing is of the same shape",
        suite.test_003_skip_mismatch,
        (Result("checks.roundtrip.load_arrays", only_skipped),),
        LAST,
        "parameters of the same shape",
    ),
    Mutant(
        "weight's exponent bit flipped",
        suite.test_003_skip_mismatch,
        (
            Files(
                LOAD,
                flipped("model.pdparams", "features.0.norm.weight", "mobilenet_v1_x0_125"),
                argument(skip_mismatch=True),
            ),
        ),
        LAST,
        "features.0.norm.weight",
    ),
    Mutant(
        "loads without a word",
        suite.test_003_skip_mismatch,
        (setting(LOAD, number(2), other={}),),
        LAST,
        "exception without",
    ),
)

RESUME = (
    Mutant(
        "data order from the start",
        suite.test_003_resume,
        (setting("checks.high_level.resume", epoch=0),),
        says="losses",
        slow=True,
    ),
    Mutant(
        "optimizer not restored",
        suite.test_003_resume,
        (setting("checks.high_level.resume", load_first=True),),
        says="losses",
        slow=True,
    ),
    Mutant(
        "last loss one bit off",
        suite.test_003_resume,
        (Result("checks.high_level.resume", within(last_bit, "losses")),),
        says="losses",
        slow=True,
    ),
    Mutant(
        "Paddle itself",
        suite.test_003_resume_example,
        given=WITHOUT_ORDER,
        repair=REPAIRED,
        says="losses",
        slow=True,
    ),
    Mutant(
        "last loss one bit off",
        suite.test_003_resume_example,
        (Result("checks.high_level.resume", within(last_bit, "losses")),),
        WITHOUT_ORDER,
        "losses",
        repair=REPAIRED,
        slow=True,
    ),
)

MUTANTS = (*TRAINING, *PREDICTOR, *FIT, *SYSTEMS, *LOADING, *RESUME)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
