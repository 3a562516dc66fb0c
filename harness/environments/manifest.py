"""What a managed environment is made of, and what its folder says of it."""

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
    """All that goes into an environment. The same recipe has the same folder."""

    label: str
    """Short name: ``3.3.1``, ``nightly-3.4.0.dev20260101``, ``wheel-3.3.1-1a2b3c``."""
    kind: str
    version: str
    """Paddle's, or the engine's."""
    requirements: tuple[str, ...]
    """Its line is the first."""
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
        """Name of its folder: readable, with the hash of what goes into it."""
        origin = {
            "schema": SCHEMA,
            # A wheel is the same wherever it lies, and its line names its path.
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
    """The content of ``environment.json``: the recipe, and what came of it."""

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
    """What the folder says of itself; None if it is no environment of this harness, or a damaged one."""
    try:
        manifest = msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return None
    return manifest if manifest.schema == SCHEMA else None


def entries(root: Path) -> list[tuple[Path, Manifest | None]]:
    """Every environment in the folder, by name; None beside one that does not say what it is."""
    folders = sorted(root.glob("paddle-*-py3.*-*")) if root.is_dir() else []
    return [(path, read(path)) for path in folders if path.is_dir() or path.is_symlink()]


def site_packages(path: Path, minor: str) -> Path:
    """Where packages lie in the environment ``path`` of Python ``minor``."""
    return path / "lib" / f"python{minor}" / "site-packages"
