"""Error measures: what must count as different does, whatever its shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.checks.tolerance import FLOOR_ULPS, MULTIPLE, Tolerance, bitwise, close, exact, largest, rmse

RNG = np.random.default_rng(5)
TRUTH = RNG.normal(size=(4, 10))
DYGRAPH = (TRUTH + RNG.normal(scale=1e-7, size=TRUTH.shape)).astype("float32")
YARD = Tolerance([DYGRAPH], [TRUTH])


def floats(bits: int) -> np.ndarray:
    return np.array([bits], dtype="uint32").view("float32")


SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)
DTYPES = st.sampled_from(["float32", "float64", "float16", "int8", "int64", "bool", "complex64", "uint8"])
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))
FLOATS = hnp.arrays("float32", SHAPES, elements=st.floats(-1e3, 1e3, width=32))


# Bit for bit


@given(ARRAYS)
@settings(deadline=None)
def test_array_equals_itself_bit_for_bit(array: np.ndarray) -> None:
    """NaNs, zeros of either sign and all else included."""
    found = bitwise("x", array.copy(), array)
    assert found.ok, found
    assert found.elements == array.size
    assert found.rule == "bitwise"


@given(ARRAYS, st.data())
@settings(deadline=None)
def test_one_flipped_bit_is_found(array: np.ndarray, data: st.DataObject) -> None:
    other = array.copy()
    raw = other.reshape(-1).view("uint8")
    at = data.draw(st.integers(0, raw.size - 1))
    raw[at] ^= 1 if array.dtype == bool else 1 << data.draw(st.integers(0, 7))
    found = bitwise("x", other, array)
    assert not found.ok
    assert found.message.startswith("1 of ")
    assert found.worst


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        (floats(0x7FC00001), floats(0x7FC00000), "1 of 1"),
        (np.float32([-0.0]), np.float32([0.0]), "1 of 1"),
        (np.float32([1]), np.float64([1]), "dtype float32 where float64"),
        (np.int64([1]), np.int32([1]), "dtype int64 where int32"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "shape [2, 3] where [3, 2]"),
        (np.zeros(1), np.zeros(()), "shape [1] where []"),
        (None, np.zeros(3), "missing"),
        (np.zeros(0), np.zeros(0), "nothing to compare"),
    ],
    ids=["NaN payload", "negative zero", "wider dtype", "int dtype", "transposed", "rank", "None", "empty"],
)
def test_bitwise_refuses(got: Any, expected: np.ndarray, words: str) -> None:
    found = bitwise("x", got, expected)
    assert not found.ok
    assert words in found.message


def test_same_nan_payload_is_equal() -> None:
    assert bitwise("x", floats(0x7FC00001), floats(0x7FC00001)).ok


def test_empty_arrays_need_permission_and_the_same_shape_and_dtype() -> None:
    empty = np.zeros((0, 3), "float32")
    assert bitwise("x", empty.copy(), empty, empty_ok=True).ok
    assert not bitwise("x", np.zeros((0, 4), "float32"), empty, empty_ok=True).ok
    assert not bitwise("x", np.zeros((0, 3), "float64"), empty, empty_ok=True).ok
    assert not bitwise("x", None, empty, empty_ok=True).ok


def test_strided_views_are_compared_by_value() -> None:
    array = np.arange(24, dtype="float32").reshape(4, 6)
    assert bitwise("x", array[:, ::2], np.ascontiguousarray(array[:, ::2])).ok
    assert not bitwise("x", array[:, ::2], np.ascontiguousarray(array[:, 1::2])).ok


def test_strings_are_compared() -> None:
    assert bitwise("x", np.array(["ab", "c"]), np.array(["ab", "c"])).ok
    assert not bitwise("x", np.array(["ab", "c"]), np.array(["ab", "d"])).ok


# Plain values


@pytest.mark.parametrize(
    ("got", "expected", "ok"),
    [
        (1, 1, True),
        ([1, "a"], [1, "a"], True),
        (1, 2, False),
        (1, True, False),
        (1, 1.0, False),
        (None, None, True),
        (float("nan"), float("nan"), False),
        (["b", "a"], ["a", "b"], False),
    ],
)
def test_exact(got: Any, expected: Any, ok: bool) -> None:
    assert exact("x", got, expected).ok is ok


def test_exact_says_that_values_of_another_type_differ() -> None:
    """A failed comparison must never come without a message."""
    assert exact("x", 1, True).message


def test_long_values_are_cut() -> None:
    found = exact("x", list(range(1000)), [])
    assert len(found.got) <= 300
    assert found.got.endswith("…")


# Against an oracle


def test_dygraph_itself_has_headroom_of_one_multiple() -> None:
    found = close("x", DYGRAPH, TRUTH, YARD)
    assert found.ok
    assert found.budget_used is not None
    assert 0 < found.budget_used <= 1 / MULTIPLE
    assert found.error is not None
    assert found.allowed is not None
    assert found.error <= found.allowed


def test_oracle_itself_needs_nothing() -> None:
    found = close("x", TRUTH, TRUTH, YARD)
    assert found.ok
    assert found.budget_used == 0


def test_zero_allowance_admits_equality_only() -> None:
    zero = Tolerance([np.zeros(3)], [np.zeros(3)])
    assert zero.rmse == 0
    assert close("x", np.zeros(3), np.zeros(3), zero).ok
    found = close("x", np.full(3, 1e-30), np.zeros(3), zero)
    assert not found.ok
    assert found.budget_used == float("inf")


def test_floor_is_a_few_units_in_the_last_place_of_the_largest_value() -> None:
    same = Tolerance([TRUTH], [TRUTH])
    assert same.rmse == pytest.approx(FLOOR_ULPS * 2.0**-23 * np.abs(TRUTH).max())


def test_single_wrong_element_in_ten_thousand_is_found() -> None:
    """It drowns in the mean; the largest error has an allowance of its own."""
    truth = RNG.normal(size=10_000)
    measured = (truth + RNG.normal(scale=1e-7, size=truth.shape)).astype("float32")
    yard = Tolerance([measured], [truth])
    wrong = measured.copy()
    wrong[1234] += 2e-5
    assert rmse(wrong, truth) <= yard.rmse, "the mean alone would not see it"
    found = close("x", wrong, truth, yard)
    assert not found.ok
    assert found.message.startswith("largest error")
    assert found.worst.startswith("[1234]")


@pytest.mark.parametrize("order", [[1, 0, 2, 3], [3, 2, 1, 0]])
def test_permuted_rows_fail(order: list[int]) -> None:
    assert not close("x", DYGRAPH[order], TRUTH, YARD).ok


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (None, "missing"),
        (DYGRAPH.T, "shape [10, 4]"),
        (DYGRAPH[0], "shape [10]"),
        (np.zeros((4, 10), "int32"), "floating type"),
        (np.full((4, 10), np.nan, "float32"), "40 non-finite values"),
        (np.where(np.arange(10) == 3, np.inf, DYGRAPH), "4 non-finite values"),
        (np.zeros((4, 10), "float32"), "times the allowed one"),
    ],
    ids=["None", "transposed", "rank", "integers", "all NaN", "some infinite", "all zero"],
)
def test_close_refuses(got: Any, words: str) -> None:
    found = close("x", got, TRUTH, YARD)
    assert not found.ok
    assert words in found.message


def test_non_finite_values_must_stand_at_the_same_places() -> None:
    truth = np.array([np.nan, np.inf, -np.inf, 1.0])
    yard = Tolerance([truth], [truth])
    assert close("x", truth.astype("float32"), truth, yard).ok
    assert not close("x", truth[[1, 0, 2, 3]].astype("float32"), truth, yard).ok
    assert not close("x", -truth.astype("float32"), truth, yard).ok, "infinities of the other sign"


def test_missing_nan_fails() -> None:
    """A finite value where the oracle has a NaN is an answer that should not be there."""
    truth = np.array([np.nan, 1.0])
    assert not close("x", np.float32([0.0, 1.0]), truth, Tolerance([truth], [truth])).ok


def test_empty_outputs_are_no_comparison() -> None:
    assert not close("x", np.zeros((0, 10)), np.zeros((0, 10)), YARD).ok


@pytest.mark.parametrize(("got", "ok"), [([1, 2, 3], True), ([1, 2, 4], False)])
def test_integer_outputs_must_be_equal(got: list[int], ok: bool) -> None:
    found = close("label", np.array(got), np.array([1, 2, 3]), YARD)
    assert found.ok is ok
    assert found.rule == "exact"
    assert bool(found.worst) is not ok


def test_float_where_the_oracle_has_integers_is_not_silently_equal() -> None:
    """An index that comes back as float32 is another type of output."""
    assert not close("label", np.float32([1, 2, 3]), np.int64([1, 2, 3]), YARD).ok


@given(FLOATS)
@settings(deadline=None)
def test_errors_are_symmetric_and_zero_for_the_same(array: np.ndarray) -> None:
    other = (array * np.float32(1.5)).astype("float32")
    assert rmse(array, array) == largest(array, array) == 0
    assert rmse(array, other) == rmse(other, array)
    assert rmse(array, other) <= largest(array, other) * (1 + 1e-12)


@given(FLOATS.filter(lambda array: array.size > 1 and np.abs(array).max() > 1e-3), st.floats(0.01, 10))
@settings(deadline=None)
def test_verdict_follows_the_size_of_the_error(array: np.ndarray, factor: float) -> None:
    """An error of ``factor`` allowances is accepted exactly when the factor is at most one."""
    truth = array.astype("float64")
    yard = Tolerance([truth], [truth])
    moved = truth + factor * yard.largest
    if abs(factor - 1) > 1e-3:
        assert close("x", moved, truth, yard).ok is (factor < 1)


@given(FLOATS.filter(lambda array: array.size > 0), st.data())
@settings(deadline=None)
def test_one_stray_value_anywhere_fails(array: np.ndarray, data: st.DataObject) -> None:
    truth = array.astype("float64")
    wrong = array.copy().reshape(-1)
    at = data.draw(st.integers(0, array.size - 1))
    wrong[at] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    assert not close("x", wrong.reshape(array.shape), truth, Tolerance([truth], [truth])).ok


def test_bfloat16_yardstick_uses_one_unit_of_bfloat16() -> None:
    coarse = Tolerance([TRUTH], [TRUTH], "bfloat16")
    assert coarse.rmse == pytest.approx(2.0**-8 * np.abs(TRUTH).max())


def test_integer_outputs_may_change_as_often_as_the_reference_saw() -> None:
    """An argmax is a near-tie where coarser arithmetic decides otherwise."""
    oracle = np.arange(100)
    seen = np.where(oracle < 2, -1, oracle)
    allowance = Tolerance([seen], [oracle], multiple=4.0)
    assert allowance.changed == pytest.approx(0.08)
    for wrong, ok in ((8, True), (9, False)):
        assert close("label", np.where(oracle < wrong, -1, oracle), oracle, allowance).ok is ok


def test_complex_outputs_are_compared_in_both_parts() -> None:
    rng = np.random.default_rng(1)
    oracle = rng.normal(size=(4, 5)) + 1j * rng.normal(size=(4, 5))
    reference = oracle.astype("complex64")
    allowance = Tolerance([reference], [oracle])
    assert close("spectrum", reference, oracle, allowance).ok
    for part in (1.0, 1j):
        found = close("spectrum", reference + np.complex64(1e-4 * part), oracle, allowance)
        assert not found.ok
        assert found.budget_used is not None
        assert found.budget_used > 1
