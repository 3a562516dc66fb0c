"""Comparisons of arrays: bit for bit, or with a float64 oracle within a measured allowance.

The allowance of a float32 execution is a small multiple of the error of dynamic-graph float32,
plus a floor of a few units in the last place of the output's scale. It is applied to the root
mean square error and to the largest error, since a single wrong element disappears in the mean.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.core.types import Comparison

Array = NDArray[Any]

MULTIPLE = 4.0
"""Allowed error of another float32 engine, as a multiple of dygraph's error. Engines reorder
sums and fuse operators; a wrong answer is off by orders of magnitude, not by a factor."""

DRAWS = 4
MOVED_MULTIPLE = MULTIPLE + 1.0
"""The multiple where no float64 run exists. The allowance then comes from how far the reference's outputs
move when its inputs and parameters are moved by up to one epsilon. On eight networks from LeNet to
DenseNet-121, that is 0.5 to 1.6 times the error of dynamic-graph float32 (0.9 to 2.3 times for bfloat16),
and four draws estimate it within a few per cent. One more than MULTIPLE, since the reference that replaces
the oracle has an error of that size."""

FLOOR_ULPS = 8.0
"""Error that every execution may have, in units in the last place of the output's largest magnitude."""

EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-8, "float16": 2.0**-10}


def describe(array: Array) -> str:
    """Return dtype and shape as text, with the values of a small array."""
    text = f"{array.dtype}{list(array.shape)}"
    if 0 < array.size <= 4:
        text += " " + np.array2string(array.reshape(-1), precision=6, separator=", ")
    return text


def _mismatch(got: Array | None, expected: Array) -> str:
    """Why two arrays cannot be compared at all, or ''."""
    if got is None:
        return "the output is missing"
    if got.shape != expected.shape:
        return f"shape {list(got.shape)} where {list(expected.shape)} was expected"
    if expected.size == 0:
        return "nothing to compare: the expected array is empty"
    return ""


def _refuse(what: str, rule: str, message: str, got: Array | None, expected: Array) -> Comparison:
    text = "nothing" if got is None else describe(got)
    elements = 0 if got is None else int(got.size)
    return Comparison(what, rule, False, elements, text, describe(expected), message=message)


def _judged(
    what: str, rule: str, got: Array, expected: Array, message: str, worst: str, **numbers: float
) -> Comparison:
    """A comparison of two arrays of one shape, which failed if there is a message."""
    return Comparison(
        what, rule, not message, int(got.size), describe(got), describe(expected), worst=worst,
        message=message, **numbers,
    )  # fmt: skip


def bitwise(what: str, got: Array | None, expected: Array, empty_ok: bool = False) -> Comparison:
    """Compare dtype, shape and bytes. NaNs count as equal only with the same payload.

    ``empty_ok`` accepts arrays without elements: then only shape and dtype are compared.
    """
    mismatch = _mismatch(got, expected)
    if expected.size == 0 and empty_ok and got is not None and got.shape == expected.shape:
        mismatch = ""
    if mismatch or got is None:
        return _refuse(what, "bitwise", mismatch, got, expected)
    if got.dtype != expected.dtype:
        return _refuse(
            what, "bitwise", f"dtype {got.dtype} where {expected.dtype} was expected", got, expected
        )
    width = got.dtype.itemsize
    a = np.ascontiguousarray(got).reshape(-1).view("uint8").reshape(got.size, width)
    b = np.ascontiguousarray(expected).reshape(-1).view("uint8").reshape(expected.size, width)
    different = np.flatnonzero((a != b).any(axis=1))
    worst = _at(got, expected, int(different[0])) if different.size else ""
    message = f"{different.size} of {got.size} elements differ" if different.size else ""
    return _judged(what, "bitwise", got, expected, message, worst)


def exact(what: str, got: Any, expected: Any) -> Comparison:
    """Compare plain values (numbers, names, lists of them) for equality; counts as one element."""
    message = "" if got == expected else "the values differ"
    if type(got) is not type(expected):
        message = f"{type(got).__name__} where {type(expected).__name__} was expected"
    return Comparison(what, "exact", not message, 1, _short(got), _short(expected), message=message)


def rmse(a: Array, b: Array) -> float:
    """Return the root mean square difference over finite elements, in float64."""
    with np.errstate(invalid="ignore"):  # infinity minus itself
        difference = a.astype("float64") - b.astype("float64")
    difference = difference[np.isfinite(difference)]
    return float(np.sqrt(np.mean(difference**2))) if difference.size else 0.0


def largest(a: Array, b: Array) -> float:
    """Return the largest absolute difference over finite elements, in float64."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(a.astype("float64") - b.astype("float64"))
    difference = difference[np.isfinite(difference)]
    return float(difference.max()) if difference.size else 0.0


def parts(array: Array) -> Array:
    """Return a complex array's real and imaginary parts as one flat array; another array as it is."""
    if not np.iscomplexobj(array):
        return array
    return np.ascontiguousarray(array).reshape(-1).view(array.real.dtype)


class Tolerance:
    """The error that an execution may have, measured on a reference execution over several feeds.

    Args:
        reference: outputs of the reference execution (dygraph float32, say), pooled over feeds.
        oracle: the float64 outputs for the same feeds.
        storage: the type whose last place sets the floor.
        multiple: allowed error as a multiple of the reference's.
    """

    def __init__(
        self,
        reference: list[Array],
        oracle: list[Array],
        storage: str = "float32",
        multiple: float = MULTIPLE,
    ) -> None:
        a = np.concatenate([parts(array).astype("float64").reshape(-1) for array in reference])
        b = np.concatenate([parts(array).astype("float64").reshape(-1) for array in oracle])
        finite = np.abs(b[np.isfinite(b)])
        floor = FLOOR_ULPS * EPSILON[storage] * (float(finite.max()) if finite.size else 0.0)
        # bfloat16's rounding is already in its reference; a floor of several units of so
        # coarse a type would accept anything.
        floor *= 1.0 if storage in ("float32", "float64") else 1 / FLOOR_ULPS
        self.rmse = multiple * rmse(a, b) + floor
        self.largest = multiple * largest(a, b) + floor
        whole = a.size > 0 and not any(np.issubdtype(array.dtype, np.inexact) for array in oracle)
        self.changed = multiple * float(np.mean(a != b)) if whole else 0.0
        """Fraction of an integer output's values that may differ: where coarser arithmetic already
        changes the reference's argmax, two values were nearly equal."""


def close(what: str, got: Array | None, oracle: Array, allowance: Tolerance) -> Comparison:
    """Compare with the oracle: root mean square and largest error must be within the allowance.

    Integer and boolean outputs must equal the oracle's, except for the fraction ``allowance.changed``.
    Non-finite values must be at the same places and have the same value.
    """
    mismatch = _mismatch(got, oracle)
    if mismatch or got is None:
        return _refuse(what, "tolerance", mismatch, got, oracle)
    if np.iscomplexobj(oracle) and np.iscomplexobj(got):
        got, oracle = parts(got), parts(oracle)
    if not np.issubdtype(oracle.dtype, np.floating):
        if got.dtype.kind != oracle.dtype.kind:
            return _refuse(what, "exact", f"dtype {got.dtype} where {oracle.dtype} was expected", got, oracle)
        wrong = np.flatnonzero(got.reshape(-1) != oracle.reshape(-1))
        same = wrong.size <= allowance.changed * got.size
        message = "" if same else f"{wrong.size} of {got.size} elements differ"
        return _judged(what, "exact", got, oracle, message, "" if same else _at(got, oracle, int(wrong[0])))
    if not np.issubdtype(got.dtype, np.floating):
        return _refuse(
            what, "tolerance", f"dtype {got.dtype} where a floating type was expected", got, oracle
        )
    stray = ~((np.isfinite(got) & np.isfinite(oracle)) | (np.isnan(got) & np.isnan(oracle)) | (got == oracle))
    if stray.any():
        place = int(np.flatnonzero(stray.reshape(-1))[0])
        message = (
            f"{int(stray.sum())} non-finite values where the oracle differs "
            f"({int((~np.isfinite(got)).sum())} here, {int((~np.isfinite(oracle)).sum())} in the oracle)"
        )
        return _judged(what, "tolerance", got, oracle, message, _at(got, oracle, place))
    mean, worst = rmse(got, oracle), largest(got, oracle)
    ratios = (_ratio(mean, allowance.rmse), _ratio(worst, allowance.largest))
    by_mean = ratios[0] >= ratios[1]
    budget_used = max(ratios)
    with np.errstate(invalid="ignore"):
        difference = np.abs(got.astype("float64") - oracle.astype("float64"))
    place = int(np.argmax(np.where(np.isfinite(difference), difference, -1.0)))
    kind, error, allowed = ("rms", mean, allowance.rmse) if by_mean else ("largest", worst, allowance.largest)
    message = "" if budget_used <= 1.0 else f"{kind} error is {budget_used:.3g} times the allowed one"
    return _judged(
        what, "tolerance", got, oracle, message, _at(got, oracle, place),
        budget_used=budget_used, error=error, allowed=allowed,
    )  # fmt: skip


CLEAR = 10.0
"""A row distinguishes a fault from rounding if a known change moves it by this many times its allowance."""

LEAST_CLEAR = 8
"""Number of such rows needed: a rounding that was not tried may move one or two as far as a fault does."""


class Rows:
    """The allowed error of each row of an output, and the rows that would show a small change.

    Where a network rounds values to levels, a value between two levels may go to either, and everything
    computed from it changes by a step. So a rounding moves a row hardly at all, or about as far as a fault
    would. A fault moves every row, so it shows in the rows that roundings hardly move.

    Args:
        moved: the output ``[rows, ...]`` under roundings, one array for each draw.
        exact: the output without them.
        changed: the output with a known small change, which must be noticed.
        multiple: allowed error of a row, as a multiple of its root mean square move under roundings.

    Attributes:
        allowed, shown: for each row, its allowed error, and how far the known change moves it; root mean
            square, in the output's unit.
        clear: for each row, whether the known change moves it by :data:`CLEAR` times the allowed error.
    """

    def __init__(self, moved: list[Array], exact: Array, changed: Array, multiple: float) -> None:
        floor = FLOOR_ULPS * EPSILON["float32"] * largest(exact, np.zeros_like(exact))
        squares = [_by_row(draw, exact) ** 2 for draw in moved]
        self.allowed = multiple * np.sqrt(np.mean(squares, axis=0)) + floor
        self.shown = _by_row(changed, exact)
        self.clear = np.isfinite(self.shown) & (self.shown > 0) & (self.shown >= CLEAR * self.allowed)

    @property
    def blind(self) -> str:
        """Why a small change cannot be distinguished from rounding, or ''."""
        found = int(self.clear.sum())
        if found >= LEAST_CLEAR:
            return ""
        return (
            f"rounding hides a small change: the middle row may be off by {np.median(self.allowed):.2g}, and "
            f"the change moves it by {np.median(self.shown):.2g}; of {len(self.clear)} rows {found} tell "
            f"them apart, and it takes {LEAST_CLEAR}"
        )


def middle(what: str, got: Array | None, expected: Array, rows: Rows) -> Comparison:
    """Check that the middle one of the clear rows is within its allowed error; fail without clear rows.

    Rows are ordered by error over allowed error.
    """
    mismatch = _mismatch(got, expected) or rows.blind
    if mismatch or got is None:
        return _refuse(what, "tolerance", mismatch, got, expected)
    error = _by_row(got, expected)
    ratios = [_ratio(a, b) if np.isfinite(a) else np.inf for a, b in zip(error, rows.allowed, strict=True)]
    clear = sorted(np.flatnonzero(rows.clear), key=lambda row: ratios[row])
    row = int(clear[len(clear) // 2])
    budget_used = float(ratios[row])
    message = (
        "" if budget_used <= 1.0 else f"the middle row is off by {budget_used:.3g} times what is allowed"
    )
    found = _judged(
        what, "tolerance", got, expected, message, f"row {row}",
        budget_used=budget_used, error=float(error[row]), allowed=float(rows.allowed[row]),
    )  # fmt: skip
    return msgspec.structs.replace(found, elements=int(got[rows.clear].size))


def _by_row(a: Array, b: Array) -> Array:
    """Return the root mean square difference of each row, in float64."""
    with np.errstate(invalid="ignore"):  # infinity minus itself
        difference = (a.astype("float64") - b.astype("float64")).reshape(len(b), -1)
    found: Array = np.sqrt(np.mean(difference**2, axis=1))
    return found


def _ratio(error: float, allowed: float) -> float:
    if error == 0.0:
        return 0.0
    return error / allowed if allowed > 0.0 else float("inf")


def _at(got: Array, expected: Array, flat: int) -> str:
    index = [int(i) for i in np.unravel_index(flat, expected.shape)] if expected.ndim else []
    return f"{index}: got {got.reshape(-1)[flat]!s}, expected {expected.reshape(-1)[flat]!s}"


def _short(value: Any, limit: int = 300) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
