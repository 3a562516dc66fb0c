"""Mutants: what disturbs a check on purpose, and the proof that it notices.

Those of this project are in ``tests/teeth/``; an extension has its own (docs/extending.md).
"""
