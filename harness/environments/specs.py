"""What names an environment: a release, a range, a wheel, an index of nightly builds, an interpreter."""

from __future__ import annotations

import os
import re
import shutil
import urllib.parse
from pathlib import Path
from typing import Literal

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from harness.core.choices import Profile
from harness.core.errors import UsageError
from harness.environments.releases import release_like, releases

LEGACY = "@legacy-ir"
PACKAGE = "paddlepaddle"
"""What is taken from an index if the text does not say."""
RANGE = re.compile(r"(\d[^/]*)\.\.(\d[^/]*)")


class Spec(msgspec.Struct, frozen=True):
    """One environment as it was asked for; nothing has been made or looked for yet."""

    kind: Literal["release", "wheel", "index", "interpreter", "engine"]
    asked: str
    profile: Profile = "default"
    version: str = ""
    """Paddle's version, where the text contains it."""
    path: str = ""
    """Absolute path of a wheel or an interpreter; links are left as they are."""
    url: str = ""
    requirement: str = ""
    """What is taken from an index: ``paddlepaddle==3.4.0.dev20260101`` or a name alone."""


def parse(text: str) -> list[Spec]:
    """Return the environments that ``text`` names, in the order of their versions; make nothing.

    Raises:
        UsageError: an unknown release, a range without a known release, a path that does not exist.
    """
    asked = text.strip()
    plain = asked.removesuffix(LEGACY)
    profile: Profile = "legacy-ir" if plain != asked else "default"
    if "://" in plain:
        return [_index(plain, asked, profile)]
    if plain.endswith(".whl"):
        return [_wheel(plain, asked, profile)]
    versions = _versions(plain)
    if versions:
        one = len(versions) == 1 and _is_version(plain)
        return [_release(version, asked if one else "", profile) for version in versions]
    if _is_path(plain):
        return [Spec("interpreter", asked, profile, path=_interpreter(plain))]
    known = ", ".join(map(str, releases()))
    what = "is not a known release" if _is_version(plain) else "names no environment"
    raise UsageError(
        f"{asked or 'an empty text'} {what}: give a release ({known}), a range such as "
        "3.0.0..3.3.1 or '>=3.0,<3.3', all, the path of a wheel, the URL of an index, the path of an "
        f"interpreter or of a virtual environment, each with {LEGACY} appended for that profile"
    )


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _versions(text: str) -> list[Version]:
    """Return the known releases that a text names; [] if it names something else, or an unknown one.

    Raises:
        UsageError: a range is not valid, or contains no known release.
    """
    known = list(releases())
    if text == "all":
        return known
    ends = RANGE.fullmatch(text)
    if ends and all(map(_is_version, ends.groups())):
        low, high = map(Version, ends.groups())
        found = [version for version in known if low <= version <= high]
    elif text.startswith(("<", ">", "=", "!", "~")):
        try:
            found = list(SpecifierSet(text).filter(known))
        except InvalidSpecifier as error:
            raise UsageError(f"{text} is not a range of releases: write it as in '>=3.0,<3.3'") from error
    else:
        return [Version(text)] if _is_version(text) and Version(text) in known else []
    if not found:
        names = ", ".join(map(str, known))
        raise UsageError(f"no known release is in {text}: the known ones are {names}")
    return found


def _release(version: Version, asked: str, profile: Profile) -> Spec:
    release = releases()[version]
    asked = asked or release.version + (LEGACY if profile == "legacy-ir" else "")
    return Spec("release", asked, "default" if release.only_legacy else profile, release.version)


def _wheel(text: str, asked: str, profile: Profile) -> Spec:
    path = _absolute(text)
    if not os.path.isfile(path):
        raise UsageError(f"there is no wheel {path}: give the path of a .whl file of Paddle")
    try:
        name, version, *_ = parse_wheel_filename(os.path.basename(path))
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise UsageError(
            f"{path} is not named like a wheel (name-version-python-abi-platform.whl): rename it back"
        ) from error
    if not name.startswith(PACKAGE):
        raise UsageError(f"{path} is a wheel of {name}: give one of {PACKAGE} or {PACKAGE}-gpu")
    legacy = release_like(str(version)).only_legacy
    return Spec("wheel", asked, "default" if legacy else profile, str(version), path, requirement=name)


def _index(text: str, asked: str, profile: Profile) -> Spec:
    url, _, wanted = text.partition("#")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https", "file"):
        raise UsageError(f"{url} is not an http(s):// or file:// URL: give the URL of a package index")
    if parts.scheme == "file" and not os.path.exists(urllib.parse.unquote(parts.path)):
        raise UsageError(f"there is no index {url}: give the URL of a folder that holds one")
    try:
        requirement = Requirement(urllib.parse.unquote(wanted) or PACKAGE)
    except InvalidRequirement as error:
        raise UsageError(
            f"{wanted} does not say what to take from {url}: write it as in #{PACKAGE}==3.4.0.dev20260101"
        ) from error
    if not requirement.name.startswith(PACKAGE):
        raise UsageError(f"{requirement.name} is not Paddle: name {PACKAGE} or {PACKAGE}-gpu after the #")
    return Spec("index", asked, profile, exact(requirement), url=url, requirement=str(requirement))


def exact(requirement: Requirement) -> str:
    """Return the one version that a requirement allows, or ''."""
    pins = list(requirement.specifier)
    return pins[0].version if len(pins) == 1 and pins[0].operator == "==" and "*" not in str(pins[0]) else ""


def _absolute(text: str) -> str:
    # abspath keeps symbolic links: a virtual environment's python is one, and must stay one.
    return os.path.abspath(os.path.expanduser(text))


def _is_path(text: str) -> bool:
    named = os.sep in text or text.startswith((".", "~"))
    return bool(text) and (named or os.path.exists(text) or shutil.which(text) is not None)


def _interpreter(text: str) -> str:
    path = _absolute(text)
    if not os.path.exists(path):
        path = shutil.which(text) or path
    if os.path.isdir(path):
        inside = os.path.join(path, "bin", "python")
        if not os.path.exists(inside):
            raise UsageError(f"{path} has no bin/python: give a virtual environment or an interpreter")
        path = inside
    if not os.access(path, os.X_OK):
        raise UsageError(f"{path} is not an interpreter that can be started: give the path of one")
    return path


def name_of(python: str) -> str:
    """Return a short name for an interpreter, fit for file names: its virtual environment's, else its file's.

    If the environment's folder is only called ``.venv`` or ``venv``, its parent's name comes first.
    """
    path = Path(python)
    folder = path.parent.parent
    name = path.name
    if (folder / "pyvenv.cfg").exists():
        plain = folder.name.lstrip(".") in ("venv", "env")
        name = f"{folder.parent.name}-{folder.name.lstrip('.')}" if plain else folder.name
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip(".-") or "python"
