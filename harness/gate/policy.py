"""What blocks an upgrade: ``gate.toml``, read strictly."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from harness.checks.expected_failures import covers
from harness.core.errors import UsageError
from harness.gate.result import Change, Direction, Verdict
from harness.speed import decide
from harness.speed.session import Rules

BLOCKING: tuple[Verdict, ...] = ("broken", "missing", "numerically worse", "slower", "more memory")
"""Verdicts that block unless a policy says otherwise. The last two come only where the two releases were
timed in turns. Files taken back to the old release (``rollback``) block nothing."""

UNDECIDED: tuple[Verdict, ...] = ("inconclusive", "not comparable")


class Numerics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When an error that is still allowed counts as changed.

    It must have grown (or shrunk) by ``factor``, and the larger one must exceed ``floor`` times the
    allowed error. The allowed error is four times that of the dynamic graph: at 0.5 an engine is twice
    as wrong as the dynamic graph; below that, another order of summation can explain the change.
    """

    factor: float = 2.0
    floor: float = 0.5


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The smallest change that is reported, and inside which an interval is *same*; none: the default."""

    floor: float | None = None
    threshold: float | None = None

    def within(self, rule: decide.Rule) -> decide.Rule:
        """Return the rule with these bounds."""
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(rule, **given)


class SpeedRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When two releases count as equally fast, as shares; the rest is in ``harness/speed/decide.py``.

    ``floor`` and ``threshold`` are of the time of a run; loading and memory have their own.
    """

    floor: float | None = None
    threshold: float | None = None
    load: Bounds = Bounds()
    memory: Bounds = Bounds()

    @property
    def rules(self) -> Rules:
        """The rules of a measurement."""
        usual = Rules()
        return Rules(
            run=Bounds(self.floor, self.threshold).within(usual.run),
            load=self.load.within(usual.load),
            memory=self.memory.within(usual.memory),
        )


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether some verdicts of some cases block; the first rule that matches decides.

    ``case`` is a case id in which ``*`` stands for anything; no ``verdicts`` or no ``directions``
    means all of them.
    """

    case: str
    block: bool
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    directions: tuple[Direction, ...] = ()

    def matches(self, change: Change) -> bool:
        return (
            covers(self.case, change.case)
            and (not self.verdicts or change.verdict in self.verdicts)
            and (not self.directions or change.direction in self.directions)
        )


class Acknowledged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A difference that somebody has looked at and accepts until a date.

    ``baseline`` and ``candidate`` are version specifiers of the two releases; ``match`` must occur in
    the change's text.
    """

    case: str
    verdict: Verdict
    match: str
    reason: str
    until: date
    issue: str = ""
    direction: Direction = ""
    baseline: str = ""
    candidate: str = ""

    def applies(self, baseline: str, candidate: str) -> bool:
        """Whether its version specifiers match these two releases."""
        return _within(baseline, self.baseline) and _within(candidate, self.candidate)

    def matches(self, change: Change) -> bool:
        reason = change.after.reason if change.after is not None else ""
        return (
            covers(self.case, change.case)
            and change.verdict == self.verdict
            and change.direction == self.direction
            and self.match in f"{change.text}\n{reason}"
        )


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole ``gate.toml``. ``model`` tables name user models."""

    block: dict[Verdict, bool] = {}
    rollback: bool = False
    numerics: Numerics = Numerics()
    speed: SpeedRule = SpeedRule()
    rule: tuple[Rule, ...] = ()
    acknowledged: tuple[Acknowledged, ...] = ()
    model: tuple[dict[str, Any], ...] = ()

    def decide(self, change: Change) -> tuple[bool, str]:
        """Return whether the change blocks, and the rule that decided it; '' where none was needed."""
        if change.verdict == "same":
            return False, ""
        refused = change.after is not None and change.after.reason_kind == "model refused"
        if change.verdict == "missing" and refused:
            return False, "follows from the model's first run, which is judged by itself"
        for rule in self.rule:
            if rule.matches(change):
                return rule.block, f"rule {rule.case!r}: {rule.reason}"
        if change.direction == "rollback" and not self.rollback:
            return False, "files taken back to the old release do not block (`rollback = true` changes that)"
        blocks = self.block.get(change.verdict, change.verdict in BLOCKING)
        return blocks, f"{change.verdict} {'blocks' if blocks else 'does not block'}"


def _within(version: str, specifier: str) -> bool:
    if not specifier:
        return True
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False  # a build from a branch has no version to compare


def load(path: Path) -> Policy:
    """Read a policy from a file.

    Raises:
        UsageError: it is missing, is not TOML, or holds something unknown.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        policy = msgspec.convert(content, Policy)
        for entry in policy.acknowledged:
            SpecifierSet(entry.baseline), SpecifierSet(entry.candidate)
    except OSError as error:
        raise UsageError(
            f"cannot read the policy {path}: {error.strerror}; name another with --policy"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, InvalidSpecifier) as error:
        raise UsageError(f"{path}: {error}; docs/upgrading.md has an example of every table") from error
    return policy


def apply(
    policy: Policy, changes: Sequence[Change], baseline: str, candidate: str, today: date, whole: bool
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Return the changes with the policy's decisions, and the faults of the policy itself.

    It is as strict as expected failures are: an acknowledgement that matches nothing in a ``whole`` gate
    is a fault, and one past its date is ignored.
    """
    entries = [entry for entry in policy.acknowledged if entry.applies(baseline, candidate)]
    used: dict[Acknowledged, None] = {}
    decided: list[Change] = []
    for change in changes:
        blocks, rule = policy.decide(change)
        entry = next((entry for entry in entries if entry.matches(change)), None)
        kept: dict[str, Any] = {}
        if entry is not None:
            used[entry] = None
            if entry.until < today:
                rule = f"{rule}; its acknowledgement ended on {entry.until}"
            else:
                blocks, until = False, entry.until.isoformat()
                kept = {"acknowledged": entry.reason, "issue": entry.issue, "until": until}
        decided.append(msgspec.structs.replace(change, blocks=blocks, rule=rule, **kept))
    faults = [
        f"the acknowledgement of {entry.case!r} ({entry.verdict}) ended on {entry.until}: look at it again, "
        "then give it a new date or remove it"
        for entry in used
        if entry.until < today
    ]
    if whole:
        faults += [
            f"the acknowledgement of {entry.case!r} ({entry.verdict}) matches no change: remove or correct it"
            for entry in entries
            if entry not in used
        ]
    return tuple(decided), tuple(faults)
