"""One hash of all sources that can change an outcome."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from harness.core.extensions import extensions, name_of
from harness.core.paths import ROOT

SOURCES = ("harness", "suites", "reference_models")


@functools.cache
def digest(root: Path) -> str:
    """Hash of every source file of the harness, of the project at ``root`` and of the extensions."""
    found = hashlib.sha256()
    for base in dict.fromkeys((ROOT, root)):
        for name in SOURCES:
            for file in _sources(base / name):
                found.update(str(file.relative_to(base)).encode())
                found.update(file.read_bytes())
    for extension in extensions():
        for file in _sources(extension.folder):
            found.update(name_of(file).encode())
            found.update(file.read_bytes())
    return found.hexdigest()


def _sources(folder: Path) -> list[Path]:
    found = folder.rglob("*")
    return sorted(file for file in found if file.suffix in (".py", ".toml", ".txt") and file.is_file())
