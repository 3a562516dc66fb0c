"""Error measures: bit for bit, or against a float64 oracle with a measured allowance.

The allowance of a float32 execution is a small multiple of what dynamic-graph float32 is wrong
by, plus a floor of a few units in the last place of the output's scale. It is applied to the
root mean square error and to the largest error, since a single wrong element drowns in the mean.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.core.types import Comparison

Array = NDArray[Any]

MULTIPLE = 4.0
"""How many times dygraph's own error another float32 engine may be wrong by. Engines reorder
sums and fuse operators; a wrong answer is off by orders of magnitude, not by a factor."""

DRAWS = 4
MOVED_MULTIPLE = MULTIPLE + 1.0
"""Where no float64 run exists, the allowance is what the reference's outputs move by when its inputs
and parameters are moved by up to one epsilon. Measured on eight networks from LeNet to DenseNet-121,
that is 0.5 to 1.6 times what dynamic-graph float32 is wrong by (0.9 to 2.3 times for bfloat16), and
four draws tell it within a few per cent. One multiple more than usual, since the reference that
stands for the oracle is itself wrong by as much."""

FLOOR_ULPS = 8.0
"""Units in the last place of the output's largest magnitude that any execution may be off by."""

EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-8, "float16": 2.0**-10}


def describe(array: Array) -> str:
    """Shape and dtype, and the values of a small array."""
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
    """Same dtype, shape and bytes. NaNs count as equal only with the same payload.

    ``empty_ok`` admits arrays without elements, whose shape and dtype are then the claim.
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
    """Equal values of any plain kind (numbers, names, lists of them); counts as one element."""
    message = "" if got == expected else "the values differ"
    if type(got) is not type(expected):
        message = f"{type(got).__name__} where {type(expected).__name__} was expected"
    return Comparison(what, "exact", not message, 1, _short(got), _short(expected), message=message)


def rmse(a: Array, b: Array) -> float:
    """Root mean square difference over finite elements, in float64."""
    with np.errstate(invalid="ignore"):  # infinity minus itself
        difference = a.astype("float64") - b.astype("float64")
    difference = difference[np.isfinite(difference)]
    return float(np.sqrt(np.mean(difference**2))) if difference.size else 0.0


def largest(a: Array, b: Array) -> float:
    """Largest absolute difference over finite elements, in float64."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(a.astype("float64") - b.astype("float64"))
    difference = difference[np.isfinite(difference)]
    return float(difference.max()) if difference.size else 0.0


def parts(array: Array) -> Array:
    """A complex array's real and imaginary parts in a row; another array as it is."""
    if not np.iscomplexobj(array):
        return array
    return np.ascontiguousarray(array).reshape(-1).view(array.real.dtype)


class Tolerance:
    """What an execution may be wrong by: measured on a reference execution over several feeds.

    Args:
        reference: outputs of the reference execution (dygraph float32, say), pooled over feeds.
        oracle: the float64 outputs for the same feeds.
        storage: the type whose last place sets the floor.
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
        # bfloat16's own rounding is already in its reference; a floor of whole units of so
        # coarse a type would admit anything.
        floor *= 1.0 if storage in ("float32", "float64") else 1 / FLOOR_ULPS
        self.rmse = multiple * rmse(a, b) + floor
        self.largest = multiple * largest(a, b) + floor
        whole = a.size > 0 and not any(np.issubdtype(array.dtype, np.inexact) for array in oracle)
        self.changed = multiple * float(np.mean(a != b)) if whole else 0.0
        """Share of an integer output's values that may differ: where the reference itself decides
        otherwise in coarser arithmetic, an argmax is a near-tie."""


def close(what: str, got: Array | None, oracle: Array, allowance: Tolerance) -> Comparison:
    """Within the allowance of the oracle, in the mean and at the worst element.

    Integer and boolean outputs must equal the oracle's, but for the share that its allowance has seen
    change. Non-finite values must stand at the
    same places with the same value.
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
"""How many times its allowance a known change must move a row, for the row to tell a fault from rounding."""

LEAST_CLEAR = 8
"""Such rows that it takes: a rounding that was not tried may move one or two of them as far as a fault."""


class Rows:
    """What each row of an output may be off by, and which rows would show a small change.

    Where a network rounds values to levels, one that lies between two of them falls to either, and all that
    is behind it changes by a step. So a rounding moves a row hardly at all, or about as far as a fault
    would. A fault moves every row: it shows in those that roundings hardly move.

    Args:
        moved: the output ``[rows, ...]`` under roundings, one array for each draw.
        exact: the output without them.
        changed: the output with a known change, small, but to be noticed.
        multiple: how many times a row's root mean square move it may be off by.

    Attributes:
        allowed, shown: for each row, what it may be off by and what the known change moves it by; root mean
            square, in the output's unit.
        clear: for each row, whether the known change moves it by :data:`CLEAR` times what is allowed.
    """

    def __init__(self, moved: list[Array], exact: Array, changed: Array, multiple: float) -> None:
        floor = FLOOR_ULPS * EPSILON["float32"] * largest(exact, np.zeros_like(exact))
        squares = [_by_row(draw, exact) ** 2 for draw in moved]
        self.allowed = multiple * np.sqrt(np.mean(squares, axis=0)) + floor
        self.shown = _by_row(changed, exact)
        self.clear = np.isfinite(self.shown) & (self.shown > 0) & (self.shown >= CLEAR * self.allowed)

    @property
    def blind(self) -> str:
        """Why a small change cannot be told from rounding, or ''."""
        found = int(self.clear.sum())
        if found >= LEAST_CLEAR:
            return ""
        return (
            f"rounding hides a small change: the middle row may be off by {np.median(self.allowed):.2g}, and "
            f"the change moves it by {np.median(self.shown):.2g}; of {len(self.clear)} rows {found} tell "
            f"them apart, and it takes {LEAST_CLEAR}"
        )


def middle(what: str, got: Array | None, expected: Array, rows: Rows) -> Comparison:
    """The middle one of the clear rows is off by no more than it may be. Without clear rows it fails."""
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
    """Root mean square difference of each row, in float64."""
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
