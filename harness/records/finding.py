"""Find a run by its name, and a case of it by a part of its id."""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import HarnessError
from harness.core.paths import reports
from harness.core.types import Record
from harness.records.files import Run, read_run

MOST_CANDIDATES = 8


def open_run(name: str, root: Path) -> Run:
    """Read the run of that name: a folder, its ``records.jsonl``, or a name below ``reports/``.

    Raises:
        HarnessError: there is none; the message names the newest runs.
    """
    for path in (Path(name), reports(root) / name):
        if path.exists():
            return read_run(path.resolve())
    runs = sorted(
        path.parent.name for path in reports(root).glob("*/records.jsonl") if path.parent.name != "latest"
    )
    there = f"the newest are {', '.join(runs[-3:])}" if runs else f"{reports(root)} holds none yet"
    raise HarnessError(f"no run {name}: {there}")


def find_case(run: Run, wanted: str) -> Record:
    """Return the record whose case id is ``wanted``, or the only one that contains it.

    Raises:
        HarnessError: none or several do; the message names them.
    """
    records = {record.case: record for record in run.records}
    if wanted in records:
        return records[wanted]
    found = [case for case in records if wanted in case]
    if len(found) == 1:
        return records[found[0]]
    if not found:
        raise HarnessError(
            f"no case of {run.header.run} contains {wanted!r}: see `harness report {run.header.run}`"
        )
    more = f" and {len(found) - MOST_CANDIDATES} more" if len(found) > MOST_CANDIDATES else ""
    raise HarnessError(f"{wanted!r} is in {len(found)} cases: {', '.join(found[:MOST_CANDIDATES])}{more}")
