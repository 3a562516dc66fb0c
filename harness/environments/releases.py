"""The known releases and what each needs, read from ``releases.toml`` and from what runtimes state."""

from __future__ import annotations

import functools
import tomllib
from typing import Any

import msgspec
from packaging.version import Version

from harness.core.paths import TABLES
from harness.environments.runtimes import packages

FILE = TABLES / "releases.toml"
UNVERSIONED = Version("0.0.0")
"""Version of a build from the develop branch."""


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One section of ``releases.toml``, with the defaults filled in."""

    version: str
    python: str
    """PEP 440 specifier of the interpreters it can be installed in."""
    profiles: tuple[str, ...]
    requirements: dict[str, str]
    """Package -> version specifier, Paddle's own left out."""

    @property
    def only_legacy(self) -> bool:
        """Whether it has no new intermediate representation, so that the profile changes nothing."""
        return "pir" not in self.profiles

    def lines(self, paddle: str) -> tuple[str, ...]:
        """Return the requirement lines, with ``paddle`` as the one for Paddle."""
        return (paddle, *(name + version for name, version in self.requirements.items()))


@functools.cache
def releases() -> dict[Version, Release]:
    """Return every known release by its version, oldest first."""
    content: dict[str, Any] = tomllib.loads(FILE.read_text())
    defaults = content.pop("defaults")
    common = _joined(defaults.pop("requirements"), {each.name: each.version for each in packages()})
    common = _joined(common, defaults.pop("undeclared"))
    found = {}
    for version, own in content.items():
        needs = {**common, **own.get("requirements", {})}
        section = {"version": version, **defaults, **own, "requirements": needs}
        found[Version(version)] = msgspec.convert(section, Release)
    return dict(sorted(found.items()))


def _joined(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    """Both tables; where they have a package in common, both versions are asked for."""
    both = {name: dict.fromkeys(filter(None, (first.get(name), second[name]))) for name in second}
    return {**first, **{name: ",".join(versions) for name, versions in both.items()}}


def known_releases() -> list[str]:
    """Versions of the known releases, oldest first."""
    return [release.version for release in releases().values()]


def release_like(version: str) -> Release:
    """Return the release whose requirements fit a build of this version: the newest that is not above it.

    For a build before the first known release that is the first; for one without a version, the newest.
    """
    wanted = Version(Version(version).base_version) if version else UNVERSIONED
    known = list(releases())
    if wanted == UNVERSIONED:
        return releases()[known[-1]]
    return releases()[next((each for each in reversed(known) if each <= wanted), known[0])]
