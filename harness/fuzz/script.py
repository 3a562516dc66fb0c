"""Write a finding as a script of plain Paddle that prints both outputs and exits with 1 if they differ."""

from __future__ import annotations

from typing import Any

from harness.execution.plain_paddle import config_calls, render
from harness.fuzz.examine import batches
from harness.fuzz.findings import Finding
from harness.fuzz.verdict import COARSE, OPTIONS
from harness.pool.workers import WorkerPool

STAGES = (
    "dygraph", "permuted", "rows", "export", "restored", "jit", "static", "separate", "predictor", "onnx",
)  # fmt: skip
"""Stages that there are plain calls for; those of extensions have none."""
COARSE_SHARE, SHARE = 0.1, 1e-3
"""Allowed difference in a script, as a share of the largest expected value."""


def write(pool: WorkerPool, finding: Finding) -> str:
    """Return the script's text; a worker of the release writes the sources of network and feeds.

    For a finding between two releases, the script writes in one and reads in the other.

    Raises:
        WorkerFailure: the worker could not write them.
    """
    network, stage = finding.network, finding.failure.stage
    parts: dict[str, Any] = pool.call(
        "checks.generated.script.parts", network=network, batches=batches(network), run=finding.failure.run,
        folded=stage == "folded",
    )  # fmt: skip
    base = "predictor" if stage.startswith(("predictor", "folded")) else stage
    if base not in STAGES:
        return f"raise SystemExit('no plain Paddle calls are known for the stage {stage}')\n"
    parts["source"] = parts["source"].partition("import paddle.nn.functional as F\n")[2].strip("\n")
    body = render(
        "finding",
        stage=base,
        crossing=finding.across,
        config=[*config_calls(OPTIONS.get(stage, {})), "disable_glog_info()"],
        again="second run" in finding.failure.message,
        share=COARSE_SHARE if stage in COARSE else SHARE,
        **parts,
    )
    own = [name for name in ("os", "shutil", "sys", "tempfile") if f"{name}." in body]
    engines = [name for name in ("onnxruntime", "paddle2onnx") if f"{name}." in body]
    head = f'"""{finding.release}, {stage}: {finding.failure.outcome}. {_one_line(finding)}"""'
    groups = (own, ["numpy as np", *engines, "paddle", "paddle.nn.functional as F"])
    first = "\n\n".join("\n".join(f"import {name}" for name in group) for group in groups)
    return f"{head}\n\n{first}\n\n\n{body}"


def _one_line(finding: Finding) -> str:
    where = f" First diverging operator: {finding.operator}." if finding.operator else ""
    gone = f" Gone without the pass {' or '.join(finding.passes)}." if finding.passes else ""
    message = finding.failure.message.replace("\\", "/").replace('"', "'")
    return f"{message[:200]}.{where}{gone}"
