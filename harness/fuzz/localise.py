"""Localise a failure: the operator that diverges first, and the pass that causes it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from harness.execution.engine_log import read
from harness.fuzz.builder import Network, restricted
from harness.fuzz.examine import CALL, examine, stages_for
from harness.fuzz.verdict import Failure
from harness.pool.workers import WorkerFailure, WorkerPool

BUDGET_S = 60.0
ALWAYS = ("inference_op_replace_pass", "ir_graph_build_pass", "params_sync_among_devices_pass")


def first_operator(pool: WorkerPool, network: Network, failure: Failure) -> tuple[str, tuple[str, ...]]:
    """Find the first operator whose value, as the only output, fails alike; and those just before it.

    Each intermediate value is made the output in turn. The exported program then ends there, so that passes
    cannot fuse anything after it. Returns ``("", ())`` where no single value shows the failure.
    """
    first = len(network["inputs"])
    for place, node in enumerate(network["nodes"]):
        part = restricted(network, [first + place])
        if not part["inputs"]:
            continue
        found = examine(pool, part, stages_for(failure.stage))
        if any(other.key == failure.key for other in found.failures):
            return node["op"], tuple(sorted(_upstream(part)))
    return "", ()


def _upstream(part: Network, distance: int = 3) -> set[str]:
    first = len(part["inputs"])
    found, level = set(), set(part["outputs"])
    for _ in range(distance + 1):
        nodes = [part["nodes"][index - first] for index in level if index >= first]
        found |= {node["op"] for node in nodes}
        level = {index for node in nodes for index in node["inputs"]}
    return found


def guilty_passes(pool: WorkerPool, network: Network, failure: Failure) -> tuple[str, ...]:
    """Find the predictor's passes without which the failure is gone; each is disabled separately.

    Which engine options avoid it is seen from the stages that do not fail.
    """
    if not failure.stage.startswith(("predictor", "folded")):
        return ()
    end = time.monotonic() + BUDGET_S
    found = []
    for name in _passes(pool, network, failure.stage):
        if time.monotonic() > end:
            break
        verdict = examine(pool, network, stages_for(failure.stage), {"without": [name]})
        if not verdict.failures:
            found.append(name)
    return tuple(found)


def _passes(pool: WorkerPool, network: Network, stage: str) -> Iterator[str]:
    """Yield the names of passes that ran, from the predictor's log."""
    try:
        pool.call(
            CALL, network=network, batches=[2], draws=0, stages=[stage], additive=False, options={"log": True}
        )
    except WorkerFailure as error:
        text = error.failure.log_tail
    else:
        text = pool.warm().printed()
    yield from (name for name in dict.fromkeys(read(text).passes) if name not in ALWAYS)
