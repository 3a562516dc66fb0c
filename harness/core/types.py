"""The project's terms as frozen types, without logic beyond what a type says about itself.

``docs/architecture.md`` explains how they follow from each other.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

Outcome = Literal["pass", "fail", "error", "crash", "timeout", "not-run"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
BAD_OUTCOMES: tuple[Outcome, ...] = ("fail", "error", "crash", "timeout")

ReasonKind = Literal["", "model refused"]
"""What a reason is about, where something depends on it: the case's model cannot be used there at all."""

SCHEMA_VERSION = 2
"""Version of the record format; increased whenever a reader of the old format would misread the new one."""


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True):
    """One array (or value, or curve) compared with what it should be.

    ``rule`` is ``"bitwise"``, ``"tolerance"`` or ``"exact"`` (values of any kind).
    ``budget_used`` is error over allowed error: above 1 the comparison failed; None where
    there is no allowance. ``worst`` says where the worst element is and what it was.
    """

    what: str
    rule: str
    ok: bool
    elements: int
    got: str = ""
    expected: str = ""
    budget_used: float | None = None
    error: float | None = None
    """Error measured, in the unit of ``allowed``."""
    allowed: float | None = None
    worst: str = ""
    message: str = ""


class RemoteFailure(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a call to a worker ended when it did not return."""

    type: str
    message: str
    traceback: str = ""
    signal: str = ""
    log_tail: str = ""


class Record(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What one check found. One line of ``records.jsonl``.

    ``comparisons`` and ``elements`` count everything compared; ``details`` keeps the
    failed comparisons and those closest to their limit, not all of them.
    ``expected_failure`` is the reason of the matching entry of ``known_failures.toml``; a record with
    ``expected_failure`` set and ``unexpected`` empty behaved as that entry says.
    ``unexpected`` says how it departed from the entry (passed, or failed differently).
    """

    schema: int = SCHEMA_VERSION
    kind: Literal["case"] = "case"
    case: str
    """Stable id: ``area/check[parameters]``."""
    nodeid: str
    area: str
    title: str = ""
    """What the check asserts, in a sentence (the test's docstring's first line)."""
    claims: tuple[str, ...] = ()
    model: str = ""
    target: str = ""
    producer: str = ""
    """Which environment wrote the files that the case loads; empty: the environment under test."""
    method: str = ""
    """The compression method that made the files; empty: the model is not compressed."""
    machine: str = ""
    """The machine that the case ran on, in a merged run; empty: the run is not merged."""
    out_of_scope: bool = False
    """Whether the claims' documents do not describe the case's network or target: it shows where a
    claim ends, and does not decide alone whether the claim holds."""
    outcome: Outcome
    reason: str = ""
    """Why it was not run, or the one-sentence cause of a failure."""
    reason_kind: ReasonKind = ""
    expected_failure: str = ""
    issue: str = ""
    workaround: str = ""
    """What to do instead, where the entry says so."""
    unexpected: str = ""
    comparisons: int = 0
    elements: int = 0
    budget_used: float | None = None
    numeric_budget_used: float | None = None
    """``budget_used`` of numerical errors alone: bounds on counts and accuracies use a budget too."""
    digest: str = ""
    """Hash of every array that was compared, in order: runs with equal digests have the same bits."""
    warnings: tuple[str, ...] = ()
    """Python warnings raised in the environment under test during the case, each once."""
    details: tuple[Comparison, ...] = ()
    failure: RemoteFailure | None = None
    measures: dict[str, Any] = {}
    """Numbers and series worth keeping: accuracies, curves, sizes, latencies (units in the key)."""
    notes: tuple[str, ...] = ()
    started: str = ""
    duration_s: float = 0.0

    @property
    def own_case(self) -> str:
        """The case id before the run was merged: without the machine."""
        return self.case.removesuffix(f" @ {self.machine}") if self.machine else self.case

    @property
    def column(self) -> str:
        """The target, in a merged run with the machine: what tables compare side by side."""
        return f"{self.target} @ {self.machine}" if self.target and self.machine else self.target


class Area(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a test module of the suites states of itself, with the mark ``area``."""

    title: str
    order: int = 0
    """Its place on the page; areas of one order stand as the run met them."""
    runtime: bool = False
    """Whether it is of one way of running models, whose gaps are listed though its cases name no target."""
    judges_targets: bool = False
    """Whether its cases say if a target computes right, which a comparison of targets needs to know."""


class RunHeader(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """First line of ``records.jsonl``: what was asked for, and where it ran."""

    schema: int = SCHEMA_VERSION
    kind: Literal["run"] = "run"
    run: str
    started: str
    tier: str
    command: str
    selected: int = 0
    """Number of selected cases; a finished run has a record for each."""
    options: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    """The environment under test, as its worker describes it."""
    harness: dict[str, Any] = {}
    """The controller: versions, interpreter, platform."""
    claims: dict[str, str] = {}
    """Claim id -> its sentence, for the claims in scope of this project."""
    areas: dict[str, Area] = {}
    """Area -> what its test module states of it."""


class RunFooter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Last line of ``records.jsonl``; without it, the run was interrupted."""

    schema: int = SCHEMA_VERSION
    kind: Literal["end"] = "end"
    finished: str
    duration_s: float
    exit_status: int
    collected: int
    """Number of selected cases, each of which has a record."""
    problems: tuple[str, ...] = ()
    """Faults of the run itself: stale known failures, nothing compared, store repairs."""
    load: dict[str, Any] = {}
    """Load average, and counts of artifacts and workers, at the end of the run; the header's environment
    has the load at the start."""
