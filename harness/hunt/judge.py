"""Whether what a stage gave is a wrong answer, or as good as float32 can be: pure functions over arrays.

What no float32 engine could be held to is told by the oracle and its conditioning, never by a looser bound:

* *meaningless*: an output of the oracle, or of a moved run, is not finite or beyond what a float32 holds;
* *unstable*: moved by roundings, the oracle's own outputs change by more than a hundredth of their scale;
* elements of integer outputs that any moved run decides otherwise are near-ties, and free.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.compare import MOVED_MULTIPLE, MULTIPLE, Yardstick, bitwise, close
from harness.types import Outcome, RemoteFailure
from harness.workers import RemoteError, WorkerFailure

Array = NDArray[Any]
Runs = Sequence[Sequence[Array]]

STAGES = ("dygraph", "permuted", "rows", "export", "jit", "static", "predictor-no-ir", "predictor-no-onednn",
          "predictor")  # fmt: skip
"""From the plainest to the most optimised: a network's failure is that of the first stage that fails."""
EXPORTED = STAGES[4:]
"""Those that read the exported program."""
FOCUS = {"jit": ("jit", "static"), "predictor": tuple(s for s in STAGES if s.startswith("predictor"))}

TINY = float(np.finfo("float32").tiny)
LARGEST = 1e30
"""Beyond it, a product inside an operator overflows in float32 where the float64 oracle goes on."""
UNSTABLE = 0.01


class Failure(msgspec.Struct, frozen=True):
    """How one stage failed. ``got`` and ``expected`` are the outputs of the run that shows it."""

    outcome: Outcome
    stage: str
    message: str
    run: int = 0
    output: int = 0
    worst: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What shrinking must keep: outcome, stage, and the message without its numbers."""
        wrong_value = self.outcome == "fail" and self.message.startswith(("largest error", "rms error"))
        return self.outcome, self.stage, "wrong value" if wrong_value else folded(self.message)


class Verdict(msgspec.Struct, frozen=True):
    """What judging one network found. ``meaningless`` says why its values were not judged, or ''."""

    failures: tuple[Failure, ...] = ()
    meaningless: str = ""
    compared: int = 0

    @property
    def first(self) -> Failure | None:
        """The failure of the plainest stage."""
        ranked = sorted(self.failures, key=lambda f: STAGES.index(f.stage) if f.stage in STAGES else -1)
        return ranked[0] if ranked else None


def folded(message: str) -> str:
    """A message without what differs between two networks with one fault: numbers, addresses, paths."""
    text = re.sub(r"0x[0-9a-f]+|/[\w/.+-]+", "#", message)
    text = re.sub(r"\b(?:tmp|generated|model)_\w+", "#", text)
    return re.sub(r"-?\d[\d.e+-]*(?:, -?\d[\d.e+-]*)*", "#", text)[:160]


def sentence(kind: str, message: str) -> str:
    """One line of an error of Paddle's; one that an executor raised quotes the user's code first."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if lines and lines[0] == "In user code:":
        named = [line for line in lines if re.match(r"\w+Error: ", line)]
        return f"{kind}: {(named or lines)[-1]}"
    return RemoteError("", RemoteFailure(type=kind, message=message)).sentence


def of_crash(failure: WorkerFailure) -> Failure:
    """A process that died or hung: the last stage its log names."""
    marks = re.findall(r"^stage: (\S+)$", failure.failure.log_tail, re.MULTILINE)
    stage = marks[-1] if marks else "oracle"
    return Failure(failure.outcome, stage, failure.sentence)


def judge(answer: Mapping[str, Any]) -> Verdict:
    """The verdict on what ``generated.checks.run`` answered."""
    oracle, moved = answer["oracle"], answer["moved"]
    why = meaningless(oracle, moved)
    failures: list[Failure] = []
    compared = 0
    expected = {
        "permuted": [[array[::-1] for array in oracle[0]]],
        "rows": [[array[row : row + 1] for array in oracle[0]] for row in range(_rows(oracle))],
    }
    dygraph = answer["stages"].get("dygraph", {}).get("runs")
    yardsticks = [] if why else yardsticks_of(oracle, moved, None)
    wider = [] if why else yardsticks_of(oracle, moved, dygraph)
    for stage, done in answer["stages"].items():
        if "raised" in done:
            failures.append(Failure("error", stage, sentence(done["raised"], done["message"])))
            continue
        runs = done["runs"]
        if stage == "export":
            continue
        shape = _shapes(stage, runs, expected.get(stage, [oracle[0], *oracle]))
        if shape is not None:
            failures.append(shape)
            continue
        if stage not in expected:
            failures += _again(stage, runs)
        if why:
            continue
        undecided = free(oracle, moved)
        own = yardsticks if stage == "dygraph" else wider
        found, count = _values(stage, runs, expected.get(stage, [oracle[0], *oracle]), own, undecided)
        compared += count
        failures += found
    return Verdict((*_of_export(answer["stages"], failures), *failures), why, compared)


def _of_export(stages: Mapping[str, Any], failures: Sequence[Failure]) -> list[Failure]:
    """A wrong answer of everything that reads the program is in the program."""
    reading = [stage for stage in stages if stage in EXPORTED]
    wrong = [f for f in failures if f.stage in EXPORTED and f.outcome == "fail"]
    if len(reading) < 2 or {f.stage for f in wrong} != set(reading):
        return []
    return [msgspec.structs.replace(wrong[0], stage="export")]


def _rows(oracle: Runs) -> int:
    return len(oracle[0][0]) if oracle[0][0].ndim else 0


def meaningless(oracle: Runs, moved: Sequence[Runs]) -> str:
    """Why nothing can be said of the values, or ''."""
    for run, outputs in enumerate(oracle):
        for index, expected in enumerate(outputs):
            if not np.issubdtype(expected.dtype, np.floating):
                continue
            arrays = [expected, *(draw[run][index] for draw in moved)]
            if any(not np.isfinite(array).all() or (np.abs(array) > LARGEST).any() for array in arrays):
                return f"output {index} is not finite, or beyond float32"
            scale = float(np.abs(expected).max(initial=0.0))
            if any(np.abs(array - expected).max(initial=0.0) > UNSTABLE * scale for array in arrays):
                return f"output {index} changes when values move by a rounding"
    return ""


def yardsticks_of(oracle: Runs, moved: Sequence[Runs], dygraph: Runs | None) -> list[Yardstick]:
    """One per output: what roundings move it by, pooled over feeds and draws.

    With ``dygraph`` also a multiple of what the dynamic graph is wrong by, as everywhere in the harness.
    """
    found = []
    for index in range(len(oracle[0])):
        truth = [run[index] for _ in moved for run in oracle]
        yardstick = Yardstick([run[index] for draw in moved for run in draw], truth, multiple=MOVED_MULTIPLE)
        if dygraph is not None and all(index < len(run) for run in dygraph):
            own = [run[index] for run in dygraph[1:]]
            if [a.shape for a in own] == [run[index].shape for run in oracle]:
                other = Yardstick(own, [run[index] for run in oracle], multiple=MULTIPLE)
                yardstick.rmse = max(yardstick.rmse, other.rmse)
                yardstick.largest = max(yardstick.largest, other.largest)
        # A denormal may be zero.
        yardstick.rmse, yardstick.largest = yardstick.rmse + TINY, yardstick.largest + TINY
        found.append(yardstick)
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
    stage: str, runs: Runs, expected: Runs, yardsticks: Sequence[Yardstick], undecided: Sequence[bool]
) -> tuple[list[Failure], int]:
    compared = 0
    for run, outputs in enumerate(expected):
        for index, array in enumerate(outputs):
            if undecided[index] or array.size == 0:
                continue
            compared += int(array.size)
            found = close(f"{stage} run {run + 1}", runs[run][index], array, yardsticks[index])
            if not found.ok:
                return [Failure("fail", stage, found.message, run, index, found.worst)], compared
    return [], compared
