"""The controller's side of the worker protocol: workers, the hosts they run on, and another host's files.

What a call means is not known here; that is in :mod:`harness.worker`.
"""
