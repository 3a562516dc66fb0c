"""Hashes of files and of what things were made from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(origin: Mapping[str, Any]) -> str:
    """The key of what has this origin: the same origin gives the same key on any machine."""
    text = msgspec.json.encode(origin, order="deterministic")
    return hashlib.sha256(text).hexdigest()[:32]
