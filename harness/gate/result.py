"""What a gate found, as frozen types: the content of ``gate.json`` (``docs/gate-json.md``)."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from harness.core.types import Outcome, ReasonKind

GATE_SCHEMA = 2
"""Version of ``gate.json``; raised whenever a reader of the old form would misread the new."""

Verdict = Literal[
    "broken",
    "missing",
    "numerically worse",
    "slower",
    "not comparable",
    "inconclusive",
    "new",
    "fixed",
    "numerically better",
    "faster",
    "same",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

Direction = Literal["", "old files", "new files", "rollback"]
"""Which way an artifact crossed: the baseline's files in the candidate (``old files``), the
candidate's own files in the candidate (``new files``), the candidate's files in the baseline
(``rollback``). Empty for a case that both releases ran on their own."""

DriftKind = Literal[
    "loss curve",
    "accuracy",
    "tolerance",
    "file size",
    "operators",
    "warnings",
    "load time",
    "message",
    "files",
]

Status = Literal["pass", "blocked", "inconclusive"]
EXIT_OF: dict[Status, int] = {"pass": 0, "blocked": 1, "inconclusive": 3}


class Side(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record as the comparison saw it; ``run`` is ``baseline`` or ``candidate``."""

    outcome: Outcome
    run: str = ""
    case: str = ""
    """Case id in that run: the producer is a part of it where files crossed."""
    reason: str = ""
    reason_kind: ReasonKind = ""
    budget_used: float | None = None
    """Largest error over allowed error."""
    error: float | None = None
    """Error of the comparison closest to their limit."""
    allowed: float | None = None
    expected_failure: str = ""
    """Reason of the entry of ``known_failures.toml`` that it behaved as."""
    issue: str = ""
    place: int | None = None
    """Its index among that run's records, which leads to it on that run's page."""


class Drift(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number or list that moved although the verdict did not have to."""

    kind: DriftKind
    what: str
    before: str = ""
    after: str = ""
    ratio: float | None = None
    """After over before, where both are numbers."""


class Change(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One case under both releases. ``same`` ones are here as well: the page folds them away."""

    case: str
    verdict: Verdict
    direction: Direction = ""
    area: str = ""
    model: str = ""
    target: str = ""
    title: str = ""
    before: Side | None = None
    after: Side | None = None
    text: str = ""
    """What changed, in a sentence."""
    identical: bool = False
    """All that was compared had the same bits under both releases, on the same files and feeds."""
    drifts: tuple[Drift, ...] = ()
    blocks: bool = False
    rule: str = ""
    """The rule of the policy that decided whether it blocks."""
    acknowledged: str = ""
    """Reason of the acknowledgement that keeps it from blocking."""
    issue: str = ""
    until: str = ""
    explained_by: tuple[str, ...] = ()
    """Unintended differences of the environments that could explain it."""
    workaround: str = ""
    """What to do instead, where something is known."""


class GridCell(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one release wrote in one format, loaded by one release: all models together."""

    route: str
    """Format and loader, ``jit -> predictor`` say."""
    producer: str
    consumer: str
    outcome: Outcome
    """The worst."""
    cases: int
    passed: int = 0
    identical: int = 0
    """Cases whose outputs have the bits of what the producer's own loader gave."""
    budget_used: float | None = None
    reason: str = ""
    workaround: str = ""


class Numerics(msgspec.Struct, frozen=True):
    """Error against the producer's float64 oracle before and after, in units of the allowed error."""

    case: str
    direction: Direction
    model: str
    target: str
    before: float | None
    """None where it is not a finite number, which JSON cannot hold."""
    after: float | None


class CurvePair(msgspec.Struct, frozen=True):
    """Loss per step of the same training under both releases."""

    case: str
    name: str
    baseline: tuple[float | None, ...]
    candidate: tuple[float | None, ...]
    first_difference: int | None
    """First step whose two losses are not the same number; None: the same to the last bit."""
    largest: float | None


class Speed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Two medians in microseconds with their 99 % intervals, measured apart: not a verdict."""

    case: str
    model: str
    target: str
    batch: int
    before_us: float
    before_low_us: float
    before_high_us: float
    after_us: float
    after_low_us: float
    after_high_us: float
    load_before_ms: float | None = None
    load_after_ms: float | None = None
    gated: bool = False


class PairedSpeed(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model on one target, timed in pairs of processes that take turns. Shares: 0.02 is 2 % slower.

    ``low`` to ``high`` is a 99 % interval with all looks at the data paid for; ``detectable`` the
    smallest change that these pairs would have shown; ``load_change`` that of the time to load.
    """

    case: str
    model: str
    target: str
    batch: int
    answer: str
    """``same``, ``slower``, ``faster`` or ``not enough data``."""
    before_us: float
    after_us: float
    change: float | None = None
    low: float | None = None
    high: float | None = None
    detectable: float | None = None
    pairs: int = 0
    sessions: int = 1
    """Sessions of the model in each pair; a pair's value is the mean over them."""
    again: float | None = None
    """The change that a second measurement found, in ``again_pairs`` others; null: there was none."""
    again_pairs: int = 0
    load_change: float | None = None
    load_low: float | None = None
    load_high: float | None = None
    disturbed: float = 0.0
    """Share of blocks during which the system took the processor away."""
    confirmed: bool | None = None
    """Whether the second measurement found the same; null: there was none."""
    why: str = ""
    """What kept it from a verdict."""


class Told(msgspec.Struct, frozen=True):
    """How often a slowdown of known size was told on this machine; 0: a release against itself.

    ``told`` of ``comparisons``, by this harness, with the 95 % interval ``low`` to ``high`` of the share;
    ``stored`` of as many, by a rule of 5 % between the medians of two stored runs.
    """

    extra: float
    told: int
    comparisons: int
    low: float
    high: float
    stored: int


class Calibrated(msgspec.Struct, frozen=True):
    """The newest `harness aa-test` of this machine: how far a verdict on speed can be believed."""

    started: str
    name: str
    """The environment that was timed against itself."""
    works: int
    pairs: int
    """Pairs of processes, the same for every work."""
    rows: tuple[Told, ...]
    sessions: int = 1
    """Sessions of each work in a pair."""


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that differs between the two environments."""

    what: str
    before: str
    after: str
    intended: bool = False
    """The change that was asked about: Paddle, its build, its profile."""
    explains: tuple[str, ...] = ()
    """Kinds of verdict it could explain; those then are ``not comparable``."""


class Subject(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the two environments."""

    name: str
    """As it was asked for: ``3.3.1``, a path, a run."""
    paddle: str
    profile: str = ""
    python: str = ""
    interpreter: str = ""
    run: str = ""
    """Folder of its run, relative to the gate's where it lies inside."""
    cases: int = 0
    comparisons: int = 0
    duration_s: float = 0.0
    reused: bool = False
    """Its records are of an earlier run."""


class ModelTotal(msgspec.Struct, frozen=True, omit_defaults=True):
    """All changes of one model; ``refused`` says why one of the user's was not run."""

    model: str
    user: bool = False
    form: str = ""
    verdicts: dict[str, int] = {}
    blocking: int = 0
    refused: str = ""


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a gate found. ``gate.json`` is this, ``gate.html`` shows it."""

    schema: int = GATE_SCHEMA
    kind: Literal["gate"] = "gate"
    status: Status
    exit_status: int
    sentence: str
    rules: tuple[str, ...] = ()
    """The rules that fired, most severe first."""
    started: str
    duration_s: float
    command: str
    harness: str
    """Version of the harness."""
    baseline: Subject
    candidate: Subject
    counts: dict[str, int]
    """Verdict -> cases, zeros included."""
    comparable: int
    """Cases that compared something under both."""
    identical: int
    """Of the cases that ran on the same files and feeds, those with the same bits."""
    identical_of: int
    """Cases that could have been identical: same files, same feeds, passed under both."""
    changes: tuple[Change, ...]
    grid: tuple[GridCell, ...] = ()
    numerics: tuple[Numerics, ...] = ()
    curves: tuple[CurvePair, ...] = ()
    speed: tuple[Speed, ...] = ()
    paired: tuple[PairedSpeed, ...] = ()
    calibration: Calibrated | None = None
    warnings: dict[str, tuple[str, ...]] = {}
    """``gone`` and ``new``: messages that only one of the two releases raised."""
    differences: tuple[Difference, ...] = ()
    models: tuple[ModelTotal, ...] = ()
    problems: tuple[str, ...] = ()
    """Faults of the gate itself: stale acknowledgements, interrupted runs, nothing compared."""
    policy: dict[str, Any] = {}

    @property
    def blocking(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.blocks)

    @property
    def findings(self) -> tuple[Change, ...]:
        """Every change that is not ``same``."""
        return tuple(change for change in self.changes if change.verdict != "same")


class MatrixResult(msgspec.Struct, frozen=True, kw_only=True):
    """What every release wrote, loaded by every release. ``matrix.json`` is this."""

    schema: int = GATE_SCHEMA
    kind: Literal["matrix"] = "matrix"
    releases: tuple[str, ...]
    """Oldest first: the order of the grid's rows and columns."""
    cells: tuple[GridCell, ...]
    started: str
    duration_s: float
    command: str
    harness: str
    """Version of the harness."""
    problems: tuple[str, ...] = ()
    """Faults of the run itself: a release that could not be set up, interrupted runs."""
    notes: tuple[str, ...] = ()
    """What a reader should know: which models, which releases were left out and why."""
