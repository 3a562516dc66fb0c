"""A zipped export is the export."""

from __future__ import annotations

import pytest

from harness.checks.case import Case
from harness.execution.executor import Executor
from harness.targets.target import Target

pytestmark = pytest.mark.area("Models in archives", order=1, runtime=True)

FEEDS = ((1, 0), (1, 0), (3, 1))
"""(batch, seed) of each run."""


@pytest.mark.claims("own-zip")
@pytest.mark.targets(runtime="zipped")
def test_same_bits(case: Case, executor: Executor, model: str, target: Target) -> None:
    """A model that is read from an archive gives the bits that its files give."""
    reason = executor.not_applicable(target)
    if reason:
        pytest.skip(reason)
    feeds = [executor.sample(model, batch, seed) for batch, seed in FEEDS]
    expected = executor.execute(Target("jit", "jit"), model, feeds).outputs
    got = executor.execute(target, model, feeds).outputs
    case.exact("outputs of each run", list(map(len, got)), list(map(len, expected)))
    for run, outputs in enumerate(expected):
        for index, value in enumerate(outputs):
            case.bitwise(f"run {run + 1}: output {index}", got[run][index], value)


@pytest.mark.claims("own-zip-as-it-is")
def test_as_it_is(case: Case, executor: Executor, model: str) -> None:
    """`paddle.jit.load` takes the path of an archive."""
    found = executor.pool.call(
        "checks.zipped.load", path=executor.builder.artifact("zip", model).file("model.zip")
    )
    case.at_least("parameters", found, 1)
