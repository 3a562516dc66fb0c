"""Reading and writing ``records.jsonl``: one line a case, on disk before the next case starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.files import Lines
from harness.core.option_parsing import current_fields
from harness.core.types import SCHEMA_VERSION, Area, Record, RunFooter, RunHeader
from harness.records.former import line_of_schema_1

Line = RunHeader | Record | RunFooter

_KINDS: dict[str, type[Line]] = {"run": RunHeader, "case": Record, "end": RunFooter}


class _Kind(msgspec.Struct):
    kind: str = ""
    schema: int = 0


def encode(line: Line) -> bytes:
    """One line of ``records.jsonl``, without its end."""
    # omit_defaults would leave out the two fields a reader needs first.
    data = {"kind": line.kind, "schema": line.schema, **msgspec.to_builtins(line)}
    return msgspec.json.encode(data)


class RecordWriter:
    """Appends lines to ``records.jsonl`` so that a killed run leaves every finished case readable."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)

    def write(self, line: Line) -> None:
        """Append one line and flush it to disk.

        Raises:
            HarnessError: the disk is full or the folder has become unwritable.
        """
        self._lines.add(encode(line))

    def close(self) -> None:
        self._lines.close()


class Run(msgspec.Struct, frozen=True):
    """One run as read back from its folder."""

    folder: Path
    header: RunHeader
    records: tuple[Record, ...]
    footer: RunFooter | None
    damaged: int = 0
    """Number of unreadable lines: at most the last one, cut off by a kill, unless the disk is faulty."""

    @property
    def complete(self) -> bool:
        return self.footer is not None

    @property
    def areas(self) -> dict[str, Area]:
        """Title, place and role of each area on the page."""
        return self.header.areas


def read_lines(path: Path) -> Iterator[Line | None]:
    """Yield each line decoded, or None where it is damaged (for example cut off by a kill).

    Raises:
        HarnessError: the file is missing, or was written by a newer harness.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror}; give a folder that a run wrote") from error
    for line in raw.splitlines():
        if not line.strip():
            continue
        try:
            head = msgspec.json.decode(line, type=_Kind)
            if head.schema > SCHEMA_VERSION:
                raise HarnessError(
                    f"{path} has record schema {head.schema}, this harness reads up to {SCHEMA_VERSION}: "
                    "update the harness"
                )
            if head.schema == 1:
                yield msgspec.convert(line_of_schema_1(msgspec.json.decode(line)), _KINDS[head.kind])
            else:
                yield msgspec.json.decode(line, type=_KINDS[head.kind])
        except (msgspec.MsgspecError, KeyError, UnicodeDecodeError):
            yield None


def _current(header: RunHeader) -> RunHeader:
    """The header with the options' names of now."""
    brief = header.options.get("brief") and header.tier == "quick"
    options = current_fields(header.options)
    return msgspec.structs.replace(header, options=options, tier="gate" if brief else header.tier)


def read_run(folder: Path) -> Run:
    """Read the run in ``folder`` (a run folder, or its ``records.jsonl``), finished or not.

    Raises:
        HarnessError: no records there, or no header in them.
    """
    path = folder if folder.name.endswith(".jsonl") else folder / "records.jsonl"
    header: RunHeader | None = None
    footer: RunFooter | None = None
    records: list[Record] = []
    damaged = 0
    for line in read_lines(path):
        if isinstance(line, RunHeader):
            header = _current(line)
        elif isinstance(line, Record):
            records.append(line)
        elif isinstance(line, RunFooter):
            footer = line
        else:
            damaged += 1
    if header is None:
        raise HarnessError(f"{path} has no run header: it is empty or not a file of this harness")
    return Run(path.parent, header, tuple(records), footer, damaged)
