"""What an engine did, read from its log: this shows a silent fallback."""

from __future__ import annotations

import re
from collections import Counter

import msgspec

VERBOSE = {"ONEDNN_VERBOSE": "1"}
"""Makes oneDNN print a line for every primitive it executes; oneDNN reads it when the process starts."""

_PRIMITIVE = re.compile(
    r"^onednn_verbose,(?:v1,primitive,)?exec,cpu,(?P<kind>\w+),(?P<rest>.*)$", re.MULTILINE
)
_THREADS = re.compile(r"^onednn_verbose,.*\bnthr:(?P<threads>\d+)", re.MULTILINE)
_PASS = re.compile(r"--- Running (?:IR|PIR) pass \[(?P<name>\w+)\]")

_TENSORRT = re.compile(r"detect a sub-graph with (?P<nodes>\d+) nodes")

COMPUTE = ("convolution", "inner_product", "matmul", "pooling", "rnn", "batch_normalization")
"""Primitives that do a network's work, as opposed to reordering its data."""

MULTIPLYING = ("convolution", "inner_product", "matmul")
"""Primitives that multiply data by weights."""

FUSING = re.compile(r"fuse")
"""Names of passes that fuse operators for speed. The new IR always folds constants and drops dead
code, optimised or not; fusing is what `switch_ir_optim` decides."""


class EngineLog(msgspec.Struct, frozen=True):
    """Primitives that oneDNN executed, passes that ran, oneDNN's threads, and TensorRT's share.

    ``primitives`` counts by kind; ``bfloat16`` and ``int8`` count those that read such data.
    ``threads`` is 0 where oneDNN printed no header (it does once a process). ``tensorrt_nodes``: number of
    operators that Paddle's analysis put into TensorRT engines.
    """

    primitives: dict[str, int]
    bfloat16: dict[str, int]
    int8: dict[str, int]
    passes: tuple[str, ...]
    threads: int
    tensorrt_nodes: int = 0

    @property
    def computing(self) -> int:
        """Executions of primitives that compute."""
        return sum(count for kind, count in self.primitives.items() if kind in COMPUTE)

    @property
    def computing_bfloat16(self) -> int:
        """Executions of primitives that compute on bfloat16 data."""
        return sum(count for kind, count in self.bfloat16.items() if kind in COMPUTE)

    @property
    def computing_int8(self) -> int:
        """Executions of primitives that multiply int8 data by int8 weights."""
        return sum(count for kind, count in self.int8.items() if kind in MULTIPLYING)

    @property
    def fusing(self) -> tuple[str, ...]:
        """The passes that fuse operators."""
        return tuple(name for name in self.passes if FUSING.search(name))


def read(printed: str) -> EngineLog:
    """Read an engine's log from what a process printed."""
    primitives: Counter[str] = Counter()
    bfloat16: Counter[str] = Counter()
    int8: Counter[str] = Counter()
    for match in _PRIMITIVE.finditer(printed):
        primitives[match["kind"]] += 1
        if re.search(r"(src|data)[:_]bf16", match["rest"]):
            bfloat16[match["kind"]] += 1
        if re.search(r"(src|data)[:_][su]8", match["rest"]):
            int8[match["kind"]] += 1
    threads = _THREADS.search(printed)
    return EngineLog(
        primitives=dict(primitives),
        bfloat16=dict(bfloat16),
        int8=dict(int8),
        passes=tuple(match["name"] for match in _PASS.finditer(printed)),
        threads=int(threads["threads"]) if threads else 0,
        tensorrt_nodes=sum(int(match["nodes"]) for match in _TENSORRT.finditer(printed)),
    )
