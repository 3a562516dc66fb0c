"""Find where a latency changed: change points in the medians of many runs, with few false alarms.

A series is one case on one target, host and profile in order of time. It spans releases that followed
each other. Where releases were run in turns, as a gate does, each is a separate series: otherwise a
disturbance of the machine would look like a difference between releases.

Its segments are found by PELT (Killick, Fearnhead and Eckley, JASA 107, 2012; Celisse et al., CSDA 128,
2018, as in `ruptures`) on the ranks of the medians: no single disturbed run decides, and without a change
the ranks are a permutation whatever the latencies' distribution is. So one table of penalties holds for
all series: each is the quantile, over random permutations, of the penalty at which the first change point
appears. The error is shared among all series of a history (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby, pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray
from packaging.version import InvalidVersion, Version
from scipy import stats
from scipy.interpolate import interp1d

from harness.core.containers import grouped
from harness.core.errors import HarnessError
from harness.history.data import History

ALPHA = 0.05
"""Chance that a history without any change shows a change point at all."""
FLOOR = 0.02
"""Smallest share by which the medians of neighbouring segments must differ, as in a gate."""
SHORTEST = 3
"""Fewest runs in a segment."""
MOST_RUNS = 400
"""Newest runs of a series that are examined: as many as the penalties were computed for."""

LEVELS = (0.05, 0.01, 0.001)
PENALTIES: dict[int, tuple[float, float, float]] = {
    8: (5.01, 5.34, 5.34),
    9: (5.41, 6.01, 6.01),
    10: (5.74, 6.56, 6.83),
    11: (5.64, 7.01, 7.51),
    12: (5.78, 7.39, 8.32),
    14: (6.09, 8.01, 9.61),
    16: (6.23, 8.36, 10.43),
    20: (6.74, 8.84, 11.53),
    25: (7.13, 9.54, 12.67),
    30: (7.29, 9.90, 12.92),
    40: (7.70, 10.33, 14.09),
    60: (8.28, 10.94, 14.79),
    100: (8.77, 11.65, 15.69),
    200: (9.62, 12.52, 16.40),
    400: (10.03, 12.58, 16.56),
}
"""Number of runs -> penalty at each of the levels, in units of the ranks' variance, rounded up.

From 20,000 permutations each (15,000 of 100 runs, 8,000 of 200, 3,000 of 400): the quantile of the
largest (SSE with no change point - SSE with k) / k, k up to 3, by dynamic programming.
"""


Values = NDArray[np.float64]


class _Measured(msgspec.Struct, frozen=True):
    """Which case, where, and in which run."""

    case_id: str
    model: str
    target: str
    batch: int | None
    profile: str
    host: str
    run: str


class Point(_Measured, frozen=True):
    """One run's median, and what else could explain that it differs from its neighbour's."""

    number: int
    started: datetime | None
    median_us: float
    release: str | None = None
    commit: str | None = None
    python: str | None = None
    cpu: str | None = None
    source: str | None = None
    packages: str | None = None


class Change(_Measured, frozen=True):
    """A change point: medians of the segments before and after, and what else changed there.

    ``run``: the first one of the new segment.
    """

    started: datetime | None
    release: str | None
    change: float
    """Share: 0.1 is ten per cent slower."""
    before_us: float
    after_us: float
    runs_before: int
    runs_after: int
    differs: str


class Series(msgspec.Struct, frozen=True):
    """One line of a trend. ``starts``: indexes at which the second and later segments start."""

    points: tuple[Point, ...]
    starts: tuple[int, ...]

    @property
    def releases(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(point.release or "no release" for point in self.points))

    @property
    def title(self) -> str:
        """``latency/run[lenet-predictor-1], 3.2.2–3.3.1``."""
        ends = dict.fromkeys((self.releases[0], self.releases[-1]))
        return f"{self.points[0].case_id}, {'–'.join(ends)}"

    @property
    def segments(self) -> tuple[tuple[int, int, float]]:
        """First and past-the-last index of each segment, and its median in microseconds."""
        edges = (0, *self.starts, len(self.points))
        return tuple(  # type: ignore[return-value]
            (a, b, float(np.median([point.median_us for point in self.points[a:b]])))
            for a, b in pairwise(edges)
        )

    def changes(self) -> Iterable[Change]:
        for (first, start, before), (_, end, after) in pairwise(self.segments):
            last, new = self.points[start - 1], self.points[start]
            yield Change(
                new.case_id, new.model, new.target, new.batch, new.profile, new.host, new.run, new.started,
                new.release, after / before - 1, before, after, start - first, end - start,
                differs(last, new),
            )  # fmt: skip


def series(history: History) -> list[Series]:
    """Return every series of at least two runs, with its change points."""
    points = history.rows(Point, "latencies")  # by case, host and profile, then by time
    groups = [
        part[-MOST_RUNS:]
        for _, group in groupby(points, key=lambda point: (point.case_id, point.host, point.profile))
        for part in _in_turns(list(group))
        if len(part) > 1
    ]
    tested = sum(len(group) >= 2 * SHORTEST for group in groups)
    found = []
    for group in groups:
        starts = change_points([point.median_us for point in group], ALPHA / max(tested, 1))
        found.append(Series(tuple(group), tuple(starts)))
    return found


def _in_turns(points: list[Point]) -> list[list[Point]]:
    """One series, or one for each release where they were run in turns."""
    by_release = grouped(points, lambda point: point.release)
    switches = sum(one.release != other.release for one, other in pairwise(points))
    return [points] if switches < len(by_release) else list(by_release.values())


def change_points(values: Sequence[float], alpha: float = ALPHA) -> list[int]:
    """Return the index of the first value after each change.

    Args:
        values: positive, in order of time.
        alpha: chance of finding any change in a series without one.

    Raises:
        HarnessError: `ruptures` is not installed.
    """
    starts = _split(np.asarray(values, dtype=float), alpha)
    return _large_enough(np.log(np.asarray(values, dtype=float)), starts)


def _split(values: Values, alpha: float) -> list[int]:
    """Find change points of the whole, then of each segment, ranked separately.

    Next to a large change, a small one moves the ranks of the whole too little.
    """
    limit = penalty(len(values), alpha)
    ranks = stats.rankdata(values)
    variance = float(np.var(ranks, ddof=1)) if len(values) > 1 else 0.0
    if not math.isfinite(limit) or not variance:
        return []
    starts = _segment(ranks, limit * variance)
    if not starts:
        return []
    edges = (0, *starts, len(values))
    within = [first + more for first, end in pairwise(edges) for more in _split(values[first:end], alpha)]
    return sorted([*starts, *within])


def penalty(runs: int, alpha: float) -> float:
    """Return the penalty for a series of this length, in units of its ranks' variance; infinite if too short.

    Interpolates the table by the logarithm of the length, and extrapolates by that of the level.
    """
    lengths, values = list(PENALTIES), np.array(list(PENALTIES.values()))
    if runs < lengths[0]:
        return math.inf
    by_level = interp1d(-np.log(LEVELS), values, axis=1, fill_value="extrapolate")
    at_level = by_level(-math.log(min(alpha, LEVELS[0])))
    return float(np.interp(math.log(runs), np.log(lengths), at_level))


def differs(last: Point, new: Point) -> str:
    """Say what else changed between two runs: possible causes of a change of speed."""
    found = [f"{last.release} → {new.release}"] if last.release != new.release else []
    for name, what in (
        ("commit", "commit"), ("cpu", "processor"), ("python", "Python"), ("packages", "packages"),
        ("source", "harness"),
    ):  # fmt: skip
        one, other = getattr(last, name), getattr(new, name)
        # Another release has another commit and other packages anyway.
        if one != other and not (found and name in ("commit", "packages")):
            found.append(what)
    return ", ".join(found)


def _segment(ranks: Values, limit: float) -> list[int]:
    try:
        import ruptures
    except ImportError as error:
        raise HarnessError(
            "change points are found with ruptures, which is not installed here: "
            "`pip install duckdb ruptures` in the environment of the harness"
        ) from error
    detector = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(ranks[:, None])
    return [int(end) for end in detector.predict(pen=limit)[:-1]]


def _large_enough(logs: Values, starts: list[int]) -> list[int]:
    """Remove change points whose segments differ by less than the floor, the smallest first."""
    kept = list(starts)
    while kept:
        edges = [0, *kept, len(logs)]
        medians = [float(np.median(logs[a:b])) for a, b in pairwise(edges)]
        steps = [abs(b - a) for a, b in pairwise(medians)]
        least = int(np.argmin(steps))
        if steps[least] >= math.log1p(FLOOR):
            break
        del kept[least]
    return kept


def release_order(release: str | None) -> tuple[bool, Version, str]:
    """Return a sort key for releases; names that are not versions come last."""
    try:
        return (False, Version(release or ""), "")
    except InvalidVersion:
        return (True, Version("0"), release or "")


def add_changes(history: History) -> None:
    """Fill the table ``changes``."""
    found = [msgspec.structs.astuple(change) for one in series(history) for change in one.changes()]
    if found:
        places = ", ".join("unnest(?)" for _ in Change.__struct_fields__)
        history.db.execute(f"INSERT INTO changes SELECT {places}", list(map(list, zip(*found, strict=True))))
