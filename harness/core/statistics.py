"""Statistics of latencies: medians with intervals, and percentiles only where samples allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.99


def samples_needed(quantile: float, confidence: float = CONFIDENCE) -> int:
    """Return how many samples are needed before an upper quantile may be reported.

    With this confidence, at least two of that many samples are above the quantile. The second largest
    sample then bounds it from above, and one disturbed run does not decide the figure. 662 for
    the 99th percentile at 99 %, 130 for the 95th (order statistics: David & Nagaraja, 2003).
    """
    n = 2
    while stats.binom.cdf(1, n, 1 - quantile) > 1 - confidence:
        n += 1
    return n


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return a distribution-free interval of the median, from order statistics.

    With too few samples for the confidence (fewer than 8 at 99 %) it spans all of them.

    Raises:
        ValueError: there are no samples.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    n = len(ordered)
    if n == 0:
        raise ValueError("no samples")
    k = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    return float(ordered[max(k - 1, 0)]), float(ordered[min(n - k, n - 1)])
