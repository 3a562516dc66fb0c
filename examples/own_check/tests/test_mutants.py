"""Mutants of own_check/suites/test_zipped.py."""

from __future__ import annotations

import pytest
from own_check.suites import test_zipped as suite

from suites.support.mutants.disturbances import Arguments, Result, last_bit, outputs, put, runtime
from suites.support.mutants.machinery import Mutant, Teeth, parameters

ZIPPED = {"model": "two_linear", "target": "zipped"}
LOAD = "checks.zipped.load"


def of_the_files(arguments, executor):
    return {"path": executor.builder.artifact("jit", "two_linear").file("inference_model", "model")}


UNPACKED = Arguments(LOAD, of_the_files)

MUTANTS = (
    Mutant(
        "one bit off",
        suite.test_same_bits,
        (outputs(lambda runs: runs.__setitem__(1, [last_bit(runs[1][0])]), runtime("zipped")),),
        ZIPPED,
        "run 2: output 0",
    ),
    Mutant(
        "no output",
        suite.test_same_bits,
        (outputs(lambda runs: runs[0].clear(), runtime("zipped")),),
        ZIPPED,
        "outputs of each run",
    ),
    Mutant(
        "the archive itself is given",
        suite.test_as_it_is,
        given={"model": "two_linear"},
        says="model.zip",
        expected="error",
        repair=(UNPACKED,),
    ),
    Mutant(
        "a layer without parameters",
        suite.test_as_it_is,
        (Result(LOAD, put(0)),),
        {"model": "two_linear"},
        "parameters",
        repair=(UNPACKED,),
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
