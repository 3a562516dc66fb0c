"""Which arguments name tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.paths import names_tests


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("suites", True),
        ("suites/test_topology.py", True),
        ("suites/test_topology.py::test_reload", True),
        ("suites/no_such.py", False),
        ("-k", False),
        ("topology and not slow", False),
        ("", False),
    ],
)
def test_values_of_options_name_no_tests(argument: str, named: bool, tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "test_topology.py").touch()
    assert names_tests(argument, tmp_path) is named
