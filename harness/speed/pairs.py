"""Measure the pairs of an A/A test, keep them line by line, and read them again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from harness.core.errors import HarnessError
from harness.core.files import Lines
from harness.speed import machine
from harness.speed.measure import Measured, Plan, Side, Timed, Workload, pair, visits
from harness.speed.session import Tell

EXTRAS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
"""Slowdowns added to the candidate, as shares of a call; the first is none."""

PAIRS = "pairs.jsonl"
"""File of the measured pairs: a line with the subject, then one for each pair of processes, by workload."""

FORM = 4
"""Format of the lines of :data:`PAIRS`; pairs of different formats cannot be combined."""


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of the file: the environment, and where and how it was timed.

    ``form``: 1 had one session a pair, and other threads than the timed one on its processor; 2 took
    turns in blocks of 5 ms; 3 had no memory of the whole process.
    """

    name: str
    machine: str
    plan: Plan | None = None
    form: int = 1

    def __str__(self) -> str:
        sessions = self.plan.sessions if self.plan else 1
        return f"{self.name} on {self.machine}, {sessions} sessions a pair"


Pool = dict[str, list[Measured]]
"""Measured pairs by the id of the workload."""


def collect(
    sides: Sequence[Side],
    works: Sequence[Workload],
    seconds: float,
    tell: Tell,
    file: Path,
    extras: Sequence[float] = EXTRAS,
    plan: Plan = Plan(),  # noqa: B008
) -> Pool:
    """Measure pairs of every workload with every slowdown until the time is used; both orders equally often.

    Each pair is appended to ``file`` when it is complete, so that an interrupted A/A test keeps what it
    measured. Ctrl-C ends the measuring.

    Raises:
        WorkerFailure: a workload cannot be run.
        HarnessError: the file cannot be written.
    """
    rng = np.random.default_rng(0)
    place = machine.placement()
    found: Pool = {work.id: [] for work in works}
    kept = Lines(file)
    kept.add(msgspec.json.encode(Subject(sides[0].name, machine.identity(), plan, FORM)))
    for work in works:
        for side, target in zip(sides, work.targets, strict=True):
            side.executor.builder.files(target, work.model)
            side.executor.sample(work.model, work.batch)
    for side in sides:
        side.executor.pool.rest()
    until = time.monotonic() + seconds
    number = 0
    with machine.apart(place), contextlib.suppress(KeyboardInterrupt):
        while number % 2 or time.monotonic() < until:
            sessions: dict[str, list[Timed]] = {work.id: [] for work in works}
            swapped = bool(number % 2)
            with pair(sides, works[0].targets, swapped, place) as processes:
                for count, work in visits(works, plan.sessions, rng):
                    sessions[work.id].append(processes.measure(work, plan.seconds, rng, extras, count))
                memory = processes.paddle_mib
            now = {
                name: Measured(swapped, tuple(extras), tuple(ones), memory) for name, ones in sessions.items()
            }
            for name, one in now.items():
                found[name].append(one)
            kept.add(msgspec.json.encode(now))
            number += 1
            tell(f"{number} pairs, {max(0, until - time.monotonic()):.0f} s left")
    kept.close()
    return found


def pooled(folders: Sequence[Path]) -> tuple[str, Pool]:
    """Combine the pairs of earlier A/A tests on this machine; return the environment and the pairs.

    Raises:
        HarnessError: a folder holds no pairs, or pairs of an earlier format or of another machine,
            environment, number of sessions or set of slowdowns.
    """
    found: Pool = {}
    subjects: set[Subject] = set()
    for file in (folder / PAIRS for folder in folders):
        try:
            first, *lines = file.read_bytes().splitlines() or [b""]
            subject = msgspec.json.decode(first, type=Subject)
            if subject.form != FORM:
                raise HarnessError(f"{file} was measured in an earlier way: measure anew")
            subjects.add(subject)
            for number, line in enumerate(lines, 2):
                for work, one in _pair_of(line, last=number > len(lines)).items():
                    found.setdefault(work, []).append(one)
        except OSError as error:
            raise HarnessError(
                f"cannot read {file}: {error.strerror}; name the folder of an A/A test"
            ) from error
        except msgspec.DecodeError as error:
            raise HarnessError(f"{file} holds no pairs ({error}); measure anew") from error
    if len(subjects) > 1 or any(one.machine != machine.identity() for one in subjects):
        listed = "; ".join(sorted(map(str, subjects)))
        raise HarnessError(
            f"all pairs must be of one environment on this machine and of one plan, but these are of {listed}"
        )
    if any(one.extras != EXTRAS for measured in found.values() for one in measured):
        raise HarnessError("these pairs were measured with other slowdowns; measure anew")
    return next(iter(subjects)).name, found


def _pair_of(line: bytes, last: bool) -> dict[str, Measured]:
    try:
        return msgspec.json.decode(line, type=dict[str, Measured])
    except msgspec.DecodeError:
        if last:
            return {}  # cut off when the process was killed
        raise
