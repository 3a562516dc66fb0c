"""Where a change of speed comes from: times of operators on both sides, by Paddle's own profiler."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

SHOWN = 8
"""Operators kept for a result: those whose time differs most."""
TELLING = 0.1
"""A named operator differs by at least this share of all differences."""
ACCOUNTED = 0.5
"""Operators are named where they account for at least this share of the change."""

_AFFIX = re.compile(r"^(pd_op|onednn_op)\.|( dygraph|(?<=\w)_)$")
_NAMES = {
    "elementwise_add": "add",
    "elementwise_sub": "subtract",
    "elementwise_mul": "multiply",
    "elementwise_div": "divide",
    "fill_constant": "full",
    "flatten_contiguous_range": "flatten",
    "lookup_table_v2": "embedding",
    "matmul_v2": "matmul",
    "reshape2": "reshape",
    "transpose2": "transpose",
    "unsqueeze2": "unsqueeze",
    "squeeze2": "squeeze",
}
"""Operators of the older intermediate representation by their present names (Paddle's op_compat.yaml)."""

Times = Mapping[str, Sequence[float]]
"""Seconds and calls in one run, by the profiler's name of an operator."""


class OperatorTime(msgspec.Struct, frozen=True):
    """An operator's microseconds in one run, and how often it runs in it, on each side; 0: it does not run.

    Measured with the profiler at work, which adds a little to every call.
    """

    name: str
    before_us: float
    after_us: float
    before_calls: float
    after_calls: float

    @property
    def difference_us(self) -> float:
        return self.after_us - self.before_us

    def __str__(self) -> str:
        if not self.after_calls:
            return f"{self.name} {self.before_us:.0f} µs, now gone"
        if not self.before_calls:
            return f"{self.name} new, {self.after_us:.0f} µs"
        calls = f", {self.before_calls:g} to {self.after_calls:g} calls"
        return (
            f"{self.name} {self.before_us:.0f} to {self.after_us:.0f} µs"
            f"{calls if self.before_calls != self.after_calls else ''}"
        )


def plain_name(name: str) -> str:
    """Return an operator's name without its dialect and marks, the same for every release."""
    short = name
    while (shorter := _AFFIX.sub("", short)) != short:
        short = shorter
    return _NAMES.get(short, short)


def differences(before: Sequence[Times], after: Sequence[Times]) -> tuple[OperatorTime, ...]:
    """Return the operators whose times differ most, from profiles of both sides taken by turns."""
    old, new = _medians(before), _medians(after)
    found = (
        OperatorTime(name, 1e6 * a[0], 1e6 * b[0], a[1], b[1])
        for name in {**old, **new}
        for a, b in [(old.get(name, (0.0, 0.0)), new.get(name, (0.0, 0.0)))]
    )
    return tuple(sorted(found, key=lambda one: -abs(one.difference_us))[:SHOWN])


def _medians(profiles: Sequence[Times]) -> dict[str, tuple[float, float]]:
    """Sum operators of one name within a profile; take the median over the profiles."""
    summed: list[dict[str, NDArray[np.float64]]] = []
    for profile in profiles:
        sums: dict[str, NDArray[np.float64]] = {}
        for name, values in profile.items():
            sums[plain_name(name)] = sums.get(plain_name(name), np.zeros(2)) + np.asarray(values)
        summed.append(sums)
    names = {name for sums in summed for name in sums}
    medians = {n: np.median([sums.get(n, np.zeros(2)) for sums in summed], axis=0) for n in names}
    return {name: (float(seconds), float(calls)) for name, (seconds, calls) in medians.items()}


def explained(found: Sequence[OperatorTime], change_us: float) -> tuple[str, ...]:
    """Say where a change of a run comes from: up to three operators, or that operators hardly account for it.

    What remains is time between operators: Python, dispatch, memory. Empty without a profile.
    """
    accounted = sum(one.difference_us for one in found)
    if found and accounted / change_us < ACCOUNTED:
        part = max(0.0, accounted / change_us) * abs(change_us)
        return (f"operators account for {part:.0f} of {abs(change_us):.0f} µs",)
    whole = sum(abs(one.difference_us) for one in found)
    sign = 1 if change_us > 0 else -1
    return tuple(str(one) for one in found if sign * one.difference_us > TELLING * whole)[:3]
