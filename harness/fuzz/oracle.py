"""The right outputs of a network from the float64 oracle, and the error that is allowed.

The oracle and its moved runs decide what no float32 engine can be expected to get right. Bounds are not
loosened for that.

* *meaningless*: an output of the oracle, or of a moved run, is not finite or beyond the range of float32;
* *unstable*: when values move by a rounding, the oracle's outputs change by more than a hundredth of their
  scale;
* *free*: an integer output is not judged if any of its elements differs in a moved run: it is near a tie, and
  its other elements may be too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.checks.tolerance import MOVED_MULTIPLE, MULTIPLE, Tolerance, bitwise, close
from harness.fuzz.verdict import Failure

Array = NDArray[Any]
Runs = Sequence[Sequence[Array]]

TINY = float(np.finfo("float32").tiny)
LARGEST = 1e30
"""Above this, a product inside an operator may overflow in float32 but not in the float64 oracle."""
UNSTABLE = 0.01
UNSTABLE_COARSE = 0.25
"""Limit for runs moved by roundings of bfloat16, which are 32,768 times those of float32."""


class Oracle:
    """The right outputs of a network, with the tolerance for engines of a precision.

    ``why``: why the values cannot be judged, or ''.
    """

    def __init__(
        self, oracle: Runs, moved: Sequence[Runs], dygraph: Mapping[str, Any], storage: str = "float32"
    ) -> None:
        self.oracle = oracle
        unstable = UNSTABLE if storage == "float32" else UNSTABLE_COARSE
        self.why = meaningless(oracle, moved, unstable)
        self.undecided = free(oracle, moved)
        self.own = yardsticks_of(oracle, moved, None, storage)
        self.wider = yardsticks_of(oracle, moved, dygraph.get("runs"), storage)

    def expected(self, stage: str) -> list[Sequence[Array]]:
        """Return the right outputs of each of the stage's runs."""
        first = self.oracle[0]
        if stage == "permuted":
            return [[array[::-1] for array in first]]
        if stage == "rows":
            return [
                [array[row : row + 1] for array in first]
                for row in range(len(first[0]) if first[0].ndim else 0)
            ]
        return [first, *self.oracle]

    def judge(self, stage: str, runs: Runs) -> tuple[list[Failure], int]:
        """Return the failures of a stage's runs, and how many elements were compared."""
        expected = self.expected(stage)
        shape = _shapes(stage, runs, expected)
        if shape is not None:
            return [shape], 0
        failures = [] if stage in ("permuted", "rows") else _again(stage, runs)
        if self.why:
            return failures, 0
        tolerances = self.own if stage == "dygraph" else self.wider
        found, compared = _values(stage, runs, expected, tolerances, self.undecided)
        return failures + found, compared


def meaningless(oracle: Runs, moved: Sequence[Runs], unstable: float = UNSTABLE) -> str:
    """Say why the values cannot be judged, or ''."""
    for run, outputs in enumerate(oracle):
        for index, expected in enumerate(outputs):
            if not np.issubdtype(expected.dtype, np.floating):
                continue
            arrays = [expected, *(draw[run][index] for draw in moved)]
            if any(not np.isfinite(array).all() or (np.abs(array) > LARGEST).any() for array in arrays):
                return f"output {index} is not finite, or beyond float32"
            scale = float(np.abs(expected).max(initial=0.0))
            if any(np.abs(array - expected).max(initial=0.0) > unstable * scale for array in arrays):
                return f"output {index} changes when values move by a rounding"
    return ""


def yardsticks_of(
    oracle: Runs, moved: Sequence[Runs], dygraph: Runs | None, storage: str = "float32"
) -> list[Tolerance]:
    """Return a tolerance for each output, from its movement by roundings, pooled over feeds and draws.

    With ``dygraph``, also from a multiple of the dynamic graph's error, as everywhere in the harness.
    """
    found = []
    for index in range(len(oracle[0])):
        truth = [run[index] for _ in moved for run in oracle]
        measured = [run[index] for draw in moved for run in draw]
        allowance = Tolerance(measured, truth, storage, MOVED_MULTIPLE)
        if dygraph is not None and all(index < len(run) for run in dygraph):
            own = [run[index] for run in dygraph[1:]]
            if [a.shape for a in own] == [run[index].shape for run in oracle]:
                other = Tolerance(own, [run[index] for run in oracle], multiple=MULTIPLE)
                allowance.rmse = max(allowance.rmse, other.rmse)
                allowance.largest = max(allowance.largest, other.largest)
        # A denormal may be zero.
        allowance.rmse, allowance.largest = allowance.rmse + TINY, allowance.largest + TINY
        found.append(allowance)
    return found


def free(oracle: Runs, moved: Sequence[Runs]) -> list[bool]:
    """Return for each output whether it is integer and a rounding changes any of its elements."""
    return [
        not np.issubdtype(array.dtype, np.floating)
        and any(
            (draw[run][index] != oracle[run][index]).any() for draw in moved for run in range(len(oracle))
        )
        for index, array in enumerate(oracle[0])
    ]


ANOTHER_ORDER = "the outputs are in another order"


def _reordered(outputs: Sequence[Array], expected: Sequence[Array]) -> bool:
    """Whether wrong shapes and dtypes become right when outputs are exchanged."""
    found = [(array.shape, array.dtype.kind) for array in outputs]
    wanted = [(array.shape, array.dtype.kind) for array in expected]
    return found != wanted and sorted(found) == sorted(wanted)


def _shapes(stage: str, runs: Runs, expected: Runs) -> Failure | None:
    """Check number, shapes and dtypes of the outputs against the oracle."""
    for run, outputs in enumerate(expected):
        if run >= len(runs) or len(runs[run]) != len(outputs):
            return Failure("fail", stage, "another number of outputs", run)
        if _reordered(runs[run], outputs):
            return Failure("fail", stage, ANOTHER_ORDER, run)
        for index, array in enumerate(outputs):
            got = runs[run][index]
            if got.shape != array.shape:
                return Failure("fail", stage, f"shape {list(got.shape)} for {list(array.shape)}", run, index)
            kind = "float32" if array.dtype == "float64" else str(array.dtype)
            if str(got.dtype) != kind:
                return Failure("fail", stage, f"dtype {got.dtype} for {kind}", run, index)
    return None


def _again(stage: str, runs: Runs) -> list[Failure]:
    """Check that a second run of the first feed gives the same bits."""
    for index, first in enumerate(runs[0]):
        same = bitwise("second run", runs[1][index], first, empty_ok=True)
        if not same.ok and not np.isnan(first.astype("float64")).any():
            return [
                Failure(
                    "fail", stage, "the second run of the same feed gives other bits", 1, index, same.worst
                )
            ]
    return []


def _values(
    stage: str, runs: Runs, expected: Runs, tolerances: Sequence[Tolerance], undecided: Sequence[bool]
) -> tuple[list[Failure], int]:
    compared = 0
    for run, outputs in enumerate(expected):
        for index, array in enumerate(outputs):
            if undecided[index] or array.size == 0:
                continue
            compared += int(array.size)
            found = close(f"{stage} run {run + 1}", runs[run][index], array, tolerances[index])
            if not found.ok:
                return [Failure("fail", stage, found.message, run, index, found.worst)], compared
    return [], compared
