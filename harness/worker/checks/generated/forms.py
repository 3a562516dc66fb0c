"""The files to which a generated network is exported, and how each stage opens them."""

from __future__ import annotations

import functools
import os
import signal
import sys
import types
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import paddle

from harness.worker import runtimes
from harness.worker.checks.generated.oracle import fed
from harness.worker.inspection import programs
from harness.worker.models.model import Input
from harness.worker.recipes.onnx_export import NO_INSTALLING, OPSET, ending
from harness.worker.runtimes import onnxruntime, predictor

CONVERSION_S = 60
REFUSAL = ("not supported", "unsupported", "doesn't support", "does not support", "cannot be converted")
"""What paddle2onnx says about a program that it does not support."""


class Refused(Exception):
    """A converter does not support what the network needs: not a fault, and nothing to judge."""


def missing(stages: Sequence[str]) -> Optional[str]:
    """Why one of the stages cannot run here, or None."""
    stated = runtimes.stages()
    known = [stated[stage] for stage in stages if stage in stated]
    reasons = (runtimes.available(stage["runtime"], stage["options"]) for stage in known)
    return next(filter(None, reasons), None)


def export(network: Mapping[str, Any], net: Any, folder: str) -> Dict[str, str]:
    """Write the layer into the folder with `paddle.jit.save`; return the files by the runtimes' roles."""
    specs = [
        paddle.static.InputSpec(spec["shape"], spec["dtype"], name=f"x{index}")
        for index, spec in enumerate(fed(network, None))
    ]
    paddle.jit.save(net, os.path.join(folder, "model"), input_spec=specs)
    return files_in(folder)


def files_in(folder: str) -> Dict[str, str]:
    """Return the files of the exported program in the folder, by the runtimes' roles."""
    prefix = os.path.join(folder, "model")
    program = "model.json" if os.path.exists(prefix + ".json") else "model.pdmodel"
    return {
        "prefix": prefix,
        "folder": folder,
        "program": program,
        "model": os.path.join(folder, program),
        "params": prefix + ".pdiparams",
    }


def sessions(
    network: Mapping[str, Any], files: Dict[str, str], more: Mapping[str, Any]
) -> Dict[str, Callable[[], Any]]:
    """Return for each stage a function that opens its session; predictors get the ``more`` options too.

    From the plainest to the most optimised, in which order they run: a process dies of the first.
    The separate layout and memory optimisation are of `.pdmodel` programs only: given a `.json` one, every
    predictor dies of the former and refuses the latter, which the suites know.
    """
    model: Any = types.SimpleNamespace(
        inputs=[Input(f"x{index}", ()) for index in range(len(network["inputs"]))]
    )
    found: Dict[str, Callable[[], Any]] = {}
    of_old = files["program"].endswith(".pdmodel")
    if of_old and any(node.get("params") for node in network["nodes"]):
        found["separate"] = lambda: predictor.Session({"folder": separate(files)}, model, {"onednn": False})
    for name, stage in runtimes.stages().items():
        options = stage["options"]
        if options.get("memory_optim") and not of_old:
            continue
        if stage["runtime"] == "predictor":
            options = {**options, **more}
        found[name] = functools.partial(runtimes.session_of_export, stage["runtime"], files, model, options)
    # Its conversion is a recipe's, which no runtime calls.
    found["onnx"] = lambda: onnxruntime.Session({"model": to_onnx(files)}, model, {})
    return found


def separate(files: Mapping[str, str]) -> str:
    """Write document 002's older layout: the program as ``__model__``, and one file per parameter."""
    out = os.path.join(files["folder"], "separate")
    programs.save_separately(files["folder"], files["program"], out)
    return out


def to_onnx(files: Mapping[str, str]) -> str:
    """Convert the program with paddle2onnx; return the file.

    It runs in a fork of this process, which has Paddle loaded: the converter ends its process, even by an
    abort, at an unknown operator, and a new interpreter would take seconds for each network.

    Raises:
        Refused: it said that it does not support something. RuntimeError: it failed in another way.
    """
    import paddle2onnx

    out, said = (os.path.join(files["folder"], name) for name in ("model.onnx", "said.txt"))
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            log = os.open(said, os.O_WRONLY | os.O_CREAT)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.environ.update(NO_INSTALLING)
            signal.signal(signal.SIGABRT, signal.SIG_DFL)
            signal.alarm(CONVERSION_S)
            paddle2onnx.export(files["model"], files["params"], out, OPSET)
            status = 0
        except BaseException as error:  # no exception may leave this block: the child would become a worker
            print(f"{type(error).__name__}: {error}", flush=True)
        finally:
            os._exit(status)
    code = os.waitpid(child, 0)[1]
    status = -os.WTERMSIG(code) if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)
    if status == 0 and os.path.exists(out) and os.path.getsize(out):
        return out
    with open(said, encoding="utf-8", errors="replace") as file:
        lines = _error_lines(file.read())
    if any(word in line.lower() for line in lines for word in REFUSAL):
        raise Refused(lines[0])
    raise RuntimeError(f"paddle2onnx {ending(status)}: {lines[0] if lines else 'it said nothing'}")


def _error_lines(text: str) -> List[str]:
    """Return the lines of a converter's log that say what went wrong, those of a refusal first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if "ERROR" in line or "Error" in line or "support" in line.lower()]
    return sorted(wrong or lines[-1:], key=lambda line: not any(word in line.lower() for word in REFUSAL))
