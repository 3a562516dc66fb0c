"""The pytest plugin: hooks, options, selection, the session of a run, and outcomes.

It acts on the suites only. A checkout's conftest.py loads it, and outside one ``pytest -p harness.plugin``;
no entry point does, so that no other pytest session sees it or its options.
"""

pytest_plugins = ["harness.plugin.hooks"]
