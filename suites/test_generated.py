"""Networks that nobody thought of: a fixed sample of generated ones, and those that a hunt found broken."""

from __future__ import annotations

from typing import Any

import pytest

from harness.case import Case
from harness.hunt.examine import CALL, DRAWS, batches
from harness.hunt.judge import STAGES, free, meaningless, sentence, yardsticks_of
from harness.lab import Lab
from suites.support.generated import findings, sample

SAMPLE = sample()
FINDINGS = findings()


def check(case: Case, lab: Lab, network: dict[str, Any]) -> None:
    """Every stage runs, and every run of it is as near the oracle as roundings allow."""
    sizes = batches(network)
    answer = lab.pool.call(CALL, network=network, batches=sizes, draws=DRAWS)
    oracle, moved, stages = answer["oracle"], answer["moved"], answer["stages"]
    case.exact("oracle's values mean something", meaningless(oracle, moved), "")
    raised = {name: sentence(s["raised"], s["message"]) for name, s in stages.items() if "raised" in s}
    case.exact("stages that raised", raised, {})
    rows = network["dynamic"] and network["equivariant"]
    wanted = [stage for stage in STAGES if rows or stage not in ("permuted", "rows")]
    case.exact("stages", [stage for stage in STAGES if stage in stages], wanted)
    own = yardsticks_of(oracle, moved, None)
    wider = yardsticks_of(oracle, moved, stages["dygraph"].get("runs"))
    undecided = free(oracle, moved)
    expected = {
        "permuted": [[array[::-1] for array in oracle[0]]],
        "rows": [[array[row : row + 1] for array in oracle[0]] for row in range(sizes[0])],
        "export": [],
    }
    for stage, done in stages.items():
        if stage in raised:
            continue
        truth = expected.get(stage, [oracle[0], *oracle])
        case.exact(f"{stage}: runs", [len(run) for run in done["runs"]], [len(run) for run in truth])
        for run, (outputs, right) in enumerate(zip(done["runs"], truth, strict=False)):
            for index, array in enumerate(right[: len(outputs)]):
                if undecided[index]:
                    continue
                yardstick = (own if stage == "dygraph" else wider)[index]
                case.close(f"{stage}, run {run + 1}: output {index}", outputs[index], array, yardstick)
        if stage not in expected:
            for index, (first, second) in enumerate(zip(*done["runs"][:2], strict=False)):
                case.bitwise(f"{stage}: run 2 repeats run 1: output {index}", second, first)


@pytest.mark.claims("002-formats")
@pytest.mark.parametrize("network", list(SAMPLE))
def test_generated_network(case: Case, lab: Lab, network: str) -> None:
    """A generated network gives the float64 oracle's numbers in every form and engine."""
    check(case, lab, SAMPLE[network])


@pytest.mark.claims("002-formats")
@pytest.mark.parametrize("finding", list(FINDINGS))
def test_what_a_hunt_found(case: Case, lab: Lab, finding: str) -> None:
    """The smallest network that a hunt found broken gives the oracle's numbers everywhere."""
    check(case, lab, FINDINGS[finding])
