"""How often the rule for speed is wrong: one side against itself, and with slowdowns of known size."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from scipy import stats

from harness.errors import HarnessError
from harness.files import append, write_whole
from harness.speed import decide, machine
from harness.speed.decide import Rule, Sample
from harness.speed.measure import Measured, Side, Work, pair
from harness.speed.session import CONFIRMED_P, FALSE_DISCOVERIES, PAIR_S, Tell

EXTRAS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.10)
"""Slowdowns put into the candidate, as shares of a call; the first is none."""

CASES = 40
"""Cases of the gate that each comparison is one of: alone, it would have less to show."""

FOLDER = "calibrations"
"""Below the folder of reports."""
PAIRS = "pairs.jsonl"
"""What was measured: a line that says of what, then one for each pair of processes, by work."""

STORED_RULE = 0.05
"""`pytest-benchmark --benchmark-compare-fail=median:5%`."""


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of the pairs: the environment, and where it was timed."""

    name: str
    machine: str


class Share(msgspec.Struct, frozen=True):
    """How many of how many, with its 95 % interval (Clopper and Pearson, Biometrika 26, 1934)."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        return self.hits / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        low = float(stats.beta.ppf(0.025, self.hits, self.of - self.hits + 1)) if self.hits else 0.0
        rest = self.of - self.hits
        high = float(stats.beta.ppf(0.975, self.hits + 1, rest)) if rest else 1.0
        return low, high


class Row(msgspec.Struct, frozen=True):
    """One work at one slowdown: how often each rule said *slower* (or, without one, anything but *same*).

    ``told``: this harness's rule, its second measurement included. ``first``: without that. ``stored``:
    medians of two processes measured one after the other, as two stored runs are compared.
    """

    work: str
    extra: float
    told: Share
    first: Share
    stored: Share


class Calibration(msgspec.Struct, frozen=True):
    """The table, and what it rests on. ``spread``: of a pair's log ratio, by work."""

    name: str
    rows: tuple[Row, ...]
    pairs: int
    comparisons: int
    spread: dict[str, float]
    median_us: dict[str, float]
    bias: dict[str, float]
    rule: Rule
    pair_s: float
    duration_s: float
    started: str
    place: machine.Placement
    before: machine.Conditions
    after: machine.Conditions
    machine: str = ""
    """Processor and how many of them: a calibration says nothing of another machine."""

    def total(self, extra: float) -> Row:
        """All works together at one slowdown."""
        rows = [row for row in self.rows if row.extra == extra]
        told, first, stored = (
            Share(sum(share.hits for share in shares), sum(share.of for share in shares))
            for shares in zip(*((row.told, row.first, row.stored) for row in rows), strict=True)
        )
        return Row("all", extra, told, first, stored)


Pool = dict[str, list[Measured]]
"""By the id of the work."""


def collect(
    sides: Sequence[Side],
    works: Sequence[Work],
    seconds: float,
    tell: Tell,
    file: Path,
    extras: Sequence[float] = EXTRAS,
    seed: int = 0,
) -> Pool:
    """Pairs of every work with every slowdown until the seconds are spent; both orders equally often.

    Each is appended to ``file`` when it is complete, so that an interrupted calibration keeps what it
    measured. Ctrl-C ends the measuring.

    Raises:
        WorkerFailure: a work cannot be run.
        HarnessError: the file cannot be written.
    """
    rng = np.random.default_rng(seed)
    place = machine.placement()
    found: Pool = {work.id: [] for work in works}
    append(file, msgspec.json.encode(Subject(sides[0].name, machine.identity())), "the pairs")
    for work in works:
        for side, target in zip(sides, work.targets, strict=True):
            side.lab.files(target, work.model)
    until = time.monotonic() + seconds
    number = 0
    with machine.apart(place), contextlib.suppress(KeyboardInterrupt):
        while number % 2 or time.monotonic() < until:
            now: dict[str, Measured] = {}
            with pair(sides, works[0].targets, bool(number % 2), place) as processes:
                for index in rng.permutation(len(works)):
                    now[works[index].id] = processes.measure(works[index], PAIR_S, rng, extras)
            for name, one in now.items():
                found[name].append(one)
            append(file, msgspec.json.encode(now), "the pairs")
            number += 1
            tell(f"{number} pairs, {max(0, until - time.monotonic()):.0f} s left")
    return found


def pooled(folders: Sequence[Path]) -> tuple[str, Pool]:
    """What earlier calibrations on this machine measured, together: of which environment, and the pairs.

    Raises:
        HarnessError: a folder holds none, or those of another machine, environment or set of slowdowns.
    """
    found: Pool = {}
    subjects: set[Subject] = set()
    for file in (folder / PAIRS for folder in folders):
        try:
            first, *lines = file.read_bytes().splitlines() or [b""]
            subjects.add(msgspec.json.decode(first, type=Subject))
            for number, line in enumerate(lines, 2):
                for work, one in _pair_of(line, last=number > len(lines)).items():
                    found.setdefault(work, []).append(one)
        except OSError as error:
            raise HarnessError(
                f"cannot read {file}: {error.strerror}; name a calibration's folder"
            ) from error
        except msgspec.DecodeError as error:
            raise HarnessError(f"{file} holds no pairs ({error}); calibrate anew") from error
    if len(subjects) > 1 or any(one.machine != machine.identity() for one in subjects):
        told = "; ".join(sorted(f"{one.name} on {one.machine}" for one in subjects))
        raise HarnessError(f"pairs of one environment on this machine are needed, these are of {told}")
    if any(one.extras != EXTRAS for measured in found.values() for one in measured):
        raise HarnessError("these pairs were measured with other slowdowns; calibrate anew")
    return next(iter(subjects)).name, found


def _pair_of(line: bytes, last: bool) -> dict[str, Measured]:
    try:
        return msgspec.json.decode(line, type=dict[str, Measured])
    except msgspec.DecodeError:
        if last:
            return {}  # a kill cut it
        raise


def evaluate(pool: Pool, rule: Rule, comparisons: int, seed: int = 0) -> tuple[Row, ...]:
    """Comparisons drawn from measured pairs, without putting any back within one comparison.

    Each takes as many pairs as the rule allows at most, orders alternating, and as many others for the
    second measurement.

    Raises:
        HarnessError: too few pairs for one comparison and its second measurement.
    """
    rng = np.random.default_rng(seed)
    size = rule.looks[-1]
    rows: list[Row] = []
    for work, measured in pool.items():
        by_order = [[one for one in measured if one.swapped is order] for order in (False, True)]
        if min(map(len, by_order)) < size:
            raise HarnessError(
                f"{len(measured)} pairs of {work} were measured, and {2 * size} are needed: give more "
                "--minutes or fewer models"
            )
        draws = [
            [[group[i] for i in rng.choice(len(group), size, replace=False)] for group in by_order]
            for _ in range(comparisons)
        ]
        for index, extra in enumerate(measured[0].extras):
            told = first = stored = 0
            for unswapped, swapped in draws:
                # Alternating orders; the first half of each group is looked at, the other confirms.
                half = size // 2
                mixed = [one for both in zip(unswapped, swapped, strict=True) for one in both]
                now, again = mixed[: 2 * half], mixed[2 * half :]
                most = FALSE_DISCOVERIES / CASES
                estimate, answer = decide.sequential(_samples(now, index), rule, most)
                hit = answer == "slower" or (answer == "faster" and not extra)
                hit = hit and estimate.p <= most
                first += hit
                told += hit and (answer != "slower" or _confirmed(_samples(again, index), rule))
                stored += _stored(unswapped[0], swapped[-1], index)
            rows.append(
                Row(
                    work,
                    extra,
                    Share(told, comparisons),
                    Share(first, comparisons),
                    Share(stored, comparisons),
                )
            )
    return tuple(rows)


def _samples(measured: Sequence[Measured], index: int) -> list[Sample]:
    return [Sample(one.ratios[index], one.swapped) for one in measured]


def _confirmed(samples: Sequence[Sample], rule: Rule) -> bool:
    found = decide.estimate(samples, rule.once(len(samples), 2 * CONFIRMED_P))
    return found.low > 0 and found.change >= rule.floor


def _stored(one: Measured, other: Measured, index: int) -> bool:
    """Whether two runs at other times, one of them stored, differ by more than the rule's share."""
    before, after = one.medians[0], other.medians[0] * float(np.exp(other.ratios[index]))
    return after / before - 1 > STORED_RULE


def summarize(
    name: str,
    pool: Pool,
    rule: Rule,
    comparisons: int,
    started: str,
    duration_s: float,
    before: machine.Conditions,
) -> Calibration:
    """The whole table.

    Raises:
        HarnessError: as :func:`evaluate`.
    """
    plain = {
        work: decide.estimate(_samples(measured, 0), rule.once(len(measured), rule.alpha))
        for work, measured in pool.items()
    }
    return Calibration(
        name=name,
        rows=evaluate(pool, rule, comparisons),
        pairs=min(len(measured) for measured in pool.values()),
        comparisons=comparisons,
        spread={work: found.spread for work, found in plain.items()},
        median_us={
            work: 1e6 * float(np.median([one.medians[0] for one in measured]))
            for work, measured in pool.items()
        },
        bias={work: found.change for work, found in plain.items()},
        rule=rule,
        pair_s=PAIR_S,
        duration_s=duration_s,
        started=started,
        place=machine.placement(),
        before=before,
        after=machine.conditions(),
        machine=machine.identity(),
    )


def latest(root: Path) -> Calibration | None:
    """The newest calibration of this machine among those below ``reports``."""
    for file in sorted((root / "reports" / FOLDER).rglob("calibration.json"), reverse=True):
        try:
            found = msgspec.json.decode(file.read_bytes(), type=Calibration)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            continue  # of an earlier form, or cut
        if found.machine == machine.identity():
            return found
    return None


def write(found: Calibration, folder: Path) -> Path:
    """`calibration.json` in the folder.

    Raises:
        HarnessError: it cannot be written.
    """
    data = msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
    return write_whole(folder / "calibration.json", data, "the calibration")
