"""The machinery itself: what proves nothing does not count as killed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.checks.case import Case
from harness.execution.executor import Executor
from suites.support.mutants.disturbances import Call, Files, Result, argument, last_bit, put, setting
from suites.support.mutants.machinery import Mutant, Teeth
from suites.support.mutants.way import Broken

ECHO = "checks.selftest.echo"
SENT = np.arange(6, dtype="float32")


def toy_check(case: Case, executor: Executor, expected: int = 6) -> None:
    """Two comparisons on one call."""
    got = executor.pool.call(ECHO, value=SENT)
    case.exact("number", len(got), expected)
    case.bitwise("values", got, SENT)


@pytest.fixture
def other(teeth: Teeth) -> Teeth:
    """The same executor with a count of its own."""
    return Teeth(teeth.executor, teeth.folder)


def of_toy(*by: Any, **more: Any) -> Mutant:
    return Mutant("toy", toy_check, by, **{"given": {"expected": 6}, "says": "values", **more})


def test_a_change_of_the_arguments_is_made_and_counted(other: Teeth) -> None:
    other.prove(of_toy(setting(ECHO, value=SENT + 1)))
    assert other.summary() == ["mutants: 1, killed: 1 (100 %)"]


def test_one_bit_is_killed(other: Teeth) -> None:
    other.prove(of_toy(Result(ECHO, last_bit)))
    assert len(other.killed) == 1


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(of_toy(Result(ECHO, lambda got: got)), id="changes nothing"),
        pytest.param(of_toy(Result(ECHO, last_bit), says="number"), id="killed by another comparison"),
        pytest.param(of_toy(Result(ECHO, last_bit), expected="error"), id="fails where an error is expected"),
    ],
)
def test_survivors_fail_and_are_named(other: Teeth, mutant: Mutant) -> None:
    with pytest.raises(pytest.fail.Exception, match="survived"):
        other.prove(mutant)
    assert other.summary() == ["mutants: 1, killed: 0 (0 %)", f"survived: {mutant.id}"]


@pytest.mark.parametrize(
    ("mutant", "reason"),
    [
        pytest.param(of_toy(Result("checks.selftest.pid", put(0))), "never hit", id="another call"),
        pytest.param(of_toy(Result(ECHO, last_bit, argument(value="no"))), "never hit", id="never the time"),
        pytest.param(of_toy(Result(ECHO, last_bit), given={"expected": 5}), "unmutated", id="fails anyway"),
        pytest.param(of_toy(Result(ECHO, put(None))), "TypeError", id="breaks the check itself"),
        pytest.param(of_toy(Files(ECHO, lambda folder, executor: False)), "no file", id="no file to damage"),
    ],
)
def test_what_proves_nothing_is_broken(other: Teeth, mutant: Mutant, reason: str) -> None:
    with pytest.raises(Broken, match=reason):
        other.prove(mutant)
    assert other.summary() == ["mutants: 0, killed: 0 (0 %)"]


def test_nothing_is_disturbed_afterwards(other: Teeth) -> None:
    other.prove(of_toy(Result(ECHO, last_bit)))
    assert other.executor.pool.call(ECHO, value=SENT).tobytes() == SENT.tobytes()


def test_the_oracle_is_left_alone(other: Teeth) -> None:
    """A disturbed execution next to an undisturbed reference, with nothing cached."""
    calls: list[Call] = []

    def noticed(call: Call) -> bool:
        calls.append(call)
        return True

    def check(case: Case, executor: Executor) -> None:
        case.exact(
            "options", executor.reference("lenet", [executor.sample("lenet", 1, 77)])[0][0].shape, (1, 10)
        )
        executor.pool.call(ECHO, value=1)

    mutant = Mutant("toy", check, (Result("runtimes.execute", put(None), noticed),), says="options")
    with pytest.raises(Broken, match="never hit"):
        other.prove(mutant)
    assert not calls
