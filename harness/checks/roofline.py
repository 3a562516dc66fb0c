"""The roofline: how far a run is from the least time that its machine allows. Pure functions.

Williams, Waterman and Patterson, CACM 52 (2009): a run takes at least as long as its operations take at the
peak rate, and at least as long as its bytes take at the memory's. In a timed loop, what fits into a cache
stays there, so the memory's rate is that of the cache level that the bytes fit into.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

NARROW = ("bfloat16", "float16")


class Peak(msgspec.Struct, frozen=True):
    """Peak rates of a machine with ``threads`` threads: operations and bytes a second.

    ``interpreter``: the target's; '' for the environment under test. ``bfloat16``: 0 where the
    processor has no units for it. ``read``: sizes in bytes, each with the rate of reading over it. ``by``
    and ``why``: what measured the rates, and why the program (``harness/worker/machine/limits``) did not.
    """

    threads: int
    float32: float
    read: tuple[tuple[int, float], ...]
    interpreter: str = ""
    bfloat16: float = 0.0
    triad: float = 0.0
    by: str = ""
    why: str = ""

    def operations(self, storage: str) -> float:
        """Return operations a second on values of that type; a type without units is computed in float32."""
        return max(self.float32, self.bfloat16) if storage == "bfloat16" else self.float32

    def bandwidth(self, size: int) -> float:
        """Return bytes a second of reading over ``size`` bytes; infinite below the smallest measured size."""
        smaller = [at for at, _ in self.read if at <= size]
        if not smaller:
            return float("inf")
        # A larger size cannot be faster: if its rate is higher, this size's measurement was disturbed.
        return max(rate for at, rate in self.read if at >= smaller[-1])


class Cost(msgspec.Struct, frozen=True):
    """The least work of a run: operations (a multiply-add is two), and bytes in float32.

    The bytes are of parameters, inputs and outputs. Intermediate values can stay in a cache, and are not
    counted.
    """

    flops: int
    parameter_bytes: int
    io_bytes: int

    def bytes(self, storage: str) -> int:
        return self.parameter_bytes // (2 if storage in NARROW else 1) + self.io_bytes


class Least(msgspec.Struct, frozen=True):
    """The least time that a run can take, in microseconds, and what limits it."""

    us: float
    by: Literal["operations", "bytes"]


def least(cost: Cost, peak: Peak, storage: str) -> Least | None:
    """Return the least time of a run of that cost on values of that type; None where nothing bounds it."""
    size = cost.bytes(storage)
    operations = cost.flops / peak.operations(storage)
    moving = size / peak.bandwidth(size)
    if not operations and not moving:
        return None
    return Least(1e6 * max(operations, moving), "operations" if operations >= moving else "bytes")


def peaks(measured: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], Peak]:
    """Read a record's peaks, by interpreter and threads."""
    found = (msgspec.convert(one, Peak) for one in measured)
    return {(peak.interpreter, peak.threads): peak for peak in found}


def cost_of(figures: Mapping[str, Any]) -> Cost | None:
    """Read the cost from a latency's figures; None where it could not be counted."""
    try:
        return msgspec.convert({name: figures[name] for name in Cost.__struct_fields__}, Cost)
    except (KeyError, msgspec.ValidationError):
        return None
