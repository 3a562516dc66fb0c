"""Mutants of suites/test_distributed.py: ranks that drift apart, lost state, jobs that end the wrong way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.execution.executor import Executor
from suites import test_distributed as suite
from suites.support.mutants.disturbances import (
    Arguments,
    Call,
    Result,
    last_bit,
    put,
    setting,
    values,
    within,
    without,
)
from suites.support.mutants.machinery import Mutant, Teeth, parameters

READ, RUN, ALONE = (
    "training.data_parallel.training.read",
    "training.distributed.run",
    "training.data_parallel.training.alone",
)
GLOO = {"backend": "gloo"}
SGD = {"backend": "gloo", "optimizer": "SGD"}
BIAS = "network/linear3.bias"
WITHOUT_GPUS = {"exported": "without the export"}
NAMED = (Result(RUN, lambda done: {**done, "printed": "RuntimeError: this machine has no GPU"}),)


def resuming(call: Call) -> bool:
    return bool(call.arguments.get("resume"))


def unsynchronized(optimizer: str) -> Arguments:
    """The job of which each rank kept its gradients to itself, as `no_sync` does."""

    def change(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
        made = executor.builder.artifact(
            "data_parallel", "lenet", optimizer=optimizer, device="cpu", sync=False
        )
        return {**arguments, "folder": str(made.path)}

    return Arguments(READ, change)


def same_rows(left: Any) -> Any:
    """Rank 1 takes rank 0's share."""
    left["ranks"][1]["rows"] = left["ranks"][0]["rows"]
    return left


def losses(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Other losses on every rank."""

    def changed(left: Any) -> Any:
        for rank in left["ranks"]:
            rank["losses"] = change(rank["losses"])
        return left

    return changed


def read(*path: Any) -> Result:
    """One bit of what a job left is off."""
    return Result(READ, within(last_bit, *path))


def ran(change: Callable[[Any], Any], *path: Any) -> tuple[Result, ...]:
    return (Result(RUN, within(change, *path)),)


MUTANTS = (
    Mutant(
        "one rank alone",
        suite.test_ranks_agree,
        (Result(READ, within(lambda r: r[:1], "ranks")),),
        GLOO,
        "ranks",
    ),
    Mutant(
        "a process is left running",
        suite.test_ranks_agree,
        (values("data_parallel", lambda v: v.update(left=1)),),
        GLOO,
        "left running",
    ),
    Mutant(
        "both ranks take the same rows", suite.test_ranks_agree, (Result(READ, same_rows),), GLOO, "rows of"
    ),
    Mutant(
        "rank 0 starts elsewhere",
        suite.test_ranks_agree,
        (read("ranks", 0, "start", BIAS),),
        GLOO,
        "start of rank 0",
    ),
    Mutant(
        "gradients stay where they are",
        suite.test_ranks_agree,
        (unsynchronized("Momentum"),),
        GLOO,
        "rank 1, epoch-1",
    ),
    Mutant(
        "rank 1 keeps its own start",
        suite.test_ranks_agree,
        (read("ranks", 1, "start", BIAS),),
        GLOO,
        "rank 1, start",
    ),
    Mutant(
        "gradients stay where they are", suite.test_loss_curve, (unsynchronized("SGD"),), SGD, "loss curve"
    ),
    Mutant(
        "rank 0's state is its own",
        suite.test_loss_curve,
        (unsynchronized("SGD"),),
        SGD,
        "two processes: network/",
    ),
    Mutant(
        "a step is missing", suite.test_loss_curve, (Result(READ, losses(lambda x: x[1:])),), SGD, "steps"
    ),
    Mutant(
        "the loss rises",
        suite.test_loss_curve,
        (Result(READ, losses(lambda x: x[::-1])),),
        SGD,
        "last four steps",
    ),
    Mutant(
        "a parameter is missing",
        suite.test_loss_curve,
        (Result(READ, within(without(BIAS), "ranks", 0, "epoch-2")),),
        SGD,
        "names of the final state",
    ),
    Mutant(
        "half the batch is another training",
        suite.test_loss_curve,
        (setting(ALONE, lambda call: call.arguments.get("dtype") == "float64", batch=32, examples=256),),
        SGD,
        "off by in float32",
    ),
    Mutant("the job fails", suite.test_repeats, ran(put([1]), "statuses"), {}, "statuses"),
    Mutant("a process is left running", suite.test_repeats, ran(put(1), "left"), {}, "left running"),
    Mutant(
        "one loss one bit off", suite.test_repeats, ran(last_bit, "ranks", 1, "losses"), {}, "rank 1: losses"
    ),
    Mutant(
        "one parameter one bit off",
        suite.test_repeats,
        ran(last_bit, "ranks", 1, "epoch-2", BIAS),
        {},
        "rank 1: network",
    ),
    Mutant(
        "no last checkpoint", suite.test_repeats, ran(without("epoch-2"), "checkpoints"), {}, "checkpoints"
    ),
    Mutant(
        "another last checkpoint",
        suite.test_repeats,
        ran(last_bit, "checkpoints", "epoch-2", BIAS),
        {},
        "last checkpoint",
    ),
    Mutant(
        "sums in another order",
        suite.test_repeats,
        (setting(RUN, config={"sum_order": 1}),),
        {},
        "rank 0: losses",
        slow=True,
    ),
    Mutant("the job fails", suite.test_resume_in_two, ran(put([1]), "statuses"), {}, "statuses"),
    Mutant(
        "starts elsewhere",
        suite.test_resume_in_two,
        ran(last_bit, "ranks", 1, "start", BIAS),
        {},
        "rank 1, start",
    ),
    Mutant(
        "one loss one bit off",
        suite.test_resume_in_two,
        ran(last_bit, "ranks", 0, "losses"),
        {},
        "rank 0: losses",
    ),
    Mutant(
        "ends elsewhere",
        suite.test_resume_in_two,
        ran(last_bit, "ranks", 1, "epoch-2", BIAS),
        {},
        "rank 1, end",
    ),
    Mutant(
        "optimizer state lost",
        suite.test_resume_in_two,
        (Arguments(RUN, lambda a, executor: {**a, "config": {**a["config"], "keep_optimizer": False}}),),
        {},
        "rank 1: losses",
        slow=True,
    ),
    Mutant(
        "checkpoint of another state",
        suite.test_resume_in_one,
        (read("checkpoints", "epoch-1", BIAS),),
        {},
        "checkpoint",
    ),
    Mutant(
        "starts elsewhere",
        suite.test_resume_in_one,
        (Result(ALONE, within(last_bit, "start", BIAS), resuming),),
        {},
        "start",
    ),
    Mutant(
        "optimizer state lost",
        suite.test_resume_in_one,
        (setting(ALONE, resuming, keep_optimizer=False),),
        {},
        "one process: loss curve",
    ),
    Mutant(
        "an optimizer's value is missing",
        suite.test_resume_in_one,
        (Result(ALONE, within(without(BIAS), "epoch-2"), resuming),),
        {},
        "names of the final state",
    ),
    Mutant("it hangs", suite.test_killed_rank, ran(put("by the deadline"), "ended"), {}, "ended"),
    Mutant("nobody is killed", suite.test_killed_rank, (setting(RUN, config={}),), {}, "status of success"),
    Mutant(
        "ends with 0 all the same", suite.test_killed_rank, ran(put([0]), "statuses"), {}, "status of success"
    ),
    Mutant("the other rank goes on", suite.test_killed_rank, ran(put(1), "left"), {}, "left running"),
    Mutant("no error is told", suite.test_killed_rank, ran(put(""), "printed"), {}, "names a rank"),
    Mutant(
        "no checkpoint", suite.test_killed_rank, ran(without("epoch-1"), "checkpoints"), {}, "checkpoints"
    ),
    Mutant(
        "a torn checkpoint",
        suite.test_killed_rank,
        ran(last_bit, "checkpoints", "epoch-1", BIAS),
        {},
        "checkpoint: network",
    ),
    Mutant(
        "the rank hangs instead",
        suite.test_killed_rank,
        (setting(RUN, config={"fault": {"rank": 1, "step": suite.KILLED, "how": "hangs"}}, limit_s=20.0),),
        {},
        "ended",
        slow=True,
    ),
    Mutant(
        "as Paddle says it",
        suite.test_gpus_that_are_not_there,
        given=WITHOUT_GPUS,
        repair=NAMED,
        says="an error names",
    ),
    Mutant(
        "it hangs",
        suite.test_gpus_that_are_not_there,
        ran(put("by the deadline"), "ended"),
        WITHOUT_GPUS,
        "ended",
        repair=NAMED,
    ),
    Mutant(
        "it starts all the same",
        suite.test_gpus_that_are_not_there,
        ran(put([0]), "statuses"),
        WITHOUT_GPUS,
        "status of success",
        repair=NAMED,
    ),
    Mutant("one host fails", suite.test_two_hosts, ran(put([0, 1]), "statuses"), {}, "statuses", slow=True),
    Mutant(
        "one host trains",
        suite.test_two_hosts,
        (Result(RUN, within(lambda ranks: ranks[:1], "ranks")),),
        {},
        "ranks",
        slow=True,
    ),
    Mutant(
        "one loss one bit off",
        suite.test_two_hosts,
        ran(last_bit, "ranks", 1, "losses"),
        {},
        "rank 1: losses",
        slow=True,
    ),
    Mutant(
        "ends elsewhere",
        suite.test_two_hosts,
        ran(last_bit, "ranks", 1, "epoch-2", BIAS),
        {},
        "rank 1: network",
        slow=True,
    ),
)


@pytest.mark.parametrize("mutant", parameters(MUTANTS))
def test_mutant(teeth: Teeth, mutant: Mutant) -> None:
    teeth.prove(mutant)
