"""What of the harness decides an outcome, as one hash."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from harness.core.paths import ROOT

SOURCES = ("harness", "suites", "reference_models")


@functools.cache
def digest(root: Path) -> str:
    """Hash of every source file below the checkout's rooms, and below those of the project at ``root``."""
    found = hashlib.sha256()
    for base in dict.fromkeys((ROOT, root)):
        for name in SOURCES:
            for file in sorted((base / name).rglob("*")):
                if file.suffix in (".py", ".toml", ".txt") and file.is_file():
                    found.update(str(file.relative_to(base)).encode())
                    found.update(file.read_bytes())
    return found.hexdigest()
