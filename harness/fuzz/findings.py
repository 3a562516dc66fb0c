"""Findings of a fuzzing run, stored per release and deduplicated by cause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import platformdirs

from harness.core.errors import HarnessError
from harness.core.files import made_folder, write_json
from harness.fuzz.builder import Network
from harness.fuzz.verdict import Failure

FINDINGS = "findings.json"
ACROSS = " to "
"""Separates the names of the writing and the reading release."""


class Finding(msgspec.Struct, frozen=True):
    """One fault, shrunk. ``operator`` diverges first; without any one of ``passes`` the fault is gone."""

    release: str
    failure: Failure
    network: Network
    operator: str = ""
    passes: tuple[str, ...] = ()
    seed: int = 0
    seen: int = 1
    releases: str = ""
    """Releases in which its script fails, once it was run in them."""

    @property
    def operators(self) -> tuple[str, ...]:
        """Names of the network's operators, without duplicates."""
        return tuple(sorted({node["op"] for node in self.network["nodes"]}))

    def same(self, other: Finding) -> bool:
        """Whether it is the very same finding, not just a similar one."""
        return (self.failure.key, self.network) == (other.failure.key, other.network)

    @property
    def across(self) -> bool:
        """Whether one release wrote what another one reads; ``release`` then names both."""
        return ACROSS in self.release

    @property
    def name(self) -> str:
        """File name: outcome, stage, operators."""
        return "-".join([self.failure.outcome, self.failure.stage, *self.operators])[:110]


def default_folder() -> Path:
    """Return ``hunt`` in the user's cache folder; it has a subfolder for each release."""
    return Path(platformdirs.user_cache_dir("paddle-conformance")) / "hunt"


def explains(known: Finding, failure: Failure, nearby: Sequence[str]) -> bool:
    """Whether a failure is a known finding again.

    An error or crash is recognised by its message. A wrong answer is recognised if the known finding's
    operators are where the values diverge first (``nearby``), or if neither shows in any single value.
    """
    if known.failure.key != failure.key:
        return False
    if failure.outcome != "fail" or not nearby:
        return failure.outcome != "fail" or not known.operator
    return set(known.operators) <= set(nearby)


class Notebook:
    """The folder of one release, with ``findings.json``, ``seeds.json`` and Hypothesis's ``examples``.

    Raises:
        HarnessError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = made_folder(folder / "examples", "the folder").parent
        self.findings = self._read(FINDINGS, list[Finding])
        self.seeds = self._read("seeds.json", list[int])

    def _read(self, name: str, kind: type) -> list:  # type: ignore[type-arg]
        file = self.folder / name
        if not file.exists():
            return []
        try:
            return list(msgspec.json.decode(file.read_bytes(), type=kind))
        except msgspec.MsgspecError as error:
            raise HarnessError(f"{file} cannot be read ({error}): remove it to start again") from error

    def fold(self, finding: Finding) -> bool:
        """Add a finding, or count it for the stored one that explains it; return whether it is new."""
        stored = list(enumerate(self.findings))
        alike = [place for place, known in stored if known.same(finding)]
        alike += [place for place, one in stored if explains(one, finding.failure, finding.operators)]
        if alike:
            self.again(alike[0], finding.seen)
        else:
            self.findings.append(finding)
        self._write(FINDINGS, self.findings)
        return not alike

    def tried(self, name: str, releases: str) -> None:
        """Store the releases in which the finding of that name fails."""
        for place, known in enumerate(self.findings):
            if known.name == name:
                self.findings[place] = msgspec.structs.replace(known, releases=releases)
        self._write(FINDINGS, self.findings)

    def again(self, place: int, times: int = 1) -> None:
        """Count ``times`` more networks that showed a finding."""
        known = self.findings[place]
        self.findings[place] = msgspec.structs.replace(known, seen=known.seen + times)

    def used(self, *seeds: int) -> None:
        """Store seeds that were used."""
        self.seeds += seeds
        self._write("seeds.json", self.seeds)

    def close(self) -> None:
        """Write the counts."""
        self._write(FINDINGS, self.findings)

    def _write(self, name: str, value: object) -> None:
        write_json(self.folder / name, value, "the notebook")
