"""What counts as a difference between the harnesses of two runs."""

from __future__ import annotations

import pytest

from harness.core.types import RunHeader
from harness.gate.differences import between


def header(**harness: str) -> RunHeader:
    return RunHeader(run="r", started="", tier="gate", command="", harness=harness)


@pytest.mark.parametrize(
    ("old", "new", "differ"),
    [
        ({"version": "0.2.0.dev1", "source": "a"}, {"version": "0.2.0.dev2", "source": "a"}, False),
        ({"version": "0.2.0", "source": "a"}, {"version": "0.2.0", "source": "b"}, True),
        ({"version": "0.1.0"}, {"version": "0.2.0", "source": "a"}, True),
        ({"version": "0.1.0"}, {"version": "0.1.0", "source": "a"}, False),
    ],
)
def test_harnesses_differ_by_their_sources(old: dict[str, str], new: dict[str, str], differ: bool) -> None:
    found = list(between(header(**old), header(**new)))
    assert [difference.what for difference in found] == (["harness"] if differ else [])
