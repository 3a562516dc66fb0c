"""Document 004 §4: the inference model converted with Paddle Lite's `opt`."""

from __future__ import annotations

import json
import os
from typing import Any, Dict

from harness.worker.inspection.programs import program_file
from harness.worker.lite import opt as tool
from harness.worker.recipes import Job, recipe

PIR = "FLAGS_enable_pir_api"
BRIDGE = "exported under FLAGS_enable_pir_api=0 for its `.pdmodel`: `opt` reads no `.json`"


@recipe("lite", needs=("jit",))
def lite(job: Job) -> Dict[str, Any]:
    """Convert the exported program with `paddle_lite_opt` for x86 and for arm.

    Parameters: ``engine_python``, an interpreter that has paddlelite.

    Raises:
        RuntimeError: `opt` ended without a result; the message has the last lines it printed.
    """
    python = job.parameters["engine_python"]
    program = program_file(job.of("jit", "inference_model", "model"))
    params = job.of("jit", "inference_model", "model.pdiparams")
    conversions: Dict[str, Any] = {}
    for target in tool.TARGETS:
        out = job.path(target, "model")
        made = tool.convert(python, program, params, target, out)
        if made["status"] or not made["bytes"]:
            said = " / ".join(made["printed"].strip().splitlines()[-2:])
            raise RuntimeError(
                f"opt --valid_targets={target} ended with {tool.ending(made['status'])} and "
                f"{made['bytes']} bytes: {said}"
            )
        asked = tool.operators(python, program, params, target)
        conversions[target] = {
            **{name: made[name] for name in ("status", "printed", "bytes")},
            **{name: asked[name] for name in ("operators", "without kernel")},
            "verdict": (asked["printed"].strip().splitlines() or [""])[-1],
        }
    # Paddle 2 always writes a .pdmodel, and a user model may be one.
    bridged = os.environ.get(PIR) == "0" and program.endswith(".pdmodel")
    about = {"bridge": BRIDGE if bridged else "", "opt": tool.version(python)}
    with open(job.path("about.json"), "w") as file:
        json.dump(about, file)
    return {
        "files": {"model": "x86/model.nb", "about": "about.json", "arm": "arm/model.nb"},
        "parameter_bytes": os.path.getsize(params),
        "conversions": conversions,
        **about,
    }
