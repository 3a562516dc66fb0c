"""Environments that exist or could be made, for `harness env list` and `harness env remove`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from packaging.utils import canonicalize_name

from harness.core.errors import HarnessError, UsageError
from harness.environments import engines, managed
from harness.environments.credentials import without_password
from harness.environments.manifest import Recipe, entries, read
from harness.environments.plan import plan
from harness.environments.releases import Release, release_like, releases
from harness.environments.specs import LEGACY, Spec, parse

Status = Literal["made", "not made", "outdated", "broken"]


class Row(msgspec.Struct, frozen=True):
    """A known release or engine, or an environment that exists.

    Status ``outdated``: it was made with other requirements than today's.
    """

    name: str
    python: str
    profiles: tuple[str, ...]
    status: Status
    size: int = 0
    """Bytes."""
    made: str = ""
    """UTC, ISO 8601."""
    path: str = ""
    note: str = ""


def rows(root: Path) -> list[Row]:
    """Return the known releases, oldest first, then the engines, then what else is in the folder."""
    there = [(path, manifest.recipe if manifest else None) for path, manifest in entries(root)]
    found: list[Row] = []
    for release in releases().values():
        try:
            recipe = plan(Spec("release", release.version, version=release.version), root).recipe
        except HarnessError as error:
            found.append(Row(release.version, "", release.profiles, "not made", note=str(error)))
            continue
        if not (root / recipe.folder).exists():
            found.append(Row(release.version, recipe.minor, release.profiles, "not made"))
        for path, made in there:
            if made is not None and made.kind == "release" and made.version == release.version:
                found.append(_row(path, release, current=made.requirements == recipe.requirements))
    for engine in engines.engines().values():
        if not any(made and (made.kind, made.label) == (engines.KIND, engine.label) for _, made in there):
            minor = engine.python.strip("=*.")
            found.append(Row(engine.label, minor, (), "not made", note=f"harness env make {engine.name}"))
    shown = {row.path for row in found}
    for path, made in there:
        if str(path) not in shown:
            found.append(_row(path, release_like(made.version if made else ""), current=True))
    return found


def _row(path: Path, like: Release, current: bool) -> Row:
    manifest = read(path)
    wrong = managed.fault(path)
    status: Status = "broken" if wrong else "made" if current else "outdated"
    if manifest is None:
        return Row(path.name, "", (), status, path=str(path), note=wrong)
    recipe = manifest.recipe
    note = wrong or recipe.index
    profiles = () if recipe.kind == engines.KIND else like.profiles
    return Row(recipe.label, recipe.minor, profiles, status, manifest.size, manifest.made, str(path), note)


def removable(texts: Iterable[str], root: Path) -> list[Path]:
    """Return the managed environments that the texts name, each once: specs, or paths as `list` shows them.

    Raises:
        UsageError: a text names nothing, or an environment that this harness did not make.
    """
    found: list[Path] = []
    for text in texts:
        there = entries(root)
        by_path = [path for path, _ in there if os.path.abspath(text) == str(path)]
        label = text.removesuffix(LEGACY)
        shown = by_path or [path for path, made in there if made and made.recipe.label == label]
        if shown:
            found += shown
            continue
        for spec in engines.named(text) or parse(text):
            if spec.kind == "interpreter":
                raise UsageError(
                    f"{text} was not made by this harness, so it is not removed: `harness env list` shows "
                    "what was"
                )
            found += [path for path, made in there if made and _is_of(made.recipe, spec)]
    return list(dict.fromkeys(found))


def _is_of(recipe: Recipe, spec: Spec) -> bool:
    if recipe.kind != spec.kind:
        return False
    if spec.kind == "release":
        return recipe.version == spec.version
    if spec.kind == engines.KIND:
        return recipe.label == engines.engines()[spec.asked].label
    if spec.kind == "wheel":
        return recipe.requirements[0].endswith(Path(spec.path).as_uri())
    package = canonicalize_name(recipe.package)
    same = recipe.index == without_password(spec.url) and spec.requirement.startswith(package)
    return same and spec.version in ("", recipe.version)
