"""Mutants of suites/test_generated.py."""

from __future__ import annotations

from typing import Any

import pytest

from harness.fuzz.examine import CALL
from suites import test_generated as suite
from suites.support.mutants.disturbances import Arguments, Result, put, setting, within, without
from suites.support.mutants.machinery import Mutant, Teeth, parameters

NETWORK = {"network": "network-01"}
FINDING = {"finding": "jit-load-exchanges-outputs"}


def sabotaged(bug: str) -> Arguments:
    """The same call in a process with that bug."""
    return Arguments(
        CALL, lambda given, executor: {**given, "bug": bug}, instead="checks.generated.sabotage.run"
    )


def infinite(array: Any) -> Any:
    return array * float("inf")


def swapped(run: Any) -> Any:
    return run[::-1]


MUTANTS = (
    Mutant(
        "the static executor's numbers one too large",
        suite.test_generated_network,
        (sabotaged("executor"),),
        NETWORK,
        "static, run 1",
    ),
    Mutant(
        "a predictor's later runs give twice the numbers",
        suite.test_generated_network,
        (sabotaged("second run"),),
        NETWORK,
        "predictor: run 2 repeats run 1",
    ),
    Mutant(
        "half of a saved state is not restored",
        suite.test_generated_network,
        (sabotaged("restoring"),),
        NETWORK,
        "restored: output 0 has the bits",
    ),
    Mutant(
        "an oracle that overflows",
        suite.test_generated_network,
        (Result(CALL, within(infinite, "oracle", 0, 0)),),
        NETWORK,
        "mean something",
    ),
    Mutant(
        "a loader that raises",
        suite.test_generated_network,
        (Result(CALL, within(put({"raised": "ValueError", "message": "no"}), "stages", "jit")),),
        NETWORK,
        "stages that raised",
    ),
    Mutant(
        "a stage is left out",
        suite.test_generated_network,
        (setting(CALL, stages=["dygraph", "jit"]),),
        NETWORK,
        "stages",
    ),
    Mutant(
        "a run is missing",
        suite.test_generated_network,
        (Result(CALL, within(without(-1), "stages", "predictor", "runs")),),
        NETWORK,
        "predictor: runs",
    ),
    Mutant(
        "outputs exchanged by the loader",
        suite.test_what_a_hunt_found,
        (Result(CALL, within(swapped, "stages", "jit", "runs", 0)),),
        FINDING,
        "jit, run 1",
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
