"""Files that a reader finds whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from harness.core.errors import HarnessError


def write_whole(path: Path, data: bytes, what: str) -> Path:
    """Write ``data`` to ``path`` in one step: beside it first, then renamed over it.

    ``what`` names the file in the error's sentence: ``the report``.

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
        # mkstemp makes private files; these are for everyone the folder is for.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise HarnessError(
            f"cannot write {what} {path}: {error.strerror}; free some space or name another file"
        ) from error
    return path


def append(path: Path, line: bytes, what: str) -> None:
    """Add one line to ``path`` and hand it to the operating system at once.

    Raises:
        HarnessError: the folder is missing or unwritable, or the disk is full; earlier lines are as they
            were.
    """
    try:
        with path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise HarnessError(
            f"cannot write {what} to {path}: {error.strerror}; free some space or name another folder "
            "(what was written before is kept)"
        ) from error
