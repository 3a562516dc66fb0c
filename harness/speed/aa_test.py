"""How often the rule for speed is wrong: one side against itself, and with slowdowns of known size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from scipy import stats

from harness.core.errors import HarnessError
from harness.core.files import write_json
from harness.speed import decide, machine
from harness.speed.decide import Rule
from harness.speed.measure import Measured, Plan
from harness.speed.pairs import Pool
from harness.speed.session import FALSE_DISCOVERIES

CASES = 40
"""Cases of the gate that each comparison is one of: alone, it would have less to show."""

FOLDER = "calibrations"
"""Below the folder of reports."""
STORED_RULE = 0.05
"""`pytest-benchmark --benchmark-compare-fail=median:5%`."""


class Share(msgspec.Struct, frozen=True):
    """How many of how many, with its 95 % interval (Clopper and Pearson, Biometrika 26, 1934)."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        return self.hits / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        if not self.of:
            return 0.0, 1.0
        found = stats.binomtest(self.hits, self.of).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)


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


class Levels(msgspec.Struct, frozen=True):
    """Standard deviations of a work's log ratio: what a session in a pair and what a pair adds."""

    session: float
    pair: float


class Sessions(msgspec.Struct, frozen=True):
    """What the same pairs tell with so many sessions of each: spread of a pair by work, all works' shares."""

    sessions: int
    spread: dict[str, float]
    rows: tuple[Row, ...]


class Calibration(msgspec.Struct, frozen=True):
    """The table, and what it rests on. ``spread``: of a pair's log ratio, by work.

    ``plan``: what was measured. ``sessions``: how many of each pair the table has, as many as a gate's;
    ``by_sessions`` has the others. ``levels``: where the spread comes from, by work.
    """

    name: str
    rows: tuple[Row, ...]
    pairs: int
    comparisons: int
    spread: dict[str, float]
    median_us: dict[str, float]
    bias: dict[str, float]
    rule: Rule
    plan: Plan
    sessions: int
    by_sessions: tuple[Sessions, ...]
    levels: dict[str, Levels]
    duration_s: float
    started: str
    place: machine.Placement
    before: machine.Conditions
    after: machine.Conditions
    machine: str = ""
    """Processor and how many of them: a calibration says nothing of another machine."""

    def total(self, extra: float) -> Row:
        """All works together at one slowdown."""
        return total(self.rows, extra)


def total(rows: Sequence[Row], extra: float) -> Row:
    """All works together at one slowdown."""
    told, first, stored = (
        Share(sum(share.hits for share in shares), sum(share.of for share in shares))
        for shares in zip(
            *((row.told, row.first, row.stored) for row in rows if row.extra == extra), strict=True
        )
    )
    return Row("all", extra, told, first, stored)


def evaluate(pool: Pool, rule: Rule, comparisons: int, seed: int = 0) -> tuple[Row, ...]:
    """Comparisons drawn from measured pairs, without putting any back within one comparison.

    Each takes as many pairs as the rule allows at most, orders alternating, and others for the second
    measurement.

    Raises:
        HarnessError: too few pairs for one comparison and its second measurement.
    """
    rng = np.random.default_rng(seed)
    size = (rule.looks[-1] + rule.second().looks[-1]) // 2  # of either order
    most = FALSE_DISCOVERIES / CASES
    rows: list[Row] = []
    for work, measured in pool.items():
        by_order = [[one for one in measured if one.swapped is order] for order in (False, True)]
        if min(map(len, by_order)) < size:
            raise HarnessError(
                f"{len(measured)} pairs of {work} were measured, and {2 * size} are needed: give more "
                "--minutes or fewer models"
            )
        draws = [
            # Alternating orders; the first of them are looked at, the others confirm.
            [
                group[i]
                for both in zip(
                    *(rng.choice(len(group), size, replace=False) for group in by_order), strict=True
                )
                for group, i in zip(by_order, both, strict=True)
            ]
            for _ in range(comparisons)
        ]
        for index, extra in enumerate(measured[0].extras):
            # A pair is drawn many times: its mean over the sessions is taken once.
            samples = {id(one): one.sample(index) for one in measured}
            told = first = stored = 0
            for drawn in draws:
                mixed = [samples[id(one)] for one in drawn]
                now, again = mixed[: rule.looks[-1]], mixed[rule.looks[-1] :]
                estimate, answer = decide.sequential(now, rule)
                hit = answer == "slower" or (answer == "faster" and not extra)
                first += hit
                second = decide.again(estimate, again, rule, most) if hit else None
                told += second is not None and second.holds and second.p <= most
                stored += _stored(drawn[0], drawn[-1], index)
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
    plan: Plan | None = None,
) -> Calibration:
    """The whole table, for as many sessions a pair as a gate has, and shorter ones for fewer and more.

    Raises:
        HarnessError: as :func:`evaluate`.
    """
    most = min(len(one.sessions) for measured in pool.values() for one in measured)
    whole, sessions = pool, min(Plan().sessions, most)
    pool = with_sessions(whole, sessions)
    rows, plain = evaluate(pool, rule, comparisons), spreads(pool, rule)
    others = sorted({1, 2, 4, 8, 16, most} - {sessions})
    return Calibration(
        name=name,
        rows=rows,
        plan=plan or Plan(most),
        sessions=sessions,
        by_sessions=tuple(
            _of_sessions(with_sessions(whole, count), count, rule, max(1, comparisons // 5))
            for count in others
            if count <= most
        ),
        levels={work: levels(measured) for work, measured in whole.items()},
        pairs=min(len(measured) for measured in pool.values()),
        comparisons=comparisons,
        spread={work: found.spread for work, found in plain.items()},
        median_us={
            work: 1e6 * float(np.median([one.medians[0] for one in measured]))
            for work, measured in pool.items()
        },
        bias={work: found.change for work, found in plain.items()},
        rule=rule,
        duration_s=duration_s,
        started=started,
        place=machine.placement(),
        before=before,
        after=machine.conditions(),
        machine=machine.identity(),
    )


def with_sessions(pool: Pool, sessions: int) -> Pool:
    """The same pairs, had each measured so many sessions only."""
    return {work: [one.first(sessions) for one in measured] for work, measured in pool.items()}


def spreads(pool: Pool, rule: Rule) -> dict[str, decide.Estimate]:
    """What all pairs of each work say together, of no slowdown."""
    return {
        work: decide.estimate([one.sample() for one in measured], rule.once(len(measured), rule.alpha))
        for work, measured in pool.items()
    }


def levels(measured: Sequence[Measured]) -> Levels:
    """Where the spread of a work's pairs comes from; the session's part is not known from one session.

    The analysis of variance of Kalibera and Jones (2013): of the variance of the pairs' means, the
    sessions' variance divided by their number is the sessions'.
    """
    ratios = [[session.ratios[0] for session in one.sessions] for one in measured]
    within = float(np.mean([np.var(one, ddof=1) for one in ratios])) if len(ratios[0]) > 1 else 0.0
    means = decide.estimate([one.sample() for one in measured], Rule()).spread ** 2
    return Levels(math.sqrt(within), math.sqrt(max(0.0, means - within / len(ratios[0]))))


def _of_sessions(pool: Pool, sessions: int, rule: Rule, comparisons: int) -> Sessions:
    rows = evaluate(pool, rule, comparisons)
    return Sessions(
        sessions,
        {work: found.spread for work, found in spreads(pool, rule).items()},
        tuple(total(rows, extra) for extra in dict.fromkeys(row.extra for row in rows)),
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
    return write_json(folder / "calibration.json", found, "the calibration")
