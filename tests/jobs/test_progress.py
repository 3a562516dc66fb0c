"""The lines about single cases while a run is followed."""

from __future__ import annotations

from harness.jobs import progress


def test_an_unexpected_pass_says_what_was_expected() -> None:
    record = {
        "outcome": "pass",
        "case": "area/check",
        "reason": "",
        "unexpected": "a known failure passes",
        "expected_failure": "",
    }
    assert progress._unexpected(record)
    assert progress._line(record) == "    pass  area/check: a known failure passes"
