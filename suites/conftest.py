"""Load the plugin where no conftest.py above has done so: in an installed package."""

import sys

if "harness.plugin.hooks" not in sys.modules:
    pytest_plugins = ["harness.plugin.hooks"]
