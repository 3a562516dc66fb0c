"""Generated networks: a fixed sample, and those that fuzzing found broken."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.case import Case
from harness.execution.executor import Executor
from harness.fuzz.examine import CALL, DRAWS, batches
from harness.fuzz.oracle import Oracle
from harness.fuzz.verdict import DEFAULT, sentence
from suites.support.generated import findings, sample

pytestmark = [pytest.mark.area("Generated networks"), pytest.mark.runs("predictor", "jit", "static")]

SAMPLE = sample()
FINDINGS = findings()


def check(case: Case, executor: Executor, network: dict[str, Any]) -> None:
    """Demand that every stage runs, and that each of its runs is as near the oracle as rounding allows."""
    answer = executor.pool.call(
        CALL, network=network, batches=batches(network), draws=DRAWS, stages=list(DEFAULT)
    )
    stages = answer["stages"]
    truth = Oracle(answer["oracle"], answer["moved"], stages["dygraph"])
    case.exact("oracle's values mean something", truth.why, "")
    raised = {name: sentence(s["raised"], s["message"]) for name, s in stages.items() if "raised" in s}
    case.exact("stages that raised", raised, {})
    absent = set() if _has_constants(network) else {"folded"}
    if answer.get("program") == "model.json":
        absent.add("predictor-memory")
    if not (network["dynamic"] and network["equivariant"]):
        absent |= {"permuted", "rows"}
    case.exact(
        "stages", [stage for stage in DEFAULT if stage in stages], [s for s in DEFAULT if s not in absent]
    )
    for stage, done in stages.items():
        if stage in raised or stage == "export":
            continue
        expected = truth.expected(stage)
        case.exact(f"{stage}: runs", [len(run) for run in done["runs"]], [len(run) for run in expected])
        for run, (outputs, right) in enumerate(zip(done["runs"], expected, strict=False)):
            for index, array in enumerate(right[: len(outputs)]):
                if truth.undecided[index]:
                    continue
                allowance = (truth.own if stage == "dygraph" else truth.wider)[index]
                case.close(f"{stage}, run {run + 1}: output {index}", outputs[index], array, allowance)
        if stage not in ("permuted", "rows"):
            for index, (first, second) in enumerate(zip(*done["runs"][:2], strict=False)):
                case.bitwise(f"{stage}: run 2 repeats run 1: output {index}", second, first)
    restored, saved = (stages.get(stage, {}).get("runs", [()])[0] for stage in ("restored", "dygraph"))
    for index, (got, bits) in enumerate(zip(restored, saved, strict=False)):
        case.bitwise(f"restored: output {index} has the bits of the saved network's", got, bits)


def _has_constants(network: dict[str, Any]) -> bool:
    return any(spec.get("through") for node in network["nodes"] for spec in node.get("params", {}).values())


@pytest.mark.claims("002-formats")
@pytest.mark.parametrize("network", list(SAMPLE))
def test_generated_network(case: Case, executor: Executor, network: str) -> None:
    """A generated network gives the float64 oracle's numbers in every form and engine."""
    check(case, executor, SAMPLE[network])


@pytest.mark.claims("002-formats")
@pytest.mark.parametrize("finding", list(FINDINGS))
def test_what_a_hunt_found(case: Case, executor: Executor, finding: str) -> None:
    """The smallest network that fuzzing found broken gives the oracle's numbers everywhere."""
    check(case, executor, FINDINGS[finding])
