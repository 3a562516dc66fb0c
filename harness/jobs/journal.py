"""The journal of a run's folder: which jobs were begun and how they ended, each line synced to disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness.core.errors import UsageError
from harness.core.files import Lines, made_folder
from harness.core.paths import reports
from harness.jobs.job import Job, JobResult

JOURNAL = "jobs.jsonl"


class _Line(msgspec.Struct, omit_defaults=True):
    kind: str
    """``begun``, ``ended`` or ``closed``."""
    job: str = ""
    attempt: int = 0
    end: JobResult | None = None


class Journal:
    """The journal of one run. Reading accepts a last line that was cut off when the command was killed.

    Attributes:
        ends: last recorded result of each job.
        closed: whether the command that ran the jobs came to its end.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        self.ends: dict[str, JobResult] = {}
        self.closed = False
        cut = False
        for line in _lines(self.path):
            cut = line is None
            if line is not None and line.end is not None:
                self.ends[line.end.job] = line.end
            self.closed = line is not None and line.kind == "closed"
        self._lines = Lines(self.path)
        if cut:
            self._lines.add(b"")
        self._encode = msgspec.json.Encoder().encode

    def finished(self, job: Job, folder: Path) -> JobResult | None:
        """Return the job's result, if it finished and its records are unchanged."""
        end = self.ends.get(job.name)
        if end is None or end.status != "done" or end.digest != job.digest:
            return None
        return end if not end.records or digest_of(folder / "records.jsonl") == end.records else None

    def begun(self, job: str, attempt: int) -> None:
        """Record that an attempt is submitted to the backend."""
        self._write(_Line("begun", job, attempt))

    def ended(self, end: JobResult) -> None:
        """Record a job's final result; it is on disk when this returns."""
        self.ends[end.job] = end
        self._write(_Line("ended", end=end), sync=True)

    def close(self, whole: bool) -> None:
        """Close the journal. ``whole``: nothing is left to do, so the folder cannot be resumed."""
        if whole:
            self._write(_Line("closed"), sync=True)
        self._lines.close()

    def _write(self, line: _Line, sync: bool = False) -> None:
        self._lines.add(self._encode(line), sync)


def _lines(path: Path) -> Iterator[_Line | None]:
    try:
        data = path.read_bytes()
    except OSError:
        return
    for text in data.splitlines():
        try:
            yield msgspec.json.decode(text, type=_Line)
        except msgspec.MsgspecError:
            yield None


def is_open(folder: Path) -> bool:
    """Whether the folder's jobs belong to a command that did not come to its end."""
    if not (folder / JOURNAL).exists():
        return False
    kinds = [line.kind for line in _lines(folder / JOURNAL) if line is not None]
    return "closed" not in kinds[-1:]


def digest_of(path: Path) -> str:
    """Return the sha256 of a file; '' if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def new_folder(given: str, root: Path, kind: str, label: str) -> Path:
    """Make and return the given folder, or else ``reports/<kind>/<time>-<label>``.

    A folder with unfinished jobs is accepted, to resume them.

    Raises:
        UsageError: it already holds records.
        HarnessError: it cannot be made.
    """
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    made = reports(root) / kind / "-".join(filter(None, [stamp, label]))
    folder = Path(given).absolute() if given else made
    held = (folder / JOURNAL).exists() or (folder.is_dir() and any(folder.glob("*/records.jsonl")))
    if held and not is_open(folder):
        raise UsageError(f"{folder} already holds runs: name another folder with --folder")
    return made_folder(folder, "the folder")
