"""Mutants of suites/test_lite.py: conversions that are not what they should be, and those of another model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.lab import Lab
from suites import test_lite as suite
from teeth.disturbances import (
    Arguments,
    Call,
    Files,
    Made,
    Result,
    Disturbance,
    argument,
    number,
    outputs,
    runtime,
    setting,
    values,
    within,
)
from teeth.machinery import Mutant, Teeth, parameters

EXECUTE = "runtimes.execute"
CONVERT = "lite.convert"
OPT = "lite.opt"
LITE = runtime("paddle_lite")
LENET = {"model": "lenet"}
PRUNED = {"model": "lenet", "flow": "prune-l1"}
OTHER = Path("mobilenet_v1_x0_125")


def of_another_model(arguments: dict[str, Any], lab: Lab) -> dict[str, Any]:
    """The `.nb` of a network with the same input and other parameters."""
    made = lab.conversion(lab.targets[suite.TARGET], "conv_bn")
    return {**arguments, "files": {"model": made.file(made.values["files"]["model"])}, "model": "conv_bn"}
