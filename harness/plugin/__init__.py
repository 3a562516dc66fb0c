"""The pytest plugin: hooks, options, selection, the session of a run, and outcomes.

It acts on the suites only. Jobs and the command line start pytest with it.
"""
