"""Find what moved between two records of one case, whether its verdict changed or not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from harness.core.types import BAD_OUTCOMES, Record
from harness.gate.result import CurvePair, Drift, Speed
from harness.report.tables import parting

TOLERANCE_RATIO = 1.5
TOLERANCE_FLOOR = 0.05
"""Share of the allowed error below which a change of the error is not reported."""


def drifts(before: Record, after: Record) -> Iterator[Drift]:
    """Yield every drift worth reporting, the most important first."""
    yield from _messages(before, after)
    yield from _accuracy(_accuracies(before), _accuracies(after))
    yield from _curves(before, after)
    yield from _tolerance(before, after)
    yield from _interface(before, after)
    yield from _operators(before, after)
    yield from _files(before, after)


def _messages(before: Record, after: Record) -> Iterator[Drift]:
    if before.outcome in BAD_OUTCOMES and after.outcome in BAD_OUTCOMES:
        old, new = tame(before.reason), tame(after.reason)
        if (before.outcome, old) != (after.outcome, new):
            yield Drift("message", before.case, f"{before.outcome}: {old}", f"{after.outcome}: {new}")


def tame(reason: str) -> str:
    """Return a reason without what differs from run to run: values, folders, addresses, byte offsets."""
    text = re.split(r"; (?:worst at|got) ", reason, maxsplit=1)[0]
    text = re.sub(r"\b\d+ of (\d+) (comparisons|elements)", r"some of \1 \2", text)
    text = re.sub(r"(/[\w.@+-]+)+/", "…/", text)
    text = re.sub(r"0x[0-9a-f]+", "0x…", text)
    return re.sub(r"\bposition \d+: \w[\w ]*", "position …", text)


def _accuracies(record: Record) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in record.measures.items():
        if "accuracy" not in name:
            continue
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, int | float):
                found[f"{name}[{index}]" if isinstance(value, list) else name] = float(item)
    return found


def _accuracy(before: dict[str, float], after: dict[str, float]) -> Iterator[Drift]:
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            ratio = after[name] / before[name] if before[name] else None
            yield Drift("accuracy", name, f"{before[name]:.6g}", f"{after[name]:.6g}", ratio)


def _curves(before: Record, after: Record) -> Iterator[Drift]:
    for pair in curve_pairs(before, after):
        if pair.first_difference is not None:
            largest = "not comparable" if pair.largest is None else f"by up to {pair.largest:.3g}"
            yield Drift("loss curve", pair.name, "", f"differs from step {pair.first_difference}, {largest}")


def curve_pairs(before: Record, after: Record) -> Iterator[CurvePair]:
    """Yield the loss curves that both records hold."""
    old, new = _curves_of(before), _curves_of(after)
    for name in old:
        if name not in new:
            continue
        a, b = old[name], new[name]
        largest, first = parting(a, b)
        if first is None and len(a) != len(b):
            first = min(len(a), len(b))
        yield CurvePair(after.case, name, a, b, first, largest)


def _curves_of(record: Record) -> dict[str, tuple[float | None, ...]]:
    curves = record.measures.get("curves")
    found = {"uninterrupted": curves.get("uninterrupted")} if isinstance(curves, dict) else {}
    found["loss"] = record.measures.get("loss_curve")
    return {
        name: tuple(x if isinstance(x, float) and math.isfinite(x) else None for x in values)
        for name, values in found.items()
        if isinstance(values, list) and values
    }


def _tolerance(before: Record, after: Record) -> Iterator[Drift]:
    old, new = before.numeric_budget_used, after.numeric_budget_used
    if old is None or new is None or max(old, new) < TOLERANCE_FLOOR:
        return
    low, high = sorted((old, new))
    if high > TOLERANCE_RATIO * low:
        yield Drift("tolerance", "share of the allowed error", f"{old:.3g}", f"{new:.3g}",
                    new / old if old else None)  # fmt: skip


def _interface(before: Record, after: Record) -> Iterator[Drift]:
    """What a client names when it asks an export for its inputs and outputs."""
    old, new = before.measures.get("interface"), after.measures.get("interface")
    if not isinstance(old, dict) or not isinstance(new, dict):
        return
    for what in old.keys() & new.keys():
        if old[what] != new[what]:
            yield Drift("interface", what, ", ".join(old[what]), ", ".join(new[what]))


def _operators(before: Record, after: Record) -> Iterator[Drift]:
    old, new = before.measures.get("operators_by_name"), after.measures.get("operators_by_name")
    if not isinstance(old, dict) or not isinstance(new, dict) or old == new:
        return
    gone = [f"{name} ×{count}" for name, count in old.items() if new.get(name, 0) < count]
    come = [f"{name} ×{count}" for name, count in new.items() if old.get(name, 0) < count]
    yield Drift("operators", "operators of the exported program", ", ".join(gone), ", ".join(come))


def _files(before: Record, after: Record) -> Iterator[Drift]:
    old, new = before.measures.get("sizes"), after.measures.get("sizes")
    if not isinstance(old, dict) or not isinstance(new, dict):
        return
    if sorted(old) != sorted(new):
        yield Drift("files", "names", ", ".join(sorted(old)), ", ".join(sorted(new)))
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            yield Drift("file size", name, f"{old[name]} bytes", f"{new[name]} bytes",
                        new[name] / old[name] if old[name] else None)  # fmt: skip


def speed(before: Record, after: Record) -> Speed | None:
    """Return both latencies of a case, or None where a side measured none."""
    old, new = before.measures.get("latency"), after.measures.get("latency")
    if not isinstance(old, dict) or not isinstance(new, dict):
        return None
    ends = ("us", "low_us", "high_us")
    if not all(isinstance(side.get(f"median_{end}"), int | float) for side in (old, new) for end in ends):
        return None
    return Speed(
        case=after.case,
        model=after.model,
        target=after.target,
        batch=int(new.get("batch", 0)),
        load_before_ms=old.get("load_ms"),
        load_after_ms=new.get("load_ms"),
        **{
            f"{name}_{end}": side[f"median_{end}"]
            for name, side in (("before", old), ("after", new))
            for end in ends
        },
    )
