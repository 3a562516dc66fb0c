"""Installed packages that add to the harness, and where all that can be added lies.

An extension is a package that an entry point of the group :data:`GROUP` names. Its folder has the layout of
this project, and is read by the same code: ``reference_models/``, ``suites/``, ``worker/``, ``claims.toml``,
``targets.toml``, ``engines.toml``. docs/extending.md has an example.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.paths import ROOT, TABLES

GROUP = "paddle_conformance.extensions"
"""The group of entry points."""
CODE = ("reference_models", "worker")
"""Folders whose files are imported in the environment under test."""
FOLDERS = (*CODE, "suites")


class Extension(msgspec.Struct, frozen=True):
    """An installed package that adds to the harness."""

    name: str
    """Of the package, as it is imported."""
    folder: Path
    distribution: str
    """Name and version of what was installed."""


@functools.cache
def extensions() -> tuple[Extension, ...]:
    """Every installed extension, by name.

    Raises:
        HarnessError: an entry point names no package, or a file has the name of another's.
    """
    found = {point.value: _extension(point) for point in metadata.entry_points(group=GROUP)}
    named: dict[str, str] = {}
    for owner, folder in [("the harness", TABLES), *((e.name, e.folder) for _, e in sorted(found.items()))]:
        for name in _names(folder):
            if name in named:
                raise HarnessError(
                    f"the extension {owner} has {name}, and {named[name]} has it too: rename the file, or "
                    f"uninstall the package of {owner}"
                )
            named[name] = owner
    return tuple(extension for _, extension in sorted(found.items()))


def _extension(point: metadata.EntryPoint) -> Extension:
    spec = importlib.util.find_spec(point.value) if "." not in point.value else None
    if spec is None or not spec.submodule_search_locations:
        raise HarnessError(
            f"the entry point {point.name} of {GROUP} names {point.value}, which is no package that can be "
            "imported here: name a top-level package there, or uninstall what has this entry point"
        )
    dist = f"{point.dist.name} {point.dist.version}" if point.dist else ""
    return Extension(point.value, Path(spec.submodule_search_locations[0]).resolve(), dist)


def _names(folder: Path) -> Iterator[str]:
    """What is found by the names of files: modules of the worker, models, and the areas of suites."""
    for name in FOLDERS:
        home = folder.parent if folder == TABLES and name != "worker" else folder
        for file in sorted((home / name).rglob("test_*.py" if name == "suites" else "*.py")):
            if file.name != "__init__.py":
                yield str(file.relative_to(home))


def places(name: str) -> list[Path]:
    """Where things of one kind lie: in the harness, then in each extension that has such.

    ``name``: one of :data:`FOLDERS`, or a table such as ``targets.toml``.
    """
    home = ROOT if name in FOLDERS and name != "worker" else TABLES
    return [home / name, *added(name)]


def added(name: str) -> list[Path]:
    """Where the extensions have things of one kind, as :func:`places` has it."""
    return [path for extension in extensions() if (path := extension.folder / name).exists()]


def name_of(path: Path) -> str:
    """A source file's name, which is the same wherever the harness and the extensions lie."""
    for extension in extensions():
        if path.is_relative_to(extension.folder):
            return f"{extension.name}/{path.relative_to(extension.folder)}"
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def located(name: str) -> str:
    """Where a file of an extension lies, by its :func:`name_of`; any other name as it is."""
    owner, _, inner = name.partition("/")
    return next((str(e.folder / inner) for e in extensions() if e.name == owner), name)
