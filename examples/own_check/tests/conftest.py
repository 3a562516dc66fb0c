"""Mutants are proved in the interpreter that ``$OWN_CHECK_PYTHON`` names, or in the running one."""

import os
import sys

import pytest

pytest_plugins = ["suites.support.mutants.fixture"]


@pytest.fixture(scope="session")
def python() -> str:
    return os.environ.get("OWN_CHECK_PYTHON", sys.executable)
