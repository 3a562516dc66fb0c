"""The user's own models (`--add-model`): whether they can be used here at all, before anything is compared.

A model's first run is judged once (:mod:`harness.models.first_run`). No other check runs a model that is
refused here; its cases end as not run, with this reason.
"""

from __future__ import annotations

import pytest

from harness.checks.case import Case
from harness.core.errors import ModelRefused
from harness.execution.executor import Executor

OTHER_BATCH = 3
"""The batch size that is tried in addition to one."""

pytestmark = [pytest.mark.area("Models of the user"), pytest.mark.models(role="user")]


def test_usable(case: Case, executor: Executor, model: str) -> None:
    """The model loads, runs within its limits, and gives finite numbers, the same in a second run."""
    found = executor.builder.usable(model)
    case.notes.extend(found.notes)
    if found.failure is not None:
        raise found.failure
    case.measures["form"] = executor.models[model].form
    case.measures["inputs"] = [list(item) for item in found.inputs]
    case.measures["oracle"] = "float64" if found.exact else "moved by a rounding"
    first, second = (dict(zip(found.outputs, run, strict=True)) for run in found.runs)
    case.at_least("outputs", float(len(first)), 1.0)
    case.exact("values that are not finite", found.not_finite, 0)
    case.at_least("values in the outputs", float(sum(output.size for output in first.values())), 1.0)
    for name, output in first.items():
        case.bitwise(f"second run: {name}", second.get(name), output, empty_ok=True)


@pytest.mark.models(role="user", forms=("layer", "deployed"))
def test_batches(case: Case, executor: Executor, model: str) -> None:
    """A model whose inputs have an open batch dimension runs batch sizes other than one."""
    found = executor.builder.usable(model)
    if found.refusal:
        raise ModelRefused(executor.paddle, found.refusal)
    if not found.open_batch:
        pytest.skip("its inputs fix the batch size")
    if found.batch_failure is not None:
        case.notes.append("its other cases run at batch 1; spec=NAME:1x… says that this is all it takes")
        raise found.batch_failure
    case.exact("batch sizes that run", list(found.batches), [1, OTHER_BATCH])
