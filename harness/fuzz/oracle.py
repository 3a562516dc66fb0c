"""What a network should give: the oracle's outputs, and how far off from them says nothing.

What no float32 engine could be held to is told by the oracle and its conditioning, never by a looser bound:

* *meaningless*: an output of the oracle, or of a moved run, is not finite or beyond what a float32 holds;
* *unstable*: moved by roundings, the oracle's own outputs change by more than a hundredth of their scale;
* a whole-number output of which a moved run decides any element otherwise is near a tie, and free: where one
  element is near, its neighbours may be.
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
"""Beyond it, a product inside an operator overflows in float32 where the float64 oracle goes on."""
UNSTABLE = 0.01
UNSTABLE_COARSE = 0.25
"""Of runs moved by roundings of bfloat16, which are 32,768 times those of float32."""


class Oracle:
    """What a network should give, and what no engine of that precision can be held to.

    ``why`` says that nothing can be said of the values, or ''.
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
        """The right outputs of each of the stage's runs."""
        first = self.oracle[0]
        if stage == "permuted":
            return [[array[::-1] for array in first]]
        if stage == "rows":
            return [[array[row : row + 1] for array in first] for row in range(_rows(self.oracle))]
        return [first, *self.oracle]

    def judge(self, stage: str, runs: Runs) -> tuple[list[Failure], int]:
        """What is wrong with a stage's runs, and how many elements were compared."""
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


def _rows(oracle: Runs) -> int:
    return len(oracle[0][0]) if oracle[0][0].ndim else 0


def meaningless(oracle: Runs, moved: Sequence[Runs], unstable: float = UNSTABLE) -> str:
    """Why nothing can be said of the values, or ''."""
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
    """One per output: what roundings move it by, pooled over feeds and draws.

    With ``dygraph`` also a multiple of what the dynamic graph is wrong by, as everywhere in the harness.
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
    """Which whole-number outputs a rounding decides otherwise somewhere."""
    return [
        not np.issubdtype(array.dtype, np.floating)
        and any(
            (draw[run][index] != oracle[run][index]).any() for draw in moved for run in range(len(oracle))
        )
        for index, array in enumerate(oracle[0])
    ]


ANOTHER_ORDER = "the outputs are in another order"


def _reordered(outputs: Sequence[Array], expected: Sequence[Array]) -> bool:
    """Whether exchanging outputs makes shapes and types right that are wrong as they stand."""
    found = [(array.shape, array.dtype.kind) for array in outputs]
    wanted = [(array.shape, array.dtype.kind) for array in expected]
    return found != wanted and sorted(found) == sorted(wanted)


def _shapes(stage: str, runs: Runs, expected: Runs) -> Failure | None:
    """Another number of outputs, shape or dtype than the oracle's."""
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
    """The second run of the first feed gives the first one's bits."""
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
