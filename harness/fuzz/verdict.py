"""The stages of a network, the failure of a stage, and the verdict on all of them."""

from __future__ import annotations

import itertools
import re
from typing import Any

import msgspec

from harness.core.types import Outcome, RemoteFailure
from harness.environments.runtimes import of_runtimes
from harness.pool.workers import RemoteError, WorkerFailure


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way that a network goes, as the module of the runtime states it (``STAGES``)."""

    place: int
    """Stages go from the plainest to the most optimised, by this number."""
    options: dict[str, Any] = {}
    """Of the runtime."""
    like: str = ""
    """The stage that it is with one thing changed: what both do wrong alike is the other's."""
    focus: tuple[str, ...] = ()
    """The focuses that look at it."""
    dear: bool = False
    """Whether only a focus looks at it."""
    coarse: bool = False
    """Whether it computes in bfloat16."""
    converted: bool = False
    """Whether it reads something else than the exported program, or another program."""


OF_NO_RUNTIME = {
    "dygraph": Stage(0),
    "restored": Stage(10, focus=("jit",)),
    "permuted": Stage(20),
    "rows": Stage(30),
    "export": Stage(40),
    "separate": Stage(70, {"onednn": False}, like="static", focus=("jit",), dear=True),
    "folded": Stage(120, like="predictor", focus=("predictor",), converted=True),
}
"""Stages of the network itself, of its export, and of the predictor on another layout or network."""


_OF_RUNTIMES = [stated.items() for stated in of_runtimes("STAGES", dict[str, Stage]).values()]
_ALL = dict(sorted([*OF_NO_RUNTIME.items(), *itertools.chain(*_OF_RUNTIMES)], key=lambda item: item[1].place))
STAGES = tuple(_ALL)
"""From the plainest to the most optimised: a network's failure is that of the first stage that fails."""
DEFAULT = tuple(name for name, stage in _ALL.items() if not stage.dear)
"""Those that are looked at without a focus."""
READING = STAGES[STAGES.index("export") + 1 :]
"""Those that come of the export."""
COARSE = tuple(name for name, stage in _ALL.items() if stage.coarse)
"""Those that compute in bfloat16."""
EXPORTED = tuple(n for n in READING if not _ALL[n].converted and not _ALL[n].coarse)
"""Those that read the exported program and compute in float32."""
ALIKE = {name: stage.like for name, stage in _ALL.items() if stage.like}
"""Stages that are another with one thing changed."""
OPTIONS = {name: stage.options for name, stage in _ALL.items()}
FOCUS = {
    focus: tuple(name for name, stage in _ALL.items() if focus in stage.focus)
    for focus in dict.fromkeys(focus for stage in _ALL.values() for focus in stage.focus)
}


class Failure(msgspec.Struct, frozen=True):
    """Failure of one stage. ``got`` and ``expected`` are the outputs of the run that shows it."""

    outcome: Outcome
    stage: str
    message: str
    run: int = 0
    output: int = 0
    worst: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Identity that shrinking must keep: outcome, stage, and the message without its numbers."""
        return self.outcome, self.stage, "wrong value" if self.is_of_values else folded(self.message)

    @property
    def is_of_values(self) -> bool:
        """Whether it is a failure by the size of an error."""
        return self.outcome == "fail" and self.message.startswith(("largest error", "rms error"))


class Verdict(msgspec.Struct, frozen=True):
    """Verdict on one network. ``meaningless``: why its values were not judged, or ''.

    ``refused``: a converter's message about what it does not support.
    """

    failures: tuple[Failure, ...] = ()
    meaningless: str = ""
    compared: int = 0
    refused: str = ""

    @property
    def told(self) -> tuple[str, list[tuple[str, str, str]]]:
        """The part that another run of the same network should reproduce."""
        return self.meaningless, sorted(failure.key for failure in self.failures)

    @property
    def ranked(self) -> list[Failure]:
        """Failures, those of the simplest stages first."""
        return sorted(self.failures, key=lambda f: STAGES.index(f.stage) if f.stage in STAGES else -1)

    @property
    def first(self) -> Failure | None:
        """Failure of the simplest stage; None if there is none."""
        return self.ranked[0] if self.failures else None


def folded(message: str) -> str:
    """Return a message without what differs between networks with one fault: numbers, addresses, paths."""
    text = re.sub(r"0x[0-9a-f]+|/[\w/.+-]+", "#", message)
    text = re.sub(r"\b(?:tmp|generated|model)_\w+", "#", text)
    return re.sub(r"-?\d[\d.e+-]*(?:, -?\d[\d.e+-]*)*", "#", text)[:160]


def sentence(kind: str, message: str) -> str:
    """Return one line of a Paddle error; errors of static executors first quote the user's code."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if lines and lines[0] == "In user code:":
        named = [line for line in lines if re.match(r"\w+Error: ", line)]
        return f"{kind}: {(named or lines)[-1]}"
    return RemoteError("", RemoteFailure(type=kind, message=message)).sentence


def of_crash(failure: WorkerFailure) -> Failure:
    """Return the failure of a process that died or hung, at the last stage that its log names."""
    marks = re.findall(r"^stage: (\S+)$", failure.failure.log_tail, re.MULTILINE)
    stage = marks[-1] if marks else "oracle"
    return Failure(failure.outcome, stage, failure.sentence)
