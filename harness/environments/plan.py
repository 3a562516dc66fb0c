"""From a spec to a recipe: which packages, which interpreter, which build of an index."""

from __future__ import annotations

from pathlib import Path

import msgspec
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from harness.core.errors import HarnessError
from harness.core.hashing import sha256
from harness.environments import index, uv
from harness.environments.credentials import without_password
from harness.environments.manifest import Recipe, entries
from harness.environments.releases import release_like
from harness.environments.specs import Spec
from harness.environments.uv import Interpreter


class Plan(msgspec.Struct, frozen=True):
    """A recipe, and what is needed only to make its environment."""

    recipe: Recipe
    base: Interpreter
    url: str = ""
    """Index of Paddle's builds, with its password if it has one; the recipe has the URL without it."""
    note: str = ""


def plan(spec: Spec, root: Path) -> Plan:
    """Plan how to make a managed environment; ``root`` is the folder of managed environments.

    Raises:
        HarnessError: no interpreter fits; or the index offers nothing, or is out of reach and
            nothing has been made from it yet.
    """
    base = uv.find_python(_python(spec), Path.home())
    if spec.kind == "index":
        return _of_index(spec, base, root)
    needs = release_like(spec.version)
    if spec.kind == "release":
        lines = needs.lines(f"paddlepaddle=={spec.version}")
        return Plan(Recipe(spec.version, spec.kind, spec.version, lines, base.version), base)
    digest = sha256(Path(spec.path))
    recipe = Recipe(
        label=f"wheel-{spec.version}-{digest[:6]}",
        kind=spec.kind,
        version=spec.version,
        requirements=needs.lines(f"{spec.requirement} @ {Path(spec.path).as_uri()}"),
        python=base.version,
        package=spec.requirement,
        sha256=digest,
    )
    return Plan(recipe, base)


def _python(spec: Spec) -> str:
    """Return the specifier of the interpreters that fit; a wheel may fit one Python only."""
    allowed = release_like(spec.version).python
    if spec.kind != "wheel":
        return allowed
    tags = parse_wheel_filename(Path(spec.path).name)[3]
    names = {tag.interpreter for tag in tags if tag.abi == tag.interpreter}
    minors = {f"{name[2]}.{name[3:]}" for name in names if name.startswith("cp")}
    if len(minors) != 1:
        return allowed
    (minor,) = minors
    if not uv.allows(SpecifierSet(allowed), minor):
        raise HarnessError(
            f"{spec.path} is for Python {minor}, and the packages that go with it for {allowed}: give the "
            "wheel for one of those"
        )
    return f"{allowed},=={minor}.*"


def _of_index(spec: Spec, base: Interpreter, root: Path) -> Plan:
    package = Requirement(spec.requirement).name
    shown = without_password(spec.url)
    version, note = spec.version, ""
    if not version:
        try:
            build = index.newest(spec.url, spec.requirement, base)
        except uv.Unreachable:
            made = _newest_made(root, package, shown, base.version)
            if made is None:
                raise
            note = "the index cannot be reached: this is the newest build that was made from it"
            return Plan(made, base, spec.url, note)
        version = build.text
        if build.offline:
            note = "the index cannot be reached: this is its newest build in uv's cache"
    lines = release_like(version).lines(f"{package}=={version}")
    recipe = Recipe(f"nightly-{version}", spec.kind, version, lines, base.version, package, shown)
    return Plan(recipe, base, spec.url, note)


def _newest_made(root: Path, package: str, url: str, python: str) -> Recipe | None:
    recipes = (manifest.recipe for _, manifest in entries(root) if manifest is not None)
    found = (each for each in recipes if (each.package, each.index, each.python) == (package, url, python))
    return max(found, key=lambda recipe: Version(recipe.version), default=None)
