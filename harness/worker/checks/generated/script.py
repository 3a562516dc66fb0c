"""The parts of a standalone script for a network: its source, and feed and expected values as text."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from harness.worker.checks.generated import source
from harness.worker.checks.generated.oracle import fed, oracle
from harness.worker.checks.generated.values import expression

MOST_LITERALS = 24
"""Most elements of expected outputs that a script lists."""


def parts(
    network: Mapping[str, Any], batches: Sequence[int], run: int = 0, folded: bool = False
) -> Dict[str, Any]:
    """Return the texts ``source``, ``feed``, ``specs``, and ``expected``: the oracle's if short, else ``[]``.

    ``folded``: the network's constants are computed beforehand.
    """
    number = max(run - 1, 0) if run < len(batches) + 1 else 0
    drawn = fed(network, batches[number], number)
    feed = [f"np.asarray({expression(spec)}, {spec['dtype']!r})" for spec in drawn]
    specs = [
        f'paddle.static.InputSpec({spec["shape"]}, {spec["dtype"]!r}, "x{index}")'
        for index, spec in enumerate(fed(network, None))
    ]
    try:
        outputs = oracle(network, batches, 0)["outputs"][number]
    except Exception:  # where the oracle itself fails, the dynamic graph gives the expected values
        outputs = []
    expected = [_literal(array) for array in outputs]
    if sum(array.size for array in outputs) > MOST_LITERALS:
        expected = []
    return {
        "source": source.write(network, folded=folded),
        "feed": feed,
        "specs": specs,
        "expected": expected,
    }


def _literal(array: np.ndarray) -> str:
    values: List[Any] = array.tolist()
    text = repr(np.round(array, 7).tolist() if array.dtype.kind == "f" and _plain(array) else values)
    return f"np.array({text.replace('nan', 'np.nan').replace('inf', 'np.inf')})"


def _plain(array: np.ndarray) -> bool:
    largest = float(np.abs(array).max(initial=0.0))
    return bool(np.isfinite(array).all()) and 1e-2 < largest < 1e4
