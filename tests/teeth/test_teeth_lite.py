"""Mutants of suites/test_lite.py: conversions that failed unseen, and results that are another model's."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.execution.executor import Executor
from suites import test_lite as suite
from suites.support.mutants.disturbances import (
    Arguments,
    Files,
    Result,
    flipped,
    outputs,
    put,
    runtime,
    setting,
    values,
    within,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

EXECUTE, CONVERT, OPT = "runtimes.execute", "lite.opt.convert", "lite.opt.opt"
mutant = functools.partial(Mutant, needs="CPython 3.7, which Paddle Lite is made for")

ON_LITE = runtime("paddle_lite")
LENET = {"model": "lenet"}
QUANTIZED = {"model": "lenet", "method": "qat-static-legacy-ir"}
"""A method whose result runs right: most do not (known_failures.toml)."""


def of_another_training(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """The `.nb` of a LeNet with other parameters: document 000's."""
    profile = "" if executor.profile == "legacy-ir" else "legacy-ir"
    other = executor.builder.artifact("document_000", "lenet", profile)
    with tempfile.TemporaryDirectory(dir=executor.builder.store.root, prefix="mutant.part-") as folder:
        out = Path(folder) / "model"
        prefix = other.file("inference_model", "lenet")
        executor.pool.call(
            CONVERT,
            **executor.options(executor.targets[suite.TARGET]),
            program=prefix + ".pdmodel",
            params=prefix + ".pdiparams",
            target="x86",
            out=str(out),
        )
        kept = executor.pool.logs / "of-another-training.nb"
        kept.write_bytes(out.with_suffix(".nb").read_bytes())
    return {**arguments, "files": {"model": str(kept)}}


def bridged(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """The program as legacy IR exports it."""
    profile = "" if executor.profile == "legacy-ir" else "legacy-ir"
    made = executor.builder.artifact("jit", "lenet", profile)
    params = made.file("inference_model", "model.pdiparams")
    return {**arguments, "program": made.file(made.values["program"]), "params": params}


def half_a_file(folder: Path, executor: Executor) -> bool:
    """Every `.nb` is cut in the middle."""
    found = list(folder.rglob("*.nb"))
    for file in found:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return bool(found)


def of_x86(name: str, value: Any) -> Any:
    """The manifest says otherwise of the conversion for x86."""
    return values("lite", lambda found: found["conversions"]["x86"].update({name: value}))


def backwards(runs: Any) -> None:
    for run in runs:
        run[0] = run[0][:, ::-1]


def not_a_number(runs: Any) -> None:
    runs[0][0][1, 1] = np.nan


def compressed(check: Any) -> tuple[Mutant, ...]:
    """Mutants of a check of compressed models."""
    return (
        mutant(
            "opt aborts", check, (Result(CONVERT, within(put(-6), "status")),), QUANTIZED, "x86: exit status"
        ),
        mutant("an empty file", check, (Result(CONVERT, within(put(0), "bytes")),), QUANTIZED, "arm: bytes"),
        mutant("a NaN", check, (outputs(not_a_number, ON_LITE),), QUANTIZED, "no numbers"),
        mutant("of another training", check, (outputs(backwards, ON_LITE),), QUANTIZED, "share of digits"),
    )


MUTANTS = (
    mutant("opt aborts", suite.test_converts_and_agrees, (of_x86("status", -6),), LENET, "x86: exit status"),
    mutant(
        "opt says nothing", suite.test_converts_and_agrees, (of_x86("printed", ""),), LENET, "says it saved"
    ),
    mutant("an empty file", suite.test_converts_and_agrees, (of_x86("bytes", 0),), LENET, "x86: bytes"),
    mutant(
        "no operator is listed",
        suite.test_converts_and_agrees,
        (of_x86("operators", []),),
        LENET,
        "operators listed",
    ),
    mutant(
        "an operator without a kernel",
        suite.test_converts_and_agrees,
        (of_x86("without kernel", ["svd"]),),
        LENET,
        "without a kernel",
    ),
    mutant(
        "opt refuses the model",
        suite.test_converts_and_agrees,
        (of_x86("verdict", "Error: This model is not supported"),),
        LENET,
        "verdict",
    ),
    mutant(
        "weight's exponent bit flipped",
        suite.test_converts_and_agrees,
        (Files(EXECUTE, flipped("x86/model.nb"), ON_LITE),),
        LENET,
        "x86, run 1",
    ),
    mutant(
        "of another training",
        suite.test_converts_and_agrees,
        (Arguments(EXECUTE, of_another_training, ON_LITE),),
        LENET,
        "x86, run 2",
    ),
    mutant(
        "outputs backwards",
        suite.test_converts_and_agrees,
        (outputs(backwards, ON_LITE),),
        LENET,
        "x86, run 3",
    ),
    mutant(
        "what was converted for arm",
        suite.test_converts_and_agrees,
        (
            Arguments(
                EXECUTE,
                lambda a, executor: {**a, "files": {"model": a["files"]["model"].replace("x86/", "arm/")}},
                ON_LITE,
            ),
        ),
        LENET,
        "x86, run 1",
    ),
    *compressed(suite.test_quantized_model),
    *compressed(suite.test_compressed_model),
    mutant(
        "as Paddle Lite reads it",
        suite.test_program_as_exported,
        repair=(Arguments(CONVERT, bridged),),
        says="exit status for",
    ),
    mutant(
        "an empty file",
        suite.test_program_as_exported,
        (Result(CONVERT, within(put(0), "bytes")),),
        repair=(Arguments(CONVERT, bridged),),
        says="bytes",
    ),
    mutant(
        "ends with 0 all the same",
        suite.test_exit_status,
        (Result(OPT, within(put(0), "status")),),
        {"asked": "no such target"},
        "ends with status 0",
    ),
    mutant(
        "does something else",
        suite.test_exit_status,
        (setting(OPT, arguments=["--version"]),),
        {"asked": "no such target"},
        "names it",
    ),
    mutant(
        "as Paddle Lite does it",
        suite.test_other_processor,
        repair=(Files(EXECUTE, half_a_file),),
        says="arm's .nb",
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
