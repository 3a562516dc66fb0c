"""The fixture for mutants, and the order of what looks at all of them."""

from __future__ import annotations

import pytest

from suites.support.mutants.fixture import pytest_terminal_summary, teeth

__all__ = ["pytest_terminal_summary", "teeth"]

LAST = "test_every_assertion_is_killed"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # It looks at what all the others did.
    items.sort(key=lambda item: item.name == LAST)
