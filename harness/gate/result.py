"""A gate's result as frozen types: the content of ``gate.json`` (``docs/gate-json.md``)."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from harness.core.containers import count
from harness.core.types import Outcome, ReasonKind
from harness.speed.operators import OperatorTime

GATE_SCHEMA = 2
"""Version of ``gate.json``; raised whenever a reader of the old form would misread the new."""

Verdict = Literal[
    "broken",
    "missing",
    "numerically worse",
    "slower",
    "more memory",
    "not comparable",
    "inconclusive",
    "new",
    "fixed",
    "numerically better",
    "faster",
    "less memory",
    "same",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

Direction = Literal["", "old files", "new files", "rollback"]
"""Whose files were loaded where: the baseline's in the candidate (``old files``), the candidate's in the
candidate (``new files``), the candidate's in the baseline (``rollback``). Empty for a case that loads no
other environment's files."""

DriftKind = Literal[
    "loss curve",
    "accuracy",
    "tolerance",
    "file size",
    "operators",
    "interface",
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
    """Case id in that run; it contains the producer where files crossed."""
    reason: str = ""
    reason_kind: ReasonKind = ""
    budget_used: float | None = None
    """Largest error over allowed error."""
    error: float | None = None
    """Error of the comparison that used most of its allowed error."""
    allowed: float | None = None
    expected_failure: str = ""
    """Reason of the entry of ``known_failures.toml`` that expected this failure."""
    issue: str = ""
    place: int | None = None
    """Index among that run's records, for the link to that run's page."""


class Drift(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number or list that changed, whether the verdict changed or not."""

    kind: DriftKind
    what: str
    before: str = ""
    after: str = ""
    ratio: float | None = None
    """After over before, where both are numbers."""


class Change(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One case under both releases. ``same`` ones are included; the page folds them away."""

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
    """Whether all outputs had the same bits under both releases, on the same files and feeds."""
    drifts: tuple[Drift, ...] = ()
    blocks: bool = False
    rule: str = ""
    """The rule of the policy that decided whether it blocks."""
    acknowledged: str = ""
    """Reason of the acknowledgement that keeps it from blocking."""
    issue: str = ""
    until: str = ""
    explained_by: tuple[str, ...] = ()
    """Unintended differences of the environments that could explain the change."""
    workaround: str = ""
    """Workaround, where one is known."""


class GridCell(msgspec.Struct, frozen=True, omit_defaults=True):
    """Files that one release wrote in one format, loaded by one release: all models together."""

    route: str
    """Format and loader, such as ``jit → predictor``."""
    producer: str
    consumer: str
    outcome: Outcome
    """The worst."""
    cases: int
    passed: int = 0
    identical: int = 0
    """Cases with the same output bits as when the producer loads the files itself."""
    budget_used: float | None = None
    reason: str = ""
    workaround: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """Producer, consumer."""
        return self.producer, self.consumer


class Numerics(msgspec.Struct, frozen=True):
    """Error against the producer's float64 oracle before and after, in units of the allowed error."""

    case: str
    direction: Direction
    model: str
    target: str
    before: float | None
    """None where the error is not finite, which JSON cannot hold."""
    after: float | None


class CurvePair(msgspec.Struct, frozen=True):
    """Loss per step of the same training under both releases."""

    case: str
    name: str
    baseline: tuple[float | None, ...]
    candidate: tuple[float | None, ...]
    first_difference: int | None
    """First step at which the two losses differ; None: the same to the last bit."""
    largest: float | None


class Speed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Two medians in microseconds with their 99 % intervals, measured separately: not a verdict."""

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
    """One model on one target, measured in pairs of processes that take turns. Shares: 0.02 is 2 % more.

    ``low`` to ``high`` is a 99 % interval, corrected for repeated looks at the data; ``detectable`` is the
    smallest change that these pairs would have shown.
    """

    case: str
    model: str
    target: str
    batch: int
    quantity: str
    """``run`` (the time of a run), ``load`` (the time to load the model) or ``memory`` (of the process)."""
    unit: str
    """Of ``before`` and ``after``."""
    answer: str
    """``same``, ``slower``, ``faster``, ``more memory``, ``less memory`` or ``not enough data``."""
    before: float
    after: float
    change: float | None = None
    low: float | None = None
    high: float | None = None
    detectable: float | None = None
    pairs: int = 0
    sessions: int = 1
    """Sessions of the model in each pair; a pair's value is the mean over them."""
    again: float | None = None
    """Change found by a second measurement, with ``again_pairs`` new pairs; null: there was none."""
    again_pairs: int = 0
    disturbed: float = 0.0
    """Share of blocks during which the system took the processor away."""
    confirmed: bool | None = None
    """Whether the second measurement found the same; null: there was none."""
    why: str = ""
    """Reason for no verdict."""
    operators: tuple[OperatorTime, ...] = ()
    """For a slower or faster run: the operators whose times differ most, by Paddle's profiler."""


class Detected(msgspec.Struct, frozen=True):
    """How often a change of known size was detected on this machine; size 0: a release against itself.

    This harness detected ``detected`` of ``comparisons``; ``low`` to ``high`` is the 95 % interval of the
    share. A rule of 5 % between the medians of two stored runs detected ``stored`` of as many.
    """

    quantity: str
    extra: float
    detected: int
    comparisons: int
    low: float
    high: float
    stored: int


class AATest(msgspec.Struct, frozen=True):
    """The newest `harness aa-test` of this machine: how reliable a verdict on speed is."""

    started: str
    name: str
    """Environment that was timed against itself."""
    works: int
    pairs: int
    """Pairs of processes, the same for every model and target."""
    rows: tuple[Detected, ...]
    sessions: int = 1
    """Sessions of each model and target in a pair."""


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that differs between the two environments."""

    what: str
    before: str
    after: str
    intended: bool = False
    """Whether this is the change asked about: Paddle, its build, its profile."""
    explains: tuple[str, ...] = ()
    """Kinds of verdict that it could explain, which then become ``not comparable``."""


class Subject(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the two environments."""

    name: str
    """Name as the user gave it: ``3.3.1``, a path, a run."""
    paddle: str
    profile: str = ""
    python: str = ""
    interpreter: str = ""
    run: str = ""
    """Folder of the run, relative to the gate's folder where it is inside that."""
    cases: int = 0
    comparisons: int = 0
    duration_s: float = 0.0
    reused: bool = False
    """Whether the records are of an earlier run."""


class ModelTotal(msgspec.Struct, frozen=True, omit_defaults=True):
    """All changes of one model; ``unjudged`` says why a user model was not judged."""

    model: str
    user: bool = False
    form: str = ""
    verdicts: dict[str, int] = {}
    blocking: int = 0
    failing: int = 0
    """Cases that are the same since they work under neither release."""
    unjudged: str = ""
    interface: str = ""
    """Which inputs or outputs of its export are called otherwise by the candidate."""

    @property
    def words(self) -> str:
        """The verdict on the model in words."""
        if self.unjudged:
            return f"not judged, {self.unjudged}"
        return f"{self._cases}; its export changes: {self.interface}" if self.interface else self._cases

    @property
    def _cases(self) -> str:
        listed = ", ".join(f"{number} {verdict}" for verdict, number in self.verdicts.items())
        if self.failing:
            listed += f", {self.failing} of which work under neither"
        if self.blocking:
            return f"{count(self.blocking, 'case')} of it block{'s' if self.blocking == 1 else ''}: {listed}"
        changed = any(verdict != "same" for verdict in self.verdicts)
        return f"nothing blocks: {listed}" if changed else f"unchanged: {listed}"


class GateResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a gate found: the content of ``gate.json``, shown by ``gate.html``."""

    schema: int = GATE_SCHEMA
    kind: Literal["gate"] = "gate"
    status: Status
    exit_status: int
    sentence: str
    rules: tuple[str, ...] = ()
    """Rules that fired, most severe first."""
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
    """Cases that compared something under both releases."""
    identical: int
    """Cases with the same output bits, of ``identical_of``."""
    identical_of: int
    """Cases that could have been identical: same files, same feeds, passed under both."""
    changes: tuple[Change, ...]
    grid: tuple[GridCell, ...] = ()
    numerics: tuple[Numerics, ...] = ()
    curves: tuple[CurvePair, ...] = ()
    speed: tuple[Speed, ...] = ()
    paired: tuple[PairedSpeed, ...] = ()
    aa_test: AATest | None = None
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
    def own(self) -> tuple[ModelTotal, ...]:
        """User models, blocking ones and those that were not judged first."""
        found = (model for model in self.models if model.user)
        return tuple(sorted(found, key=lambda row: (-row.blocking, not row.unjudged, row.model)))


class MatrixResult(msgspec.Struct, frozen=True, kw_only=True):
    """Every release's files loaded by every release: the content of ``matrix.json``."""

    schema: int = GATE_SCHEMA
    kind: Literal["matrix"] = "matrix"
    releases: tuple[str, ...]
    """Releases, oldest first: the order of the grid's rows and columns."""
    cells: tuple[GridCell, ...]
    started: str
    duration_s: float
    command: str
    harness: str
    """Version of the harness."""
    problems: tuple[str, ...] = ()
    """Faults of the run itself: a release that could not be set up, interrupted runs."""
    notes: tuple[str, ...] = ()
    """Notes for the reader: which models, which releases were left out and why."""
