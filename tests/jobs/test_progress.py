"""The lines about single cases while a run is followed."""

from __future__ import annotations

from harness.jobs import watch


def test_an_unexpected_pass_says_what_was_expected() -> None:
    record = {
        "outcome": "pass",
        "case": "area/check",
        "reason": "",
        "unexpected": "a known failure passes",
        "expected_failure": "",
    }
    assert watch._unexpected(record)
    assert watch._line(record) == "    pass  area/check: a known failure passes"
