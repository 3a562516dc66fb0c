"""The words of the house as frozen types; no logic beyond what a type states about itself.

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
"""Version of the record format; raised whenever a reader of the old form would misread the new."""


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True):
    """One array (or value, or curve) held against what it should be.

    ``rule`` is ``"bitwise"``, ``"tolerance"`` or ``"exact"`` (values of any kind).
    ``budget_used`` is error over allowed error: above 1 the comparison failed; None where
    there is no allowance. ``worst`` tells where the worst element is and what it was.
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
    """Which way of compressing the model made the files; empty: it is not compressed."""
    machine: str = ""
    """Which of the machines of a merged run it is of; empty: the run's own."""
    out_of_scope: bool = False
    """Whether the case is of a network or target that the claims' documents do not describe: it
    shows where a claim ends, and does not decide by itself whether the claim holds."""
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
    """The same over numerical errors alone: bounds on counts and accuracies have a budget_used too."""
    digest: str = ""
    """Hash of every array that was compared, in order: two runs with the same one saw the same bits."""
    warnings: tuple[str, ...] = ()
    """Python warnings raised in the environment under test meanwhile, each once."""
    details: tuple[Comparison, ...] = ()
    failure: RemoteFailure | None = None
    measures: dict[str, Any] = {}
    """Numbers and series worth keeping: accuracies, curves, sizes, latencies (units in the key)."""
    notes: tuple[str, ...] = ()
    started: str = ""
    duration_s: float = 0.0

    @property
    def own_case(self) -> str:
        """Its id in the run of its own machine."""
        return self.case.removesuffix(f" @ {self.machine}") if self.machine else self.case

    @property
    def column(self) -> str:
        """Its target, with the machine in a merged run: what is compared side by side."""
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
    """Checks this run set out to do; a finished run has a record for each."""
    options: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    """The environment under test, as its own worker describes it."""
    harness: dict[str, Any] = {}
    """The controller: versions, interpreter, platform."""
    claims: dict[str, str] = {}
    """Claim id -> its sentence, for the claims in scope of this project."""
    areas: dict[str, Area] = {}
    """Area -> what its test module states of it."""


class RunFooter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Last line of ``records.jsonl``; a file without one is of an interrupted run."""

    schema: int = SCHEMA_VERSION
    kind: Literal["end"] = "end"
    finished: str
    duration_s: float
    exit_status: int
    collected: int
    """Cases that must each have left a record."""
    problems: tuple[str, ...] = ()
    """Faults of the run itself: stale known failures, nothing compared, store repairs."""
    load: dict[str, Any] = {}
    """Load average and the like at the end, beside the header's at the start."""
