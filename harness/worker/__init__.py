"""The worker: the only package that imports paddle.

It runs in a process of the environment under test, on CPython 3.9 to 3.13 and
NumPy 1.2x or 2.x, and imports nothing of the controller: the bootstrap in
:mod:`harness.pool.workers` makes only ``harness.worker`` and ``reference_models``
importable there, so an accidental import of anything else fails at once.
"""
