"""Cache of failed recipes: another try would fail in the same line of code.

A failed recipe costs a new process, since it may leave its process changed. Most recipes that fail do so
in Python (a moved attribute, another signature), and then always. Such a failure is kept next to the
artifacts, under the key of the artifact that was not made, and used once it occurred twice. The key
hashes everything that the artifact depends on, so a new release, recipe or model is tried anew.
Failures that the machine may cause (memory, disk, a crash, a timeout) are never kept.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.files import write_whole
from harness.core.types import RemoteFailure
from harness.pool.workers import RemoteError, WorkerFailure

TIMES = 2
"""How often in a row a recipe must have failed alike before it is not tried."""

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
"""Exceptions that the code causes, and not the machine."""

NOT_TRIED = "(not tried now: it ended like this twice before; --retry-failed tries it anew)"


class _Entry(msgspec.Struct, frozen=True):
    times: int
    call: str
    failure: RemoteFailure


class FailureCache:
    """Failures under a store's folder.

    Args:
        again: try every recipe, whatever the cache says.

    Attributes:
        recalled: how often a recipe was not tried.
    """

    def __init__(self, root: Path, again: bool = False) -> None:
        self.root = root
        self.again = again
        self.recalled = 0

    def recall(self, key: str) -> WorkerFailure | None:
        """Return how the recipe of this key fails, or None if it has to be tried."""
        entry = self._read(key)
        if self.again or entry is None or entry.times < TIMES:
            return None
        self.recalled += 1
        tail = f"{NOT_TRIED}\n{entry.failure.log_tail}"
        return RemoteError(entry.call, msgspec.structs.replace(entry.failure, log_tail=tail))

    def note(self, key: str, failure: WorkerFailure) -> None:
        """Keep how the recipe of this key failed just now, if its code is the cause."""
        if not isinstance(failure, RemoteError) or failure.failure.type not in OF_CODE:
            return
        before = self._read(key)
        end = failure.failure
        same = before is not None and _type_and_message(before.failure) == _type_and_message(end)
        entry = _Entry(before.times + 1 if before is not None and same else 1, failure.call, end)
        try:
            write_whole(self._path(key), msgspec.json.encode(entry), "the store's note of a failure")
        except HarnessError:
            # Only time is lost; if the disk is full, writing what must be written reports it.
            return

    def forget(self, key: str) -> None:
        """Remove the recipe's failure: it works now."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.root / f"{key}.failed"

    def _read(self, key: str) -> _Entry | None:
        try:
            return msgspec.json.decode(self._path(key).read_bytes(), type=_Entry)
        except (OSError, msgspec.MsgspecError):
            return None


def _type_and_message(failure: RemoteFailure) -> tuple[str, str]:
    return failure.type, failure.message
