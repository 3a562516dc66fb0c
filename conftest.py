"""Loads the plugin; everything it does is in :mod:`harness.plugin`."""

pytest_plugins = ["harness.plugin"]
