"""Expected failures: read from TOML, matched strictly."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from harness.core.errors import HarnessError
from harness.core.types import Outcome


def covers(pattern: str, case: str) -> bool:
    """Whether the pattern matches the whole case id: ``*`` stands for anything, ``{a,b}`` for a or b."""
    return _compiled(pattern).fullmatch(case) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", ".*")
    text = re.sub(r"\\\{(.*?)\\\}", lambda found: "(?:" + found[1].replace(",", "|") + ")", text)
    return re.compile(text, re.DOTALL)


class ExpectedFailure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One finding: which cases, on which Paddle releases, end how, and why.

    ``case`` is a pattern of case ids, or a list of them where one cause shows in several checks: ``*``
    stands for anything and ``{a,b}`` for a or b. ``unless`` is another such pattern, of cases that the
    entry excludes; ``paddle`` a version specifier such as ``">=3.0,<3.4"``; ``profile`` ``"pir"``,
    ``"legacy-ir"`` or empty for both. ``match`` is a part of the failure's message; of a list of them,
    one must occur. ``without_cpu_flag`` is a flag of the processor, such as ``avx512_bf16``, or a list of
    them: the entry applies only to machines that have none of these; ``with_cpu_flag``: only to machines
    that have all of these. ``workaround`` is what a user can do about it. ``skipped_in_quick`` is a pattern
    of cases that the quick tier leaves out, since they fail in the same call as the entry's other cases;
    once one of those passes, the entry has to be removed.
    """

    case: str | tuple[str, ...]
    paddle: str
    outcome: Outcome
    match: str | tuple[str, ...]
    reason: str
    unless: str = ""
    profile: str = ""
    issue: str = ""
    workaround: str = ""
    without_cpu_flag: str | tuple[str, ...] = ()
    with_cpu_flag: str | tuple[str, ...] = ()
    tier: str = "quick"
    skipped_in_quick: str = ""

    def applies(self, version: str, profile: str, flags: Collection[str] = ()) -> bool:
        """Whether the entry applies to this release, profile and processor."""
        return (
            (not self.profile or self.profile == profile)
            and not any(flag in flags for flag in _listed(self.without_cpu_flag))
            and all(flag in flags for flag in _listed(self.with_cpu_flag))
            and SpecifierSet(self.paddle).contains(Version(version), prereleases=True)
        )

    def covers(self, case: str) -> bool:
        """Whether the entry applies to this case."""
        matched = any(covers(pattern, case) for pattern in self.patterns)
        return matched and not (self.unless and covers(self.unless, case))

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of case ids."""
        return _listed(self.case)

    def departure(self, outcome: Outcome, message: str) -> str:
        """Return how a result departs from the entry, or '' if it is as expected."""
        if outcome == "pass":
            return f"expected {self.outcome}, but it passes now: remove or narrow the entry"
        if outcome != self.outcome:
            return f"expected {self.outcome}, got {outcome}"
        if not any(part in message for part in _listed(self.match)):
            return f"failed with another message than {' or '.join(map(repr, _listed(self.match)))}"
        return ""


def _listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def load(path: Path) -> list[ExpectedFailure]:
    """Read all entries of a known-failures file; [] if the file does not exist.

    Raises:
        HarnessError: the file is not TOML, or an entry is incomplete or has a wrong version range.
    """
    if not path.exists():
        return []
    try:
        content = tomllib.loads(path.read_text())
        unknown = ", ".join(sorted(set(content) - {"failure"}))
        if unknown:
            raise HarnessError(f"{path}: unknown section {unknown}; entries are headed [[failure]]")
        entries = msgspec.convert(content.get("failure", []), list[ExpectedFailure])
        for entry in entries:
            SpecifierSet(entry.paddle)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, InvalidSpecifier) as error:
        raise HarnessError(f"{path}: {error}") from error
    return entries


class ExpectedFailures:
    """The entries that apply to this environment, and which of them have matched."""

    def __init__(
        self,
        entries: Iterable[ExpectedFailure],
        version: str,
        profile: str,
        tier: str,
        flags: Collection[str] = (),
    ) -> None:
        self.entries = [
            entry
            for entry in entries
            if entry.applies(version, profile, flags) and (entry.tier == "quick" or tier == "full")
        ]
        self._matched: set[tuple[ExpectedFailure, str]] = set()

    def find(self, case: str) -> ExpectedFailure | None:
        """Return the first entry that covers the case, and count it as matched."""
        for entry in self.entries:
            if entry.covers(case):
                self._matched |= {(entry, pattern) for pattern in entry.patterns if covers(pattern, case)}
                return entry
        return None

    def spares(self, case: str) -> bool:
        """Whether the quick tier leaves out the case, since others fail in the same call."""
        return any(
            entry.covers(case) and bool(entry.skipped_in_quick) and covers(entry.skipped_in_quick, case)
            for entry in self.entries
        )

    def unmatched(self) -> list[str]:
        """Return the patterns that covered no case of the run.

        Those of the area ``upgrade`` are left out: which of its cases exist depends on the releases whose
        files a run is given.
        """
        return [
            pattern
            for entry in self.entries
            for pattern in entry.patterns
            if (entry, pattern) not in self._matched and not pattern.startswith("upgrade/")
        ]
