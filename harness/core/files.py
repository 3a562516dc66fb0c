"""Files that a reader finds whole or not at all, and the folders that they go into."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from harness.core.errors import HarnessError


def write_whole(path: Path, data: bytes, what: str) -> Path:
    """Write ``data`` to a temporary file next to ``path``, then rename it to ``path``.

    ``what`` names the file in the error message, for example ``the report``.

    Returns:
        ``path``.

    Raises:
        HarnessError: the folder is missing or unwritable, or the disk is full; an older file
            at ``path`` is then as it was.
    """
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # mkstemp makes private files; this one is for everyone who may read the folder.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise HarnessError(
            f"cannot write {what} {path}: {error.strerror}; free some space or name another file"
        ) from error
    return path


def write_json(path: Path, value: Any, what: str, order: Literal["deterministic"] | None = None) -> Path:
    """Write ``value`` to ``path`` as indented JSON, as :func:`write_whole` does.

    ``order``: ``"deterministic"`` sorts mappings, so that equal values give equal bytes.
    """
    data = msgspec.json.format(msgspec.json.encode(value, order=order), indent=2)
    return write_whole(path, data + b"\n", what)


def made_folder(path: Path, what: str, option: str = "--folder") -> Path:
    """Make a folder, and those above it, unless it is there; ``path``.

    ``what`` names it in the error's sentence, ``option`` is what names another one.

    Raises:
        HarnessError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(
            f"{what} {path} cannot be made ({error.strerror}): name another with {option}"
        ) from error
    return path


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by their paths in the folder, and make the folders that they need."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class Lines:
    """A file that grows by whole lines, each handed to the operating system at once: a kill loses none.

    Args:
        option: what names another folder, for the errors' sentences.

    Raises:
        HarnessError: the file cannot be written.
    """

    def __init__(self, path: Path, option: str = "--folder") -> None:
        self.path, self.option = path, option
        try:
            self._file: IO[bytes] = path.open("ab")
        except OSError as error:
            raise HarnessError(
                f"cannot write {path}: {error.strerror}; name another folder with {option}"
            ) from error

    def add(self, line: bytes, sync: bool = True) -> None:
        """Append one line; ``sync``: it is on disk when this returns.

        Raises:
            HarnessError: the disk is full or the folder has become unwritable; earlier lines are as they
                were.
        """
        try:
            self._file.write(line + b"\n")
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise HarnessError(
                f"cannot write {self.path}: {error.strerror}; free some space or name another folder with "
                f"{self.option} (what was written before is kept)"
            ) from error

    def close(self) -> None:
        """Close the file. What could not be written is tried once more; :meth:`add` has said so already."""
        with contextlib.suppress(OSError):
            self._file.close()
