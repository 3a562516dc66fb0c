"""Merge runs of several machines into one, which report, compare and query read like any other.

Each record names its machine, and the header describes each machine. If several machines ran a case, its id
gets the machine's name. If one machine ran a case twice, the merge is refused unless a rule is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from harness.core.containers import at
from harness.core.errors import HarnessError, UsageError
from harness.core.files import made_folder, write_whole
from harness.core.types import Record, RunFooter, RunHeader
from harness.records.files import Line, Run, encode, read_run

RECORDS = "records.jsonl"
ALIKE = (("paddle", "version"), ("paddle", "commit"), ("profile",))
"""Facts in which merged runs must agree: a run is of one Paddle."""


class Duplicates(StrEnum):
    """What to do with a case that one machine ran more than once."""

    refuse = "refuse"
    newest = "newest"
    worst = "worst"


class Part(msgspec.Struct, frozen=True):
    """One run, and the name of its machine."""

    machine: str
    run: Run


def parts(given: Sequence[tuple[str, Run]]) -> tuple[Part, ...]:
    """Name the machine of each run: the given name, else the host's, else the folder's."""
    return tuple(
        Part(name or str(run.header.environment.get("host") or run.folder.name), run) for name, run in given
    )


def merge(found: Sequence[Part], folder: Path, rule: Duplicates, command: str) -> Run:
    """Write the runs as one into ``folder``, and return the merged run.

    Raises:
        UsageError: fewer than two runs, runs of different Paddles, or a case ran twice on a machine and
            ``rule`` refuses that.
        HarnessError: the folder holds a run, or cannot be written.
    """
    if len(found) < 2:
        raise UsageError("one run is merged already: name two or more")
    _same_paddle(found)
    if (folder / RECORDS).exists():
        raise HarnessError(f"{folder} already holds a run: name another folder with -o")
    records = list(_records(found, rule))
    lines: list[Line] = [
        _header(found, folder.name, len(records), command),
        *records,
        *_footer(found, len(records)),
    ]
    made_folder(folder, "the folder", "-o")
    write_whole(folder / RECORDS, b"".join(encode(line) + b"\n" for line in lines), "the merged run")
    return read_run(folder)


def _same_paddle(found: Sequence[Part]) -> None:
    for path in ALIKE:
        told = {part.run.folder.name: at(part.run.header.environment, path) for part in found}
        if len(set(told.values())) > 1:
            listed = ", ".join(f"{name} has {value or 'none'}" for name, value in told.items())
            raise UsageError(
                f"the runs differ in {' '.join(path)} ({listed}): `harness compare` shows them side by side"
            )


def _records(found: Sequence[Part], rule: Duplicates) -> Iterator[Record]:
    """Yield all records with their machines, in the order of the runs."""
    kept: dict[tuple[str, str], Record] = {}
    twice: Counter[tuple[str, str]] = Counter()
    for part in found:
        for record in part.run.records:
            # A merged run may be merged again.
            key = (record.machine or part.machine, record.own_case)
            new = msgspec.structs.replace(record, machine=key[0], case=key[1])
            if key in kept:
                twice[key] += 1
                new = _one_of(kept[key], new, rule)
            kept[key] = new
    if twice and rule is Duplicates.refuse:
        machine, case = next(iter(twice))
        raise UsageError(
            f"{len(twice)} cases were run more than once on one machine (such as {case} on {machine}): give "
            "--duplicates newest or worst, or name the machines differently with NAME=RUN"
        )
    machines = Counter(case for _, case in kept)
    for (machine, case), record in kept.items():
        yield msgspec.structs.replace(record, case=f"{case} @ {machine}") if machines[case] > 1 else record


def _one_of(first: Record, second: Record, rule: Duplicates) -> Record:
    if rule is Duplicates.worst:
        from harness.report.summary import SEVERITY  # imports page templates, which a query does not need

        return min(first, second, key=lambda record: SEVERITY.index(record.outcome))
    return max(first, second, key=lambda record: record.started)


def _header(found: Sequence[Part], name: str, selected: int, command: str) -> RunHeader:
    machines: dict[str, dict[str, Any]] = {}
    for part in found:
        environment = {key: value for key, value in part.run.header.environment.items() if key != "installed"}
        for machine, facts in (environment.pop("machines", None) or {part.machine: environment}).items():
            runs = [*machines.get(machine, {}).get("runs", []), part.run.header.run]
            machines[machine] = {**facts, "runs": runs}
    headers = [part.run.header for part in found]
    first = headers[0]
    return RunHeader(
        run=name,
        started=min(header.started for header in headers),
        tier=", ".join(dict.fromkeys(header.tier for header in headers)),
        command=command,
        selected=selected,
        options=first.options,
        environment={
            **_common([{**header.environment, "machines": None} for header in headers]),
            "machines": machines,
        },
        harness=_common([header.harness for header in headers]),
        claims={claim: text for header in headers for claim, text in header.claims.items()},
        areas={name: area for header in headers for name, area in header.areas.items()},
    )


def _common(facts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the facts that are the same for all; the others are listed per machine."""
    first, *others = facts
    found: dict[str, Any] = {}
    for name, value in first.items():
        values = [other.get(name) for other in others]
        if all(other == value for other in values):
            found[name] = value
        elif isinstance(value, dict) and all(isinstance(other, dict) for other in values):
            found[name] = _common([value, *(other for other in values if isinstance(other, dict))])
    return found


def _footer(found: Sequence[Part], collected: int) -> Iterator[RunFooter]:
    """Yield the footer if every run has one: one interrupted run makes the whole incomplete."""
    footers = [(part.machine, part.run.footer) for part in found if part.run.footer is not None]
    if len(footers) < len(found):
        return
    problems = [f"{machine}: {problem}" for machine, footer in footers for problem in footer.problems]
    problems += [
        f"{part.machine}: {part.run.damaged} lines of {part.run.folder} could not be read"
        for part in found
        if part.run.damaged
    ]
    yield RunFooter(
        finished=max(footer.finished for _, footer in footers),
        duration_s=sum(footer.duration_s for _, footer in footers),
        exit_status=max(footer.exit_status for _, footer in footers),
        collected=collected,
        problems=tuple(problems),
    )
