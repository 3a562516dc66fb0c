"""Hashes of files, and of what artifacts were made from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Digests:
    """Digests of files, each read again only if the file was touched since it was read last."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[tuple[int, ...], str]] = {}

    def of(self, path: Path) -> str:
        """Hex digest of a file, as :func:`sha256`."""
        stat = path.stat()
        touched = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        if self._seen.get(path, (None, ""))[0] != touched:
            self._seen[path] = (touched, sha256(path))
        return self._seen[path][1]


def key_of(origin: Mapping[str, Any]) -> str:
    """Return the key of an artifact with this origin: 32 hex digits, the same on every machine."""
    text = msgspec.json.encode(origin, order="deterministic")
    return hashlib.sha256(text).hexdigest()[:32]
