"""ONNX: the exported program by the `paddle2onnx` command, and the network by `paddle.onnx.export`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any, Dict, List, Tuple

import paddle

from harness.worker.inspection.programs import program_file
from harness.worker.models import networks
from harness.worker.models.model import ReferenceModel
from harness.worker.recipes import Job, recipe

OPSET = 17
"""An opset that both converters support, and the first with an operator for layer normalisation."""

RANGES = {1: (7, 19), 2: (7, 21)}
"""Lowest and highest opset of paddle2onnx by its major version, as its error message names them."""

NO_INSTALLING = {"POLYGRAPHY_INSTALL_CMD": "false"}
"""paddle2onnx 2 folds constants with Polygraphy and makes it `pip install` missing packages in the
middle of an export. A command that fails in place of pip keeps the environment unchanged."""

KEPT_LINES = 12


def opsets() -> Tuple[int, int]:
    """Return the lowest and highest opset that the installed paddle2onnx supports."""
    import paddle2onnx

    return RANGES[int(paddle2onnx.__version__.split(".")[0])]


def convert(program: str, params: str, out: str, opset: int = OPSET) -> Dict[str, Any]:
    """Run the `paddle2onnx` command in a new process.

    Returns ``status`` (exit status; negative: the signal that ended it), ``said`` (its last lines) and
    ``bytes`` (size of the file it wrote; -1: no file).
    """
    script = os.path.join(os.path.dirname(sys.executable), "paddle2onnx")
    start = [script] if os.access(script, os.X_OK) else [sys.executable, "-m", "paddle2onnx.command"]
    command = [
        *start,
        *("--model_dir", os.path.dirname(program)),
        *("--model_filename", os.path.basename(program)),
        *("--params_filename", os.path.basename(params)),
        *("--save_file", out),
        *("--opset_version", str(opset)),
    ]
    done = subprocess.run(
        command,
        env={**NO_INSTALLING, **os.environ},
        cwd=os.path.dirname(out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return {
        "status": done.returncode,
        "said": _lines(done.stdout.decode(errors="replace")),
        "bytes": os.path.getsize(out) if os.path.exists(out) else -1,
    }


def _lines(text: str) -> List[str]:
    """Return the command's last lines, without those that every import of Paddle prints."""
    own = [line.strip() for line in text.splitlines() if "[Paddle2ONNX]" in line or "ERROR" in line]
    return (own or [line.strip() for line in text.splitlines() if line.strip()])[-KEPT_LINES:]


def ending(status: int) -> str:
    """Return an exit status in words."""
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


@recipe("onnx", needs=("jit",))
def onnx(job: Job) -> Dict[str, Any]:
    """The inference model converted by the `paddle2onnx` command.

    Raises:
        RuntimeError: the command failed, or reported success and wrote nothing.
    """
    program = program_file(job.of("jit", "inference_model", "model"))
    opset = int(job.parameters.get("opset", OPSET))
    found = convert(
        program, job.of("jit", "inference_model", "model.pdiparams"), job.path("model.onnx"), opset
    )
    if found["status"] or found["bytes"] < 1:
        wrote = "no file" if found["bytes"] < 0 else f"{found['bytes']} bytes"
        said = "; ".join(found["said"])
        raise RuntimeError(f"paddle2onnx {ending(found['status'])} and wrote {wrote}: {said}")
    return {"files": {"model": "model.onnx"}, "opset": opset, "said": found["said"]}


def attempt(model: str, weights: str, prefix: str, opset: int) -> Dict[str, Any]:
    """Call `paddle.onnx.export` once, here; return what it ``raised`` ('' for nothing), and ``bytes``."""
    stated = networks.get(model)
    net = networks.network(stated, weights)
    net.eval()
    return _export(net, stated, prefix, opset)


def _export(net: Any, stated: ReferenceModel, prefix: str, opset: int) -> Dict[str, Any]:
    os.environ.update({**NO_INSTALLING, **os.environ})
    raised = ""
    try:
        paddle.onnx.export(net, prefix, input_spec=networks.input_specs(stated), opset_version=opset)
    except (Exception, SystemExit) as error:  # paddle2onnx 2 exits the interpreter when it fails
        raised = f"{type(error).__name__}: {error}"
    path = prefix + ".onnx"
    return {"raised": raised, "bytes": os.path.getsize(path) if os.path.exists(path) else -1}


@recipe("onnx-export", needs=("checkpoint",))
def onnx_export(job: Job) -> Dict[str, Any]:
    """The network exported by `paddle.onnx.export`, for each of ``opsets``.

    ``values["files"]`` has a path for each opset that was written; ``values["raised"]`` has for the others
    what was raised, '' where the export failed silently.
    """
    net = networks.network(job.model, job.of("checkpoint", "model.pdparams"))
    net.eval()
    files, raised = {}, {}
    for opset in job.parameters.get("opsets", [OPSET]):
        found = _export(net, job.model, job.path(f"opset{opset}", "model"), opset)
        if found["bytes"] > 0:
            files[str(opset)] = f"opset{opset}/model.onnx"
        else:
            raised[str(opset)] = found["raised"]
    return {"files": files, "raised": raised}
