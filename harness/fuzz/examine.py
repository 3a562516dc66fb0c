"""One network judged: executed in a worker, and what looks wrong looked at again more closely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.fuzz.builder import Network
from harness.fuzz.judge import judge
from harness.fuzz.verdict import ALIKE, DEFAULT, FOCUS, Failure, Verdict, of_crash, sentence
from harness.pool.workers import RemoteError, WorkerCrash, WorkerPool, WorkerTimeout

DRAWS = 3
DRAWS_AGAIN = 24
"""Moved runs before a wrong answer is believed: near-ties show in some of them."""
CALL = "checks.generated.checks.run"
DOUBTED = ("fail", "timeout")
"""Outcomes that are believed only if a second look has them too: a busy machine is slow once."""


def batches(network: Network) -> list[int]:
    """Two rows, and three where the batch is dynamic."""
    return [2, 3] if network["dynamic"] else [2]


def stages_of(focus: str) -> list[str]:
    """The stages of a focus; the dynamic graph always, since the others are held to it."""
    return list(DEFAULT) if not focus else ["dygraph", *FOCUS[focus]]


def stages_for(stage: str) -> list[str]:
    """What must be executed to see a stage fail, and to see that it is not a plainer one's failure."""
    if stage == "export":
        return list(DEFAULT)
    return list(dict.fromkeys(["dygraph", ALIKE.get(stage, stage), stage]))


def examine(
    pool: WorkerPool, network: Network, stages: Sequence[str] = DEFAULT, options: Any = None
) -> Verdict:
    """The verdict on a network; a wrong answer has been confirmed by a second, closer look.

    Every wrong answer, and whatever took too long, is judged twice, the second time in a new execution
    against an oracle with many more moved runs.
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
        # Only the oracle's own run is outside the stages.
        failure = error.failure
        return Verdict((Failure("error", "oracle", sentence(failure.type, failure.message)),))
    except (WorkerCrash, WorkerTimeout) as error:
        return Verdict((of_crash(error),))
    return judge(answer)
