"""Mutants of suites/test_cpp.py: a predictor that is another one than Python's, and a program that lies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.execution.executor import Executor
from suites import test_cpp as suite
from suites.support.mutants.disturbances import (
    Arguments,
    Call,
    Files,
    Result,
    flipped,
    last_bit,
    number,
    option,
    outputs,
    put,
    runtime,
    setting,
    within,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

EXECUTE, OPEN, RUN = "runtimes.execute", "runtimes.open_session", "cpp.program.run"
CPP, PYTHON = runtime("predictor_cpp"), runtime("predictor")
FLIP = flipped("model.pdiparams")
LENET = {"model": "lenet", "configuration": "onednn"}


def line(
    change: Callable[[list[str]], list[str]], when: Callable[[Call], bool] = lambda call: True
) -> Arguments:
    """The program is called with another command line."""
    return Arguments(RUN, lambda a, executor: {**a, "arguments": change(list(a["arguments"]))}, when)


def writing(call: Call) -> bool:
    return "--output" in call.arguments["arguments"]


def told(name: str, value: Any, when: Callable[[Call], bool] = lambda call: True) -> Result:
    """The program ended otherwise, or printed something else."""
    return Result(RUN, within(put(value), name), when)


def moved_input(given: list[str]) -> list[str]:
    """The first input is one unit in the last place off everywhere, in a file of its own."""
    at = given.index("--input") + 1
    name, path = given[at].split("=", 1)
    other = path.replace(".npy", "-moved.npy")
    np.save(other, np.nextafter(np.load(path), np.float32(2)))
    return [*given[:at], f"{name}={other}", *given[at + 1 :]]


def fewer_runs(given: list[str]) -> list[str]:
    at = given.index("--repeat") + 1
    return [*given[:at], "2", *given[at + 1 :]]


def unwritten(given: list[str]) -> list[str]:
    return given[: given.index("--output")]


def last_left_out(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    return {**arguments, "feeds": arguments["feeds"][:-1]}


def turned(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """Both predictors are given other values than the check put in."""
    return {**arguments, "feeds": [[array[::-1].copy() for array in feed] for feed in arguments["feeds"]]}


def sane(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    """What the network can take instead of what it was given."""
    return {**arguments, "feeds": [[executor._sample("lenet", 2, 0)[0]]]}


def other_values(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
    return {**arguments, "feeds": [[executor._sample("lenet", 2, 1)[0]]]}


def fast_clock(answer: Any) -> Any:
    """A clock that counts thousandths as seconds."""
    return {**answer, "seconds": [seconds * 1000 for seconds in answer["seconds"]]}


mutant = functools.partial(Mutant, needs="a C++ compiler")

BY_HAND = {"model": "lenet"}
TYPE, RANK = {"kind": "int64"}, {"kind": "rank"}

MUTANTS = (
    mutant(
        "weight's exponent bit flipped",
        suite.test_bits,
        (Files(EXECUTE, FLIP, CPP),),
        LENET,
        "run 1: output 0",
    ),
    mutant(
        "last bit of a later run",
        suite.test_bits,
        (outputs(lambda runs: runs[4].__setitem__(0, last_bit(runs[4][0])), CPP),),
        LENET,
        "run 5: output 0",
    ),
    mutant(
        "one thread",
        suite.test_bits,
        (option(EXECUTE, CPP, threads=1),),
        {**LENET, "configuration": "threads2"},
        "configuration",
    ),
    mutant("without oneDNN", suite.test_bits, (option(EXECUTE, CPP, onednn=False),), LENET, "configuration"),
    mutant(
        "last run left out",
        suite.test_bits,
        (Arguments(EXECUTE, last_left_out, CPP),),
        LENET,
        "number of runs",
    ),
    mutant(
        "an output missing",
        suite.test_bits,
        (outputs(lambda runs: runs[2].pop(), CPP),),
        {**LENET, "model": "two_inputs"},
        "run 3: number of outputs",
    ),
    mutant(
        "another input",
        suite.test_bits,
        (Result(EXECUTE, within(put(["y"]), "describe", "inputs"), CPP),),
        LENET,
        "names",
    ),
    mutant(
        "another build of the library",
        suite.test_bits,
        (Result(EXECUTE, within(put(["version: 2.0.0", "commit: 0000000"]), "describe", "library"), CPP),),
        LENET,
        "commit",
    ),
    mutant(
        "weight's exponent bit flipped",
        suite.test_older_files,
        (Files(EXECUTE, FLIP, CPP),),
        {"model": "lenet", "layout": "combined"},
        "run 1: output 0",
    ),
    mutant(
        "weight's exponent bit flipped in its own file",
        suite.test_older_files,
        (Files(EXECUTE, flipped("*"), CPP),),
        {"model": "lenet", "layout": "separate"},
        "run 1: output 0",
    ),
    mutant(
        "both are given other values",
        suite.test_dtype,
        (Arguments(EXECUTE, turned),),
        {"dtype": "int8"},
        "put in",
    ),
    mutant(
        "truncated to whole numbers",
        suite.test_dtype,
        (outputs(lambda runs: runs[0].__setitem__(0, np.trunc(runs[0][0])), CPP),),
        {"dtype": "float64"},
        "run 1: output 0",
    ),
    mutant("ends with a status", suite.test_by_hand, (told("status", 3, writing),), BY_HAND, "exit status"),
    mutant("writes nothing", suite.test_by_hand, (line(unwritten, writing),), BY_HAND, "files written"),
    mutant("input one unit off", suite.test_by_hand, (line(moved_input, writing),), BY_HAND, "output 0"),
    mutant("fewer runs", suite.test_by_hand, (line(fewer_runs),), BY_HAND, "runs timed"),
    mutant(
        "input one unit off where outputs are printed",
        suite.test_by_hand,
        (line(moved_input, lambda call: not writing(call)),),
        BY_HAND,
        "first values printed",
    ),
    mutant("dies of it", suite.test_declared_inputs, (told("status", -11),), BY_HAND, "exit status"),
    mutant(
        "runs instead", suite.test_declared_inputs, (line(lambda given: given[:-1]),), BY_HAND, "exit status"
    ),
    mutant(
        "tells of another",
        suite.test_declared_inputs,
        (told("out", "x takes float32 [-1, 784]"),),
        BY_HAND,
        "inputs",
    ),
    mutant("dies of it", suite.test_refusal, (told("status", -11),), TYPE, "exit status"),
    mutant(
        "ends as if nothing were",
        suite.test_refusal,
        (told("status", 0),),
        {"kind": "truncated-params"},
        "exit status",
    ),
    mutant("says nothing", suite.test_refusal, (told("err", ""),), {"kind": "missing-params"}, " says "),
    mutant(
        "Python takes what C++ refuses",
        suite.test_refusal,
        (Arguments(EXECUTE, sane, PYTHON),),
        TYPE,
        "something is said",
    ),
    mutant(
        "not refused",
        suite.test_later_run,
        (Arguments("runtimes.infer", sane, number(2)),),
        RANK,
        "it was refused",
    ),
    mutant(
        "not refused",
        suite.test_later_run,
        (Arguments("runtimes.infer", sane, number(2)),),
        TYPE,
        "runs besides",
    ),
    mutant(
        "another answer afterwards",
        suite.test_later_run,
        (Arguments("runtimes.infer", other_values, number(3)),),
        RANK,
        "afterwards",
    ),
    mutant(
        "takes it for a refusal",
        suite.test_wrong_arguments,
        (told("status", 1),),
        {"kind": "switch"},
        "exit status",
    ),
    mutant(
        "prints the usage",
        suite.test_wrong_arguments,
        (line(lambda given: ["--help"]),),
        {"kind": "unknown"},
        "lines",
    ),
    mutant(
        "complains of something else",
        suite.test_wrong_arguments,
        (line(lambda given: ["--log=on"]),),
        {"kind": "number"},
        " says ",
    ),
    mutant("refuses to help", suite.test_usage, (line(lambda given: ["--hlep"]),), {}, "exit status"),
    mutant("starts otherwise", suite.test_usage, (told("out", "help: --model"),), {}, "first word"),
    mutant(
        "names few arguments",
        suite.test_usage,
        (told("out", "usage: predictor --model"),),
        {},
        "does not name",
    ),
    mutant(
        "fewer blocks",
        suite.test_latency,
        (setting("checks.timing.paired", blocks=3),),
        BY_HAND,
        "blocks timed",
    ),
    mutant(
        "a clock that stands",
        suite.test_latency,
        (Result("checks.timing.paired", lambda found: [[0.0] * 12, found[1]]),),
        BY_HAND,
        "no time",
    ),
    mutant(
        "a clock that runs fast",
        suite.test_latency,
        (Result("checks.timing.block", fast_clock),),
        BY_HAND,
        "share of the time",
    ),
    mutant(
        "weight's exponent bit flipped", suite.test_latency, (Files(OPEN, FLIP, CPP),), BY_HAND, "while timed"
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
