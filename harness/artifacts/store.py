"""The store: artifacts, by the hash of everything that they depend on.

An entry is a folder ``<root>/<key>/`` with ``manifest.json`` and the files. It appears by one
rename, so it is there whole or not at all; a lock per key keeps two runs from making it twice;
every file's sha256 is checked on each use, and an entry that does not match is made anew. Each use sets
the modification time of ``manifest.json``, which is what `harness prune` goes by.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec
from filelock import FileLock

from harness.core.disk import hold, unheld
from harness.core.errors import HarnessError
from harness.core.hashing import Digests, key_of, sha256

IN_USE = ".in-use.lock"
"""Held by every process that uses artifacts; modified when the first of those that run now began."""


class Manifest(msgspec.Struct, frozen=True):
    """Description of an artifact: its origin, its files, and the values that its recipe returned."""

    key: str
    origin: dict[str, Any]
    files: dict[str, str]
    """Relative path -> sha256."""
    sizes: dict[str, int]
    """Relative path -> bytes."""
    values: dict[str, Any]


class Artifact(msgspec.Struct, frozen=True):
    """Files of one recipe for one model, verified against their hashes."""

    path: Path
    manifest: Manifest

    @property
    def values(self) -> dict[str, Any]:
        return self.manifest.values

    def file(self, *parts: str) -> str:
        """Path of a file inside the artifact, as text for the worker."""
        return str(self.path.joinpath(*parts))


class Store:
    """Content-addressed artifacts under one folder, shared by all runs of a user.

    Attributes:
        repairs: sentences about entries that were damaged and made anew.
        made, reused: how many entries this run made and found.
        used: keys of all of these, and of entries that could not be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repairs: list[str] = []
        self.made = 0
        self.reused = 0
        self.used: set[str] = set()
        self._digests = Digests()
        self._held: IO[bytes] | None = None
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                pass
        except OSError as error:
            raise HarnessError(
                f"the store {root} cannot be written ({error.strerror}): name another folder with "
                "--store or HARNESS_STORE"
            ) from error

    def get_or_make(self, origin: Mapping[str, Any], make: Callable[[Path], Mapping[str, Any]]) -> Artifact:
        """Return the artifact of this origin; if there is none, ``make(folder)`` fills an empty folder.

        Raises:
            HarnessError: the disk is full or the store is read-only; nothing half-made remains.
            Whatever ``make`` raises, likewise.
        """
        key = key_of(origin)
        self.used.add(key)
        entry = self.root / key
        with _disk_errors(entry):
            self._hold()
        with _disk_errors(entry), FileLock(str(self.root / f"{key}.lock")):
            found = self._load(entry)
            if found is not None:
                self.reused += 1
                return found
            folder = Path(tempfile.mkdtemp(prefix=f"{key}.part-", dir=self.root))
            try:
                values = dict(make(folder))
                files = sorted(path for path in folder.rglob("*") if path.is_file())
                manifest = Manifest(
                    key=key,
                    origin=dict(origin),
                    files={str(p.relative_to(folder)): sha256(p) for p in files},
                    sizes={str(p.relative_to(folder)): p.stat().st_size for p in files},
                    values=values,
                )
                (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
                os.replace(folder, entry)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self.made += 1
            return Artifact(entry, manifest)

    def _hold(self) -> None:
        """Keep what is used from now on from being removed, as long as this store object lives."""
        if self._held is not None:
            return
        path = self.root / IN_USE
        path.open("ab").close()
        with unheld(path) as first:
            if first:
                os.utime(path)
        self._held = hold(path)

    def _load(self, entry: Path) -> Artifact | None:
        if not entry.exists():
            return None
        try:
            manifest = msgspec.json.decode((entry / "manifest.json").read_bytes(), type=Manifest)
            wrong = [
                name for name, digest in manifest.files.items() if self._digests.of(entry / name) != digest
            ]
        except (OSError, msgspec.MsgspecError) as error:
            wrong, manifest = [str(error)], None
        if manifest is not None and not wrong:
            os.utime(entry / "manifest.json")
            return Artifact(entry, manifest)
        self.repairs.append(f"store entry {entry.name} was damaged ({', '.join(wrong)}) and made anew")
        shutil.rmtree(entry)
        return None


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal into a sentence that says what to do."""
    try:
        yield
    except OSError as error:
        raise HarnessError(
            f"the store cannot write {path} ({error.strerror}): free some space, or name another folder with "
            "--store"
        ) from error
