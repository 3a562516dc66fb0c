"""How far a run is from what its machine can do: the roofline, pure.

Williams, Waterman and Patterson, CACM 52 (2009): a run takes at least as long as its operations take at the
peak rate, and at least as long as its bytes take at the memory's. Which memory: in a loop that is timed, what
fits into a cache stays there, so the rate is that of the level which the bytes fit into.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

NARROW = ("bfloat16", "float16")


class Peak(msgspec.Struct, frozen=True):
    """What so many threads of a machine can do at most: operations and bytes a second.

    ``interpreter``: where, as a target names it; '' for the environment under test. ``bfloat16``: 0 where the
    processor has no units for it. ``read``: bytes that are run over, with the rate. ``by`` and ``why``:
    what measured it, and why not the program (``harness/worker/limits``).
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
        """Operations a second on values of that type; what has no units of its own is float32 inside."""
        return max(self.float32, self.bfloat16) if storage == "bfloat16" else self.float32

    def bandwidth(self, size: int) -> float:
        """Bytes a second over so many bytes; infinite below the smallest that was measured."""
        smaller = [at for at, _ in self.read if at <= size]
        if not smaller:
            return float("inf")
        # What is larger cannot be faster: a higher figure there tells that this one was disturbed.
        return max(rate for at, rate in self.read if at >= smaller[-1])


class Cost(msgspec.Struct, frozen=True):
    """What a run cannot do without: operations (a multiply-add is two), and bytes of float32 files.

    Parameters, inputs and outputs: intermediate values can stay in a cache, and are not counted.
    """

    flops: int
    parameter_bytes: int
    io_bytes: int

    def bytes(self, storage: str) -> int:
        return self.parameter_bytes // (2 if storage in NARROW else 1) + self.io_bytes


class Least(msgspec.Struct, frozen=True):
    """The least time that a run can take, microseconds, and what sets it."""

    us: float
    by: Literal["operations", "bytes"]


def least(cost: Cost, peak: Peak, storage: str) -> Least | None:
    """The least time of a run of that cost on values of that type; None where nothing bounds it."""
    size = cost.bytes(storage)
    operations = cost.flops / peak.operations(storage)
    moving = size / peak.bandwidth(size)
    if not operations and not moving:
        return None
    return Least(1e6 * max(operations, moving), "operations" if operations >= moving else "bytes")


def peaks(measured: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], Peak]:
    """Peaks as a record has them, by interpreter and threads."""
    found = (msgspec.convert(one, Peak) for one in measured)
    return {(peak.interpreter, peak.threads): peak for peak in found}


def cost_of(figures: Mapping[str, Any]) -> Cost | None:
    """The cost among a latency's figures; None where it could not be counted."""
    try:
        return msgspec.convert({name: figures[name] for name in Cost.__struct_fields__}, Cost)
    except (KeyError, msgspec.ValidationError):
        return None
