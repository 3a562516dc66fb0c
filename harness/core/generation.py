"""Hypothesis, drawing the same values in every process for the same seed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

from hypothesis.internal.conjecture import providers


@contextlib.contextmanager
def reproducible() -> Iterator[None]:
    """Have Hypothesis draw by its seed alone.

    Otherwise it mixes in constants from the code around it, of all modules that are imported by then: the
    same seed draws other values in another process, and after another test.
    """
    if not hasattr(providers, "_get_local_constants"):  # Hypothesis before that
        yield
        return
    from hypothesis.internal.constants_ast import Constants

    with mock.patch.object(providers, "_get_local_constants", Constants):
        providers.CONSTANTS_CACHE.cache.clear()
        try:
            yield
        finally:
            providers.CONSTANTS_CACHE.cache.clear()
