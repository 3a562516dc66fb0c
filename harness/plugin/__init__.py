"""The pytest plugin: hooks, options, selection, the session of a run, and outcomes.

It acts on the suites only. A checkout's conftest.py loads it, and outside one ``pytest -p harness.plugin``;
no entry point does, so that no other pytest session sees it or its options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["harness.plugin.hooks"]


def pytest_load_initial_conftests(parser: pytest.Parser) -> None:
    """Add the former names of options once all plugins have theirs; ``-p`` comes before entry points."""
    from harness.plugin.options import add_former, names_in

    add_former(parser.getgroup("harness").addoption, names_in(parser))
