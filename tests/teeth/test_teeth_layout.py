"""Mutants of suites/test_layout.py."""

from __future__ import annotations

import msgspec
import pytest

from harness.artifacts.store import Manifest
from suites import test_layout as suite
from suites.support.mutants.disturbances import (
    Files,
    Made,
    flipped,
    last_bit,
    number,
    outputs,
    setting,
    values,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

EXECUTE = "runtimes.execute"
SEPARATE = {"model": "lenet", "route": "static-separate"}
COMBINED = {"model": "lenet", "route": "predictor-combined"}
LENET = {"model": "lenet"}


def second_parameter_file(manifest: Manifest) -> Manifest:
    return msgspec.structs.replace(manifest, files={**manifest.files, "inference_model/extra.pdiparams": ""})


MUTANTS = (
    Mutant(
        "weight's exponent bit flipped in its own file",
        suite.test_same_outputs,
        (Files(EXECUTE, flipped("separate_persistables/*"), number(2)),),
        SEPARATE,
        "run 1: output 0",
    ),
    Mutant(
        "weight's exponent bit flipped in the combined file",
        suite.test_same_outputs,
        (Files(EXECUTE, flipped("model.pdiparams"), number(2)),),
        COMBINED,
        "run 1: output 0",
    ),
    Mutant(
        "one bit off",
        suite.test_same_outputs,
        (outputs(lambda runs: runs.__setitem__(2, [last_bit(runs[2][0])]), number(2)),),
        SEPARATE,
        "run 3: output 0 as combined",
    ),
    Mutant(
        "no output",
        suite.test_same_outputs,
        (outputs(lambda runs: runs[0].clear(), number(2)),),
        SEPARATE,
        "run 1: number of outputs",
    ),
    Mutant(
        "no feed is run",
        suite.test_same_outputs,
        (setting(EXECUTE, number(2), feeds=[]),),
        SEPARATE,
        "number of runs",
    ),
    Mutant(
        "a file is missing",
        suite.test_separate_files,
        (values("separate", lambda v: v["parameters"].pop()),),
        LENET,
        "files",
    ),
    Mutant(
        "weight's exponent bit flipped in its own file",
        suite.test_separate_files,
        (Files("checks.layouts.separate_parameters", flipped("separate_persistables/*")),),
        LENET,
        "parameter: linear_2.b_0",
    ),
    Mutant(
        "a second parameter file",
        suite.test_one_parameter_file,
        (Made("jit", second_parameter_file),),
        LENET,
        "parameter files",
    ),
    Mutant(
        "weight's exponent bit flipped in the combined file",
        suite.test_one_parameter_file,
        (Files("checks.layouts.combined_parameters", flipped("model.pdiparams")),),
        LENET,
        "linear3.bias is in the file",
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
