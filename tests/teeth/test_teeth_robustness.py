"""Mutants of suites/test_robustness.py: loaders that swallow damage, or are harmed by it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.execution.executor import Executor
from suites import test_robustness as suite
from suites.support.mutants.disturbances import Arguments, Files, Result, flipped, path_has, put
from suites.support.mutants.machinery import Mutant, Teeth, parameters

LOAD = "checks.loaders.load"
LOADERS = {(loader.name, loader.layout): loader for loader in suite.LOADERS}
PADDLE_LOAD = suite.LOADERS[0]
STATIC = LOADERS["load_inference_model", "jit"]
SEPARATE = LOADERS["load_inference_model", "separate"]
COPY, DAMAGED, AFTER = path_has("/copy"), path_has("/damaged"), path_has("/after")
FLIP = flipped("model.pdparams")


def truncated(loader: suite.Loader, role: str) -> dict[str, Any]:
    return {"loader": loader, "role": role, "kind": "truncated-half"}


def undamaged(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """The files as they lay beside the damaged ones before."""
    files = {role: path.replace("/damaged", "/undamaged") for role, path in arguments["files"].items()}
    return {**arguments, "files": files}


def swallowed(of: str) -> tuple[Arguments, Result]:
    """The loader ignores the damage, and what it gives is changed a little."""

    def change(found: dict[str, Any]) -> dict[str, Any]:
        found[of] = found[of] + 1
        return found

    return Arguments(LOAD, undamaged, DAMAGED), Result(LOAD, change, DAMAGED)


def dies(name: str, **arguments: Any) -> Arguments:
    """Where the damaged file is loaded, the process does this instead."""
    return Arguments(LOAD, lambda _, executor: arguments, DAMAGED, instead=f"checks.selftest.{name}")


def not_a_state(found: dict[str, Any]) -> dict[str, Any]:
    return {"not a state dict but": found["linear3.bias"][:1]}


CONTROL = suite.test_undamaged_copy
CHECK = suite.test_damaged_file
PARAMS = truncated(PADDLE_LOAD, "params")
WEIGHT_FLIPPED = {"loader": PADDLE_LOAD, "role": "params", "kind": "bit-flip-content"}

MUTANTS = (
    Mutant(
        "weight's exponent bit flipped in the copy",
        CONTROL,
        (Files(LOAD, FLIP, COPY),),
        {"loader": PADDLE_LOAD},
        "copy: linear3.bias",
    ),
    Mutant(
        "weight's exponent bit flipped in the copy",
        CONTROL,
        (Files(LOAD, flipped("model.pdiparams"), COPY),),
        {"loader": STATIC},
        "copy: output 0",
    ),
    Mutant(
        "weight's exponent bit flipped in its own file",
        CONTROL,
        (Files(LOAD, flipped("*"), COPY),),
        {"loader": SEPARATE},
        "copy: output 0",
    ),
    Mutant(
        "nothing is loaded",
        CONTROL,
        (Result(LOAD, put({})),),
        {"loader": PADDLE_LOAD},
        "something was loaded",
    ),
    Mutant(
        "values missing", CONTROL, (Result(LOAD, not_a_state, COPY),), {"loader": PADDLE_LOAD}, "copy: names"
    ),
    Mutant("damage swallowed", CHECK, swallowed("linear3.bias"), PARAMS, "loaded without complaint"),
    Mutant(
        "damage swallowed",
        CHECK,
        swallowed("output 0"),
        truncated(STATIC, "program"),
        "loaded without complaint",
    ),
    Mutant(
        "another object loaded",
        CHECK,
        (Arguments(LOAD, undamaged, DAMAGED), Result(LOAD, not_a_state, DAMAGED)),
        PARAMS,
        "loaded without complaint",
    ),
    Mutant(
        "Paddle itself: a flipped weight is loaded",
        CHECK,
        given=WEIGHT_FLIPPED,
        repair=(Arguments(LOAD, undamaged, DAMAGED),),
        says="loaded without complaint",
    ),
    Mutant("dies of it", CHECK, (dies("segfault"),), PARAMS, "WorkerCrash", expected="error"),
    Mutant("ends because of it", CHECK, (dies("leave", status=0),), PARAMS, "WorkerCrash", expected="error"),
    Mutant(
        "loads wrongly after it",
        CHECK,
        (Files(LOAD, FLIP, AFTER),),
        PARAMS,
        "undamaged copy loaded after the refusal: linear3.bias",
    ),
    Mutant(
        "can load nothing after it",
        CHECK,
        (
            Arguments(
                LOAD,
                lambda _, executor: {"kind": "RuntimeError", "message": "no more"},
                AFTER,
                "checks.selftest.fail",
            ),
        ),
        PARAMS,
        "no more",
        expected="error",
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
