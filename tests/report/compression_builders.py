"""Records of compressed models, and the rows that come of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builders import write_run
from sample_run import compressed

from harness.core.types import Comparison, Record, RemoteFailure
from harness.report import tables
from harness.report.compression import Row, rows
from harness.report.compression_views import Technique, techniques

CHECKS = (
    "accuracy", "quantized", "scales", "export_agrees", "int8_kernels", "int8_weights", "later_runs", "cost",
)  # fmt: skip
RAISED: dict[str, Any] = {
    "outcome": "error",
    "parts": {},
    "failure": RemoteFailure("TypeError", "clone(): no such overload\nThe following are supported:"),
}
CRASHED: dict[str, Any] = {
    "outcome": "crash",
    "parts": {},
    "failure": RemoteFailure("WorkerDied", "the worker died", signal="SIGSEGV"),
}
SKIPPED: dict[str, Any] = {"outcome": "not-run", "reason": "no static graph", "parts": {}}
UNMADE = dict.fromkeys(CHECKS, RAISED)
KNOWN = {"expected_failure": "the pass is not ported", "workaround": "export under `FLAGS_enable_pir_api=0`"}


def failed(what: str = "x", **parts: Any) -> dict[str, Any]:
    """A check that found something wrong, with what it measured."""
    return {"outcome": "fail", "details": (Comparison(what, "bitwise", False, 10),), "parts": parts}


def quantized(weights: int, inputs: int, layers: int = 5) -> dict[str, Any]:
    return failed(quantized={"layers": layers, "weights": weights, "inputs": inputs, "float": 0})


def int8(primitives: int = 8, same: float = 0.993, **loss: Any) -> dict[str, Any]:
    seen = {"int8_primitives": {"reorder": 4, **({"convolution": primitives} if primitives else {})}}
    return failed(int8={**seen, "same_class": same}, **loss)


def found(tmp_path: Path, *records: Record, profile: str = "pir") -> tuple[Row, ...]:
    environment = {"paddle": {"version": "3.3.1"}, "profile": profile}
    run = write_run(tmp_path / "run", records, environment=environment)
    return rows(run, tables.cases(run))


def by_technique(tmp_path: Path, *records: Record) -> dict[str, Technique]:
    return {technique.name: technique for technique in techniques(found(tmp_path, *records))}


def many(methods: int = 50) -> Iterator[Record]:
    """So many methods under two profiles, of every kind of verdict."""
    faults: tuple[dict[str, Any], ...] = (
        {},
        {"scales": failed(scales={"least": 0.02, "largest": 3.1})},
        UNMADE,
        {"later_runs": failed("run 2")},
        {"int8_kernels": int8(0)},
        {"quantized": quantized(3, 5)},
    )
    for i in range(methods):
        technique = ("qat", "ptq", "ptq", "weights")[i % 4]
        for j, profile in enumerate(("pir", "legacy-ir")):
            changes = faults[(i + 3 * j) % len(faults)]
            yield from compressed(
                f"{technique}-{'static' if i % 3 else 'dynamic'}-{'calibrated-'[: i % 12]}{i}",
                profile=profile,
                lost=i % 7,
                size=0.26 + 0.01 * (i % 5),
                latency=0.7 + 0.02 * i if i % 2 else None,
                changes=changes,
            )
