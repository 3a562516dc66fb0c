"""The recipe of a managed environment, and the manifest in its folder."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import platformdirs

from harness.core.hashing import key_of

SCHEMA = 1
MANIFEST = "environment.json"
HASH_DIGITS = 12


class Recipe(msgspec.Struct, frozen=True):
    """Everything that goes into an environment. The same recipe has the same folder."""

    label: str
    """Short name: ``3.3.1``, ``nightly-3.4.0.dev20260101``, ``wheel-3.3.1-1a2b3c``."""
    kind: str
    version: str
    """Paddle's, or the engine's."""
    requirements: tuple[str, ...]
    """Requirement lines; that of Paddle, or of the engine, is the first."""
    python: str
    """Version of the interpreter: 3.11.7."""
    package: str = "paddlepaddle"
    index: str = ""
    """URL of the index that Paddle's builds come from, without password; '' for the usual one."""
    sha256: str = ""
    """Of a wheel file."""
    imports: str = "paddle"
    """The module that shows that the environment works."""

    @property
    def folder(self) -> str:
        """Name of the environment's folder: readable, with a hash of what goes into it."""
        origin = {
            "schema": SCHEMA,
            # A wheel is the same in any folder, but its requirement line contains its path.
            "requirements": self.requirements[1:] if self.sha256 else self.requirements,
            "python": self.python,
            "index": self.index,
            "sha256": self.sha256,
        }
        return f"paddle-{self.label}-py{self.minor}-{key_of(origin)[:HASH_DIGITS]}"

    @property
    def minor(self) -> str:
        """Python's version without its last number: 3.11."""
        return ".".join(self.python.split(".")[:2])


class Manifest(msgspec.Struct, frozen=True):
    """The content of ``environment.json``: the recipe, and what was installed."""

    recipe: Recipe
    packages: dict[str, str]
    """Every installed package -> version."""
    size: int
    """Bytes of all files; where the disk allows it most are shared with uv's cache."""
    made: str
    """UTC, ISO 8601."""
    seconds: float
    schema: int = SCHEMA


def default_folder() -> Path:
    """``$HARNESS_ENVIRONMENTS``, or ``environments`` in the user's cache folder."""
    given = os.environ.get("HARNESS_ENVIRONMENTS")
    return Path(given or Path(platformdirs.user_cache_dir("paddle-conformance")) / "environments").absolute()


def read(path: Path) -> Manifest | None:
    """Read the manifest of a folder; None if it is no environment of this harness, or is damaged."""
    try:
        manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return None
    return manifest if manifest.schema == SCHEMA else None


def entries(root: Path) -> list[tuple[Path, Manifest | None]]:
    """Return every environment in the folder, by name, with its manifest; None if that is missing."""
    folders = sorted(root.glob("paddle-*-py3.*-*")) if root.is_dir() else []
    return [(path, read(path)) for path in folders if path.is_dir() or path.is_symlink()]


def site_packages(path: Path, minor: str) -> Path:
    """Return the folder of packages in the environment ``path`` of Python ``minor``."""
    return path / "lib" / f"python{minor}" / "site-packages"
