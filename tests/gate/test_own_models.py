"""A user model that was not judged is never passed over."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from report.builders import record

from gate.test_verdicts import NEW, OLD, environment, gate
from harness.core.types import Record
from harness.gate.outputs import summary_markdown
from harness.gate.policy import Acknowledged, Policy

FORMS = {"good": "deployed", "corrupt": "deployed"}
SIDES = tuple(environment(name, user_models=FORMS) for name in (OLD, NEW))


def first_run(model: str, outcome: Any = "pass", reason: str = "") -> Record:
    return record(f"models/usable[{model}]", outcome, model=model, reason=reason)


def case(model: str, outcome: Any = "pass", **more: Any) -> Record:
    return record(f"agreement/outputs[{model}-predictor]", outcome, model=model, **more)


GOOD = [first_run("good"), case("good")]
REFUSED = [
    first_run("corrupt", "error", "RuntimeError: the file is damaged"),
    case("corrupt", "not-run", reason="refused", reason_kind="model refused"),
]


def test_a_model_that_never_ran_keeps_the_gate_from_passing(tmp_path: Path) -> None:
    runs = [*GOOD, *REFUSED]
    result = gate(tmp_path, runs, runs, environments=SIDES)
    assert (result.status, result.exit_status) == ("inconclusive", 3)
    assert "1 of 2 models of your own was judged" in result.sentence
    words = {model.model: model.words for model in result.models}
    assert words == {
        "good": "unchanged: 2 same",
        "corrupt": "not judged, under both: RuntimeError: the file is damaged",
    }
    assert "under both: RuntimeError: the file is damaged" in summary_markdown(result)


def test_a_policy_that_names_the_model_lets_it_pass_and_it_is_still_counted(tmp_path: Path) -> None:
    runs = [*GOOD, *REFUSED]
    known = Acknowledged(
        "models/usable[corrupt]", "inconclusive", "damaged", "an old file", until=date(2027, 1, 1)
    )
    result = gate(tmp_path, runs, runs, Policy(acknowledged=(known,)), environments=SIDES)
    assert result.status == "pass"
    assert "1 of 2 models of your own was judged" in result.sentence


@pytest.mark.parametrize(
    ("before", "after", "status", "says"),
    [
        # It cannot be used any more: that was judged, and blocks.
        ([first_run("corrupt"), case("corrupt")], REFUSED, "blocked", "1 case of it blocks"),
        # It can be used now, and nothing could be compared with the baseline.
        (REFUSED, [first_run("corrupt"), case("corrupt")], "inconclusive", f"under {OLD}: RuntimeError"),
        # Other checks than its first run were left out, or none of them compared anything.
        ([first_run("corrupt")], [first_run("corrupt")], "inconclusive", "no case compared anything of it"),
        (
            [first_run("corrupt"), case("corrupt", "error", reason="no kernel")],
            [first_run("corrupt"), case("corrupt", "error", reason="no kernel")],
            "inconclusive",
            "under both: no kernel",
        ),
    ],
)
def test_what_counts_as_judged(
    tmp_path: Path, before: list[Record], after: list[Record], status: str, says: str
) -> None:
    result = gate(tmp_path, [*GOOD, *before], [*GOOD, *after], environments=SIDES)
    assert result.status == status
    (model,) = [model for model in result.models if model.model == "corrupt"]
    assert says in model.words


def test_what_works_under_neither_is_not_called_unchanged_alone(tmp_path: Path) -> None:
    broken = record("layout/loads[good]", "error", model="good", reason="no kernel")
    result = gate(tmp_path, [*GOOD, broken], [*GOOD, broken], environments=SIDES)
    (model,) = result.models
    assert model.words == "unchanged: 3 same, 1 of which work under neither"


def test_where_all_were_judged_it_says_so(tmp_path: Path) -> None:
    runs = [*GOOD, first_run("corrupt"), case("corrupt")]
    result = gate(tmp_path, runs, runs, environments=SIDES)
    assert result.status == "pass"
    assert result.sentence.endswith("; 2 of 2 models of your own were judged.")
