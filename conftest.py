"""Loads the plugin; everything it does is in :mod:`harness.plugin.hooks`."""

pytest_plugins = ["harness.plugin.hooks"]
