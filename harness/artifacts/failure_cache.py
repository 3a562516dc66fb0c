"""Recipes that are remembered to fail: another try would meet the same line of code.

A recipe that fails costs its process, since it may leave it changed. Most of what fails here fails in
Python (a moved attribute, another signature), and then always. Such an end is kept beside the
artifacts, under the key of the one that was not made, and believed once it was met twice: the key
hashes everything that went into it, so a new release, another recipe or another model tries anew.
What a machine can be to blame for (memory, disk, a crash, a deadline) is never kept.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.files import write_whole
from harness.core.types import RemoteFailure
from harness.pool.workers import RemoteError, WorkerFailure

TIMES = 2
"""How often a recipe must have ended alike."""

OF_CODE = (
    "AssertionError",
    "AttributeError",
    "IndexError",
    "KeyError",
    "NameError",
    "NotImplementedError",
    "TypeError",
    "UnicodeDecodeError",
    "ValueError",
)
"""Exceptions that say something of the code, and nothing of the machine."""

NOT_TRIED = "(not tried now: it ended like this twice before; --retry-failed tries it anew)"


class _Entry(msgspec.Struct, frozen=True):
    times: int
    call: str
    failure: RemoteFailure


class FailureCache:
    """Failures under a store's folder.

    Args:
        again: nothing is believed, and every recipe tried.

    Attributes:
        recalled: how often a recipe was not tried.
    """

    def __init__(self, root: Path, again: bool = False) -> None:
        self.root = root
        self.again = again
        self.recalled = 0

    def recall(self, key: str) -> WorkerFailure | None:
        """How the recipe of this key ends, if that is believed."""
        entry = self._read(key)
        if self.again or entry is None or entry.times < TIMES:
            return None
        self.recalled += 1
        tail = f"{NOT_TRIED}\n{entry.failure.log_tail}"
        return RemoteError(entry.call, msgspec.structs.replace(entry.failure, log_tail=tail))

    def note(self, key: str, failure: WorkerFailure) -> None:
        """Keep how the recipe of this key ended just now."""
        if not isinstance(failure, RemoteError) or failure.failure.type not in OF_CODE:
            return
        before = self._read(key)
        end = failure.failure
        same = before is not None and _said(before.failure) == _said(end)
        entry = _Entry(before.times + 1 if before is not None and same else 1, failure.call, end)
        try:
            write_whole(self._path(key), msgspec.json.encode(entry), "the store's note of a failure")
        except HarnessError:
            # Only a time saved is lost; where the disk is full, what must be written says so.
            return

    def forget(self, key: str) -> None:
        """The recipe works."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.root / f"{key}.failed"

    def _read(self, key: str) -> _Entry | None:
        try:
            return msgspec.json.decode(self._path(key).read_bytes(), type=_Entry)
        except (OSError, msgspec.MsgspecError):
            return None


def _said(failure: RemoteFailure) -> tuple[str, str]:
    return failure.type, failure.message
