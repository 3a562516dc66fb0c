"""The parts of the measure ``compression``, one for each check that measures something.

Fields hold shares and ratios as fractions of 1, as the checks record them; properties format them for tables.
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from harness.core.types import Record
from harness.execution.engine_log import MULTIPLYING

MEASURE = "compression"
WHO = ("technique", "graph", "api", "profile")
"""Entries that every check writes before it measures."""


class Accuracy(msgspec.Struct, frozen=True):
    """Accuracy that a candidate loses against a baseline on the same ``n`` examples.

    See :mod:`harness.checks.non_inferiority`.
    """

    estimate: float
    low: float
    high: float
    n: int = 0
    bound: float | None = None
    standing: str = ""
    baseline: float | None = None
    candidate: float | None = None
    lost: int | None = None
    gained: int | None = None
    p: float | None = None
    confidence: float | None = None

    @property
    def delta(self) -> str:
        """Percentage points that the candidate gains; below 0 where it loses."""
        return points(-100 * self.estimate)

    @property
    def interval(self) -> str:
        """Bounds of :attr:`delta`, the worse one first."""
        return f"{points(-self.most)} to {points(-self.least)}"

    @property
    def least(self) -> float:
        """Fewest points lost, by the interval."""
        return 100 * self.low

    @property
    def most(self) -> float:
        """Most points lost, by the interval."""
        return 100 * self.high

    @property
    def allowed(self) -> float | None:
        """Points that the candidate may lose."""
        return None if self.bound is None else 100 * self.bound

    @property
    def is_worse(self) -> bool:
        return self.standing == "worse"

    @property
    def is_undecided(self) -> bool:
        return self.standing == "not enough data"


class Quantized(msgspec.Struct, frozen=True):
    """Layers that should be quantized, and how many have a quantized weight and input."""

    layers: int
    weights: int
    inputs: int = 0
    stored: list[str] = []

    @property
    def answer(self) -> str:
        """Whether the weights are quantized."""
        if not self.weights:
            return "no"
        return "yes" if self.weights >= self.layers else f"{self.weights} of {self.layers}"


class Scales(msgspec.Struct, frozen=True):
    """Smallest and largest scale of an activation, divided by its range in the float network."""

    least: float | None = None
    largest: float | None = None


class Export(msgspec.Struct, frozen=True):
    """Difference of the export from the network in memory, and the change by quantization (both RMS)."""

    moved: float
    quantization_error: float

    @property
    def share(self) -> float | None:
        return self.moved / self.quantization_error if self.quantization_error else None


class Int8(msgspec.Struct, frozen=True):
    """Int8 kernels: number of primitives by kind, and their difference from the simulation (RMS)."""

    int8_primitives: dict[str, int]
    error: float | None = None
    quantization_error: float | None = None
    same_class: float | None = None

    @property
    def computing(self) -> int:
        """Primitives that multiply int8 by int8."""
        return sum(self.int8_primitives.get(kind, 0) for kind in MULTIPLYING)

    @property
    def share(self) -> float | None:
        if self.error is None or not self.quantization_error:
            return None
        return self.error / self.quantization_error


class Int8Run(msgspec.Struct, frozen=True):
    """Int8 kernels on one target; ``accuracy`` compares them with the simulation."""

    target: str
    seen: Int8 | None
    accuracy: Accuracy | None

    @property
    def is_measured(self) -> bool:
        return self.seen is not None or self.accuracy is not None

    @property
    def fell_back(self) -> bool:
        return self.seen is not None and not self.seen.computing


class Cost(msgspec.Struct, frozen=True):
    """Ratios to the float model; ``operators`` counts those of the compressed program by type."""

    elements_ratio: float | None = None
    macs_ratio: float | None = None
    bytes_ratio: float | None = None
    operators: dict[str, int] = {}

    @property
    def quantizers(self) -> int:
        """Number of operators that have a scale."""
        return sum(count for name, count in self.operators.items() if "quant" in name)


class Latency(msgspec.Struct, frozen=True):
    """Time of a call divided by the float model's, with its interval: below 1 is faster."""

    ratio: float
    low: float | None = None
    high: float | None = None
    batch: int | None = None
    int8: bool = False
    """Whether int8 kernels ran; else the quantizers were simulated."""
    median_us: float | None = None
    memory_mib: float | None = None
    """Memory that running the model added to the process; ``memory_before_mib``: the float model's."""
    memory_before_mib: float | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks of one model and method measured; None where no check measured it."""

    accuracy: Accuracy | None = None
    quantized: Quantized | None = None
    scales: Scales | None = None
    export: Export | None = None
    cost: Cost | None = None
    latency: Latency | None = None


class Parts(Measured, frozen=True, kw_only=True):
    """All that the facts of a check can hold, with int8 kernels on the check's target."""

    int8: Int8 | None = None
    int8_accuracy: Accuracy | None = None


def facts(record: Record) -> dict[str, Any]:
    """Return what the record's check wrote into the measure; empty where that is not a mapping."""
    value = record.measures.get(MEASURE)
    return value if isinstance(value, dict) else {}


def parts(found: dict[str, Any]) -> Parts:
    """Return the parts that these facts hold; those that are malformed are left out."""
    good: dict[str, Any] = {}
    for name in Parts.__struct_fields__:
        with contextlib.suppress(msgspec.ValidationError):
            good[name] = getattr(msgspec.convert({name: found.get(name)}, Parts), name)
    return Parts(**good)


def measured(record: Record) -> bool:
    """Whether the check measured anything."""
    return any(name not in WHO for name in facts(record))


def points(value: float) -> str:
    """Format a difference with its sign, to a hundredth."""
    text = f"{value:+.2f}"
    return "0.00" if text[1:] == "0.00" else text.replace("-", "\u2212")
