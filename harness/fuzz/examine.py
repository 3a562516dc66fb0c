"""Judge one network: execute it in a worker, and confirm what looks wrong by a second, closer run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.fuzz.builder import Network
from harness.fuzz.judge import judge
from harness.fuzz.verdict import ALIKE, DEFAULT, FOCUS, Failure, Verdict, of_crash, sentence
from harness.pool.workers import RemoteError, WorkerCrash, WorkerPool, WorkerTimeout

DRAWS = 3
DRAWS_AGAIN = 24
"""Moved runs needed to confirm a wrong answer: near-ties show in some of them."""
CALL = "checks.generated.checks.run"
DOUBTED = ("fail", "timeout")
"""Outcomes that must occur in a second run too: a busy machine may be slow once."""


def batches(network: Network) -> list[int]:
    """Return the batch sizes: two, and also three where the batch is dynamic."""
    return [2, 3] if network["dynamic"] else [2]


def stages_of(focus: str) -> list[str]:
    """Return the stages of a focus, and always the dynamic graph, with which they are compared."""
    return list(DEFAULT) if not focus else ["dygraph", *FOCUS[focus]]


def stages_for(stage: str) -> list[str]:
    """Return the stages to execute to see this one fail, and that no simpler one fails alike."""
    if stage == "export":
        return list(DEFAULT)
    return list(dict.fromkeys(["dygraph", ALIKE.get(stage, stage), stage]))


def examine(
    pool: WorkerPool, network: Network, stages: Sequence[str] = DEFAULT, options: Any = None
) -> Verdict:
    """Judge a network; a wrong answer is confirmed by a second, closer run.

    Every wrong answer and every timeout is judged twice, the second time in a new execution, against an
    oracle with many more moved runs.
    """
    verdict = _once(pool, network, stages, DRAWS, False, options)
    if any(failure.outcome in DOUBTED for failure in verdict.failures):
        again = _once(pool, network, stages, DRAWS_AGAIN, True, options)
        keys = {failure.key for failure in again.failures}
        kept = tuple(f for f in verdict.failures if f.outcome not in DOUBTED or f.key in keys)
        why = verdict.meaningless or again.meaningless
        verdict = Verdict(kept, why, verdict.compared, verdict.refused)
    return verdict


def _once(
    pool: WorkerPool, network: Network, stages: Sequence[str], draws: int, additive: bool, options: Any
) -> Verdict:
    try:
        answer = pool.call(
            CALL, network=network, batches=batches(network), draws=draws, stages=list(stages),
            additive=additive, options=options,
        )  # fmt: skip
    except RemoteError as error:
        # Only the oracle runs outside the stages, so it raised this.
        failure = error.failure
        return Verdict((Failure("error", "oracle", sentence(failure.type, failure.message)),))
    except (WorkerCrash, WorkerTimeout) as error:
        return Verdict((of_crash(error),))
    return judge(answer)
