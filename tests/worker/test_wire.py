"""Values cross the boundary unchanged, arrays bit for bit."""

from __future__ import annotations

import pickle
import subprocess
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.checks.tolerance import bitwise
from harness.pool.workers import WorkerPool
from harness.worker.protocol.wire import pack, unpack

DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32",
    "float64", "complex64", "complex128", "<U3", "S4",
)  # fmt: skip
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
TEXT = st.text(st.characters(codec="utf-8"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | st.binary()
VALUES = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.integers(), inner, max_size=4),
    max_leaves=12,
)


def same(got: Any, expected: Any) -> bool:
    if isinstance(expected, np.ndarray):
        return bitwise("", got, expected, empty_ok=True).ok
    if isinstance(expected, list | tuple):
        return isinstance(got, list) and len(got) == len(expected) and all(map(same, got, expected))
    if isinstance(expected, dict):
        return list(got) == list(expected) and all(same(got[name], expected[name]) for name in expected)
    return type(got) is type(expected) and got == expected


@given(VALUES)
@settings(deadline=None)
def test_round_trip(value: Any) -> None:
    """Integers of any size too, which execnet's own serialization does not take."""
    assert same(unpack(pack(value)), value)


@pytest.mark.parametrize(
    "value", [(1, 2), np.float32(0.5), np.int64(3), np.bool_(True), np.float64(0.1), np.str_("a")]
)
def test_numpy_scalars_and_tuples_arrive_as_plain_values(value: Any) -> None:
    got = unpack(pack(value))
    assert got == (list(value) if isinstance(value, tuple) else value.item())
    assert type(got).__module__ == "builtins"


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12)[::2],
        np.arange(4, dtype=">i4"),
        np.array(3.5, "float16"),
        np.broadcast_to(np.float32(1), (2, 3)),
    ],
    ids=["Fortran order", "strided", "big endian", "rank 0", "broadcast"],
)
def test_array_layouts(array: np.ndarray) -> None:
    got = unpack(pack(array))
    assert got.shape == array.shape
    assert got.dtype == array.dtype
    assert np.array_equal(got, array)


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, np.array([None]), lambda: None, {"a": [object()]}])
def test_what_cannot_cross_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        pack(value)


@given(VALUES)
@settings(deadline=None, max_examples=30)
def test_round_trip_through_a_worker(pool: WorkerPool, value: Any) -> None:
    assert same(pool.call("checks.selftest.echo", value=value), value)


def test_large_array_crosses(pool: WorkerPool) -> None:
    array = np.random.default_rng(1).normal(size=(500, 5000)).astype("float32")
    assert same(pool.call("checks.selftest.echo", value=[array])[0], array)


def test_message_makes_nothing_but_plain_values() -> None:
    """Another host answers in messages: one must not be able to call anything here."""
    with pytest.raises(pickle.UnpicklingError, match="only plain values"):
        unpack(pickle.dumps({"ok": subprocess.Popen}))
