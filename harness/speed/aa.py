"""A/A test: how often the speed rule is wrong, for a side against itself and with known slowdowns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
from scipy import stats

from harness.core.containers import grouped
from harness.core.errors import HarnessError
from harness.speed import decide, machine
from harness.speed.decide import Rule
from harness.speed.measure import Measured, Plan, Quantity
from harness.speed.pairs import Pool
from harness.speed.session import FALSE_DISCOVERIES, Rules

ADDED: dict[Quantity, tuple[float, ...]] = {
    "load": (0.0, 0.1, 0.25, 0.5),
    "memory": (0.0, 0.05, 0.1, 0.25),
}
"""Shares added to the candidate's loading time and memory; runs are slowed while they are measured."""

CASES = 40
"""Cases of the gate to which each comparison belongs; a single case would need less evidence."""

FOLDER, EVALUATION = "aa-tests", "aa-test.json"
"""Name of the folder below ``reports``, and of the file of an A/A test."""
STORED_RULE = 0.05
"""`pytest-benchmark --benchmark-compare-fail=median:5%`."""


class Share(msgspec.Struct, frozen=True):
    """A count out of a total, with its 95 % interval (Clopper and Pearson, Biometrika 26, 1934)."""

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
    """One quantity of a workload at one slowdown: how often each rule found it.

    Without a slowdown: how often it found any change. ``detected``: by this harness's rule, with its second
    measurement. ``first``: without that. ``stored``: by the medians of two processes measured one after the
    other, as two stored runs are compared.
    """

    work: str
    quantity: Quantity
    extra: float
    detected: Share
    first: Share
    stored: Share


class Levels(msgspec.Struct, frozen=True):
    """Standard deviations of a workload's log ratio: between sessions of a pair, and between pairs."""

    session: float
    pair: float


class Sessions(msgspec.Struct, frozen=True):
    """Results of the same pairs with so many sessions: spread by workload, and shares over all workloads."""

    sessions: int
    spread: dict[str, float]
    rows: tuple[Row, ...]


class Evaluation(msgspec.Struct, frozen=True):
    """The table of an A/A test. ``spread``: standard deviation of a pair's log ratio, by workload.

    ``plan``: what was measured. ``sessions``: sessions of each pair in the table, as many as in a gate;
    ``by_sessions`` has other numbers. ``levels``: sources of the spread, by workload.
    """

    name: str
    rows: tuple[Row, ...]
    pairs: int
    comparisons: int
    spread: dict[str, float]
    median_us: dict[str, float]
    bias: dict[str, float]
    rules: Rules
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
    """Processor and number of processors: the result is valid for this machine only."""


def totals(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Sum all workloads at each slowdown."""

    def summed(shares: Iterable[Share]) -> Share:
        hits, of = zip(*((share.hits, share.of) for share in shares), strict=True)
        return Share(sum(hits), sum(of))

    return tuple(
        Row(
            "all",
            quantity,
            extra,
            *map(summed, zip(*((row.detected, row.first, row.stored) for row in same), strict=True)),
        )
        for (quantity, extra), same in grouped(rows, lambda row: (row.quantity, row.extra)).items()
    )


def evaluate(pool: Pool, rules: Rules, comparisons: int, seed: int = 0) -> tuple[Row, ...]:
    """Simulate comparisons by drawing from the measured pairs, without replacement within a comparison.

    Each draws as many pairs as the rule allows, in alternating order, and others for the second
    measurement.

    Raises:
        HarnessError: too few pairs for one comparison and its second measurement.
    """
    rng = np.random.default_rng(seed)
    most = FALSE_DISCOVERIES / CASES
    rows: list[Row] = []
    for work, measured in pool.items():
        for quantity in get_args(Quantity):
            rule = rules.of(quantity)
            size = (rule.looks[-1] + rule.second().looks[-1]) // 2  # pairs of each order
            by_order = [[one for one in measured if one.swapped is order] for order in (False, True)]
            if min(map(len, by_order)) < size:
                raise HarnessError(
                    f"{len(measured)} pairs of {work} were measured, and {2 * size} are needed: give more "
                    "--minutes or fewer models"
                )
            draws = [_drawn(by_order, size, rng) for _ in range(comparisons)]
            for extra, samples in _slowed(measured, quantity):
                detected = first = stored = 0
                for drawn in draws:
                    mixed = [samples[id(one)] for one in drawn]
                    now, again = mixed[: rule.looks[-1]], mixed[rule.looks[-1] :]
                    estimate, answer = decide.sequential(now, rule)
                    hit = answer == "slower" or (answer == "faster" and not extra)
                    first += hit
                    second = decide.again(estimate, again, rule, most) if hit else None
                    detected += second is not None and second.holds and second.p <= most
                    stored += _stored(drawn[0], drawn[-1], quantity, samples)
                shares = (Share(hits, comparisons) for hits in (detected, first, stored))
                rows.append(Row(work, quantity, extra, *shares))
    return tuple(rows)


def _slowed(
    measured: Sequence[Measured], quantity: Quantity
) -> Iterator[tuple[float, dict[int, decide.Sample]]]:
    """Yield each slowdown with the pairs' samples: runs were slowed for real, the others by arithmetic."""
    # A pair is drawn many times: its mean over the sessions is taken once.
    if quantity == "run":
        for index, extra in enumerate(measured[0].extras):
            yield extra, {id(one): one.sample(quantity, index) for one in measured}
        return
    plain = {id(one): one.sample(quantity) for one in measured}
    for extra in ADDED[quantity]:
        yield (
            extra,
            {
                key: msgspec.structs.replace(one, log_ratio=one.log_ratio + math.log1p(extra))
                for key, one in plain.items()
            },
        )


def _drawn(by_order: Sequence[Sequence[Measured]], size: int, rng: np.random.Generator) -> list[Measured]:
    """Draw pairs, orders alternating: the first for the first measurement, the others for the second."""
    picked = [rng.choice(len(group), size, replace=False) for group in by_order]
    return [group[i] for both in zip(*picked, strict=True) for group, i in zip(by_order, both, strict=True)]


def _stored(one: Measured, other: Measured, quantity: Quantity, samples: Mapping[int, decide.Sample]) -> bool:
    """Whether two runs at different times, one of them stored, differ by more than the rule's share."""
    before = one.median(quantity)[0]
    after = other.median(quantity)[0] * math.exp(samples[id(other)].log_ratio)
    return after / before - 1 > STORED_RULE


def summarize(
    name: str,
    pool: Pool,
    rules: Rules,
    comparisons: int,
    started: str,
    duration_s: float,
    before: machine.Conditions,
    plan: Plan | None = None,
) -> Evaluation:
    """Compute the table for as many sessions per pair as in a gate, and short ones for fewer and more.

    Raises:
        HarnessError: as :func:`evaluate`.
    """
    most = min(len(one.sessions) for measured in pool.values() for one in measured)
    whole, sessions = pool, min(Plan().sessions, most)
    pool = with_sessions(whole, sessions)
    rows, plain = evaluate(pool, rules, comparisons), spreads(pool, rules.run)
    others = sorted({1, 2, 4, 8, 16, most} - {sessions})
    return Evaluation(
        name=name,
        rows=rows,
        plan=plan or Plan(most),
        sessions=sessions,
        by_sessions=tuple(
            _of_sessions(with_sessions(whole, count), count, rules, max(1, comparisons // 5))
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
        rules=rules,
        duration_s=duration_s,
        started=started,
        place=machine.placement(),
        before=before,
        after=machine.conditions(),
        machine=machine.identity(),
    )


def with_sessions(pool: Pool, sessions: int) -> Pool:
    """Return the same pairs with only the first ``sessions`` sessions of each."""
    return {work: [one.first(sessions) for one in measured] for work, measured in pool.items()}


def spreads(pool: Pool, rule: Rule) -> dict[str, decide.Estimate]:
    """Estimate the change of each workload from all its pairs, without a slowdown."""
    return {
        work: decide.estimate([one.sample() for one in measured], rule.once(len(measured), rule.alpha))
        for work, measured in pool.items()
    }


def levels(measured: Sequence[Measured]) -> Levels:
    """Split the spread of a workload's pairs into its sources; with one session its part is unknown.

    Analysis of variance after Kalibera and Jones (2013): sessions contribute their variance, divided by
    their number, to the variance of the pairs' means.
    """
    ratios = [[session.ratios[0] for session in one.sessions] for one in measured]
    within = float(np.mean([np.var(one, ddof=1) for one in ratios])) if len(ratios[0]) > 1 else 0.0
    means = decide.estimate([one.sample() for one in measured], Rule()).spread ** 2
    return Levels(math.sqrt(within), math.sqrt(max(0.0, means - within / len(ratios[0]))))


def _of_sessions(pool: Pool, sessions: int, rules: Rules, comparisons: int) -> Sessions:
    rows = evaluate(pool, rules, comparisons)
    return Sessions(
        sessions,
        {work: found.spread for work, found in spreads(pool, rules.run).items()},
        totals(rows),
    )


def latest(root: Path) -> Evaluation | None:
    """Return the newest A/A test of this machine below ``reports``; None if there is none."""
    for file in sorted((root / "reports" / FOLDER).rglob(EVALUATION), reverse=True):
        try:
            found = msgspec.json.decode(file.read_bytes(), type=Evaluation)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            continue  # of an earlier format, or cut off
        if found.machine == machine.identity():
            return found
    return None
