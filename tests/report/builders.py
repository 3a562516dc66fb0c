"""Runs written by ``RecordWriter`` and read back by ``read_run``, as the report gets them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.core.types import Area, Comparison, Outcome, Record, RemoteFailure, RunFooter, RunHeader
from harness.records.files import RecordWriter, Run, read_run

CLAIMS = {
    "000-save": "`paddle.save(state_dict)` writes `lenet.pdparams` and `lenet.pdopt`",
    "000-resume": "`paddle.load` + `set_state_dict` bring back the interrupted moment",
    "000-batch": "an `InputSpec` with `None` in the batch dimension accepts any batch size",
    "000-prune-topology": "the inference program is the training topology cut down",
    "002-formats": "dynamic graph, `jit`, static executor and predictor agree",
    "002-separate-loads": "the older separate layout still loads, and gives the same outputs",
    "003-fit-files": "`fit` saves only model parameters, one `.pdparams` per epoch",
    "003-resume-example": "the document's own resume listing resumes exactly",
    "004-lite": "the inference model converts with the Paddle Lite `opt` tool",
    "card-latency": "predictor latency is measured on CPU and on GPU",
}
ENVIRONMENT: dict[str, Any] = {
    "paddle": {"version": "3.3.1", "commit": "4f1ad6c9e0b7", "pir": True, "cuda": False},
    "python": "3.11.7",
    "numpy": "1.26.4",
    "packages": {"paddlepaddle": "3.3.1", "onnxruntime": "1.20.1", "paddle2onnx": "2.1.0"},
    "cpu": {
        "model": "Intel(R) Xeon(R) Platinum 8488C",
        "flags": [
            "sse4_2",
            "avx",
            "avx2",
            "fma",
            "f16c",
            "avx512f",
            "avx512bw",
            "avx512vl",
            "avx512_vnni",
            "avx512_bf16",
            "amx_tile",
            "amx_int8",
            "amx_bf16",
            "bmi2",
        ],
        "cores": 2,
        "governor": None,
        "load1": 0.42,
        "memory_gib": 15.6,
    },
    "threads": 1,
    "profile": "default",
    "interpreter": "/opt/environments/paddle-3.3.1/bin/python",
}
TARGETS = ("dygraph", "jit", "static")


def record(case: str = "agreement/outputs[lenet]", outcome: Outcome = "pass", **more: Any) -> Record:
    """A record that passed on three comparisons, unless told otherwise."""
    ran = outcome in ("pass", "fail")
    fields: dict[str, Any] = {
        "nodeid": f"suites/test_{case.split('/')[0]}.py::test_it",
        "area": case.split("/")[0],
        "comparisons": 3 if ran else 0,
        "elements": 30 if ran else 0,
        "duration_s": 0.25,
    }
    return Record(case=case, outcome=outcome, **{**fields, **more})


AREAS = {
    **{name: Area(name, runtime=True) for name in ("cpp", "onnx", "lite", "distributed")},
    **{name: Area(name, judges_targets=True) for name in ("agreement", "targets")},
}


def write_run(
    folder: Path,
    records: Iterable[Record],
    *,
    footer: bool = True,
    exit_status: int = 0,
    collected: int | None = None,
    problems: tuple[str, ...] = (),
    claims: dict[str, str] | None = None,
    environment: dict[str, Any] | None = None,
) -> Run:
    """The run, after a round trip through ``records.jsonl`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = RecordWriter(folder / "records.jsonl")
    writer.write(
        RunHeader(
            run=folder.name,
            started="2025-11-22T05:40:12+00:00",
            tier="default",
            command="pytest suites/ --paddle=3.3.1 --folder reports/" + folder.name,
            options={"tier": "default", "targets": list(TARGETS)},
            environment=ENVIRONMENT if environment is None else environment,
            harness={"version": "0.1.0", "python": "3.11.7", "platform": "Linux x86_64"},
            claims=CLAIMS if claims is None else claims,
            areas=AREAS,
        )
    )
    count = 0
    for item in records:
        writer.write(item)
        count += 1
    if footer:
        writer.write(
            RunFooter(
                finished="2025-11-22T05:47:51+00:00",
                duration_s=459.0,
                exit_status=exit_status,
                collected=count if collected is None else collected,
                problems=problems,
                load={"load1": 1.87, "artifacts made": 12, "store repairs": []},
            )
        )
    writer.close()
    return read_run(folder)


def wrong_answer(**more: Any) -> Record:
    """An unexpected wrong answer with everything a reader needs to see about it."""
    item = Comparison(
        what="Predictor.run() output 0 'linear_2.tmp_1', second run",
        rule="tolerance",
        ok=False,
        elements=640,
        got="[-3.127, 0.419, 7.031, …]",
        expected="[-3.118, 0.402, 7.004, …]",
        budget_used=4.31,
        error=2.7e-2,
        allowed=6.26e-3,
        worst="[17, 3]: got 7.031, expected 7.004",
    )
    return record(
        "agreement/outputs[transformer-predictor-bf16]",
        "fail",
        **{
            "title": "The predictor agrees with the float64 oracle on the same parameters.",
            "claims": ("002-formats",),
            "model": "transformer",
            "target": "predictor-bf16",
            "reason": "output 0 is 4.3 times further from the oracle than allowed",
            "budget_used": 4.31,
            "comparisons": 6,
            "elements": 3840,
            "details": (item,),
            **more,
        },
    )


def crashed(**more: Any) -> Record:
    """A native crash, with the tail of the worker's log."""
    failure = RemoteFailure(
        type="WorkerDied",
        message="the worker died during Predictor.run()",
        signal="SIGSEGV",
        log_tail="C++ Traceback (most recent call last):\n0   paddle::AnalysisPredictor::ZeroCopyRun()"
        "\nFatalError: `Segmentation fault` is detected by the operating system.",
    )
    return record(
        "agreement/outputs[control_flow-predictor-onednn]",
        "crash",
        **{
            "title": "The predictor agrees with the float64 oracle on the same parameters.",
            "claims": ("002-formats",),
            "model": "control_flow",
            "target": "predictor-onednn",
            "failure": failure,
            **more,
        },
    )


def curves(steps: int, at: int, drift: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """A falling loss; ``drift`` is what a forgotten optimizer state adds after resuming."""
    draw = random.Random(seed)
    whole = [
        2.3 * math.exp(-step / (steps / 3)) + 0.12 + draw.uniform(-0.06, 0.06) * (1 + 8 / (step + 8))
        for step in range(steps)
    ]
    resumed = [v + drift * draw.uniform(0.4, 1) * (1 - math.exp(-i / 6)) for i, v in enumerate(whole[at:])]
    return {"uninterrupted": whole, "resumed": resumed, "interrupted_at": at}


def latency(median: float, batch: int, **more: Any) -> dict[str, Any]:
    return {
        "batch": batch,
        "threads": 1,
        "samples": 400,
        "median_us": median,
        "median_low_us": median * 0.97,
        "median_high_us": median * 1.04,
        "p95_us": median * 1.31,
        "p99_us": None,
        "throughput_per_s": batch * 1e6 / median,
        "peak_memory_mib": 211.4,
        "load_ms": 38.2,
        "runtime": "predictor",
        **more,
    }
