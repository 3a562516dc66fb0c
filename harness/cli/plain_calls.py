"""The text of a script of plain Paddle calls: load, run and compare, for every runtime.

What is written here imports Paddle and NumPy only; the harness that writes it imports no Paddle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.checks.tolerance import Tolerance
from harness.core.errors import HarnessError
from harness.core.types import Record
from harness.environments.runtimes import of_runtimes
from harness.models.catalogue import ModelInfo
from harness.targets.target import Target

_PIECES = Path(__file__).with_name("repro")
"""Pieces of the script, for ``str.format``: its head and its tail."""


def loading() -> dict[str, str]:
    """How each runtime that a script can be written for loads and runs, for ``str.format``."""
    return of_runtimes("PLAIN", str)


def _piece(name: str) -> str:
    return (_PIECES / f"{name}.txt").read_text()


def text_of(
    record: Record,
    target: Target,
    model: ModelInfo,
    files: Mapping[str, str],
    env: Mapping[str, str],
    tolerances: Sequence[Tolerance],
    runs: int,
    paddle: str,
) -> str:
    """The whole of ``repro.py`` for a case of this target and model.

    Args:
        files: the artifact's files, as seen from the script's folder.
        env: environment variables to set before Paddle is imported.
        tolerances: how far each output may be from the oracle.
        runs: how many feeds lie beside the script.
        paddle: the version to name.

    Raises:
        HarnessError: the target has an option that no plain call is known for.
    """
    head = _piece("head").format(
        title=(record.title or record.case).replace("\\", "").replace('"', "'"),
        case=record.case,
        paddle=paddle,
        script="repro.py",
        env=dict(env),
        inputs=[spec[0] for spec in model.inputs],
        runs=runs,
        allowed=[(allowance.rmse, allowance.largest) for allowance in tolerances],
    )
    values: dict[str, Any] = {
        "prefix": "",
        "folder": "",
        "program": "",
        "params": None,
        **files,
        "model": model.name,
    }
    if target.runtime == "predictor":
        values["config"] = "\n".join(_config(files, target.options))
    elif target.options:
        raise HarnessError(f"{target.name} has options: use `harness rerun` without --script")
    return head + loading()[target.runtime].format(**values) + _piece("tail")


def _config(files: Mapping[str, str], options: Mapping[str, Any]) -> Iterator[str]:
    """The `Config` calls that the worker's predictor makes for these options.

    Raises:
        HarnessError: an option this writer does not know, which must not be left out in silence.
    """
    known = {
        "device",
        "gpu_memory_mb",
        "gpu_id",
        "onednn",
        "bfloat16",
        "ir_optim",
        "memory_optim",
        "threads",
        "log",
    }
    unknown = ", ".join(sorted(set(options) - known))
    if unknown:
        raise HarnessError(f"the option {unknown} has no plain call: use `harness rerun` without --script")
    yield (
        f"config = Config({files['model']!r}, {files['params']!r})"
        if "model" in files
        else (f"config = Config({files['folder']!r})")
    )
    if options.get("device") == "gpu":
        yield f"config.enable_use_gpu({options.get('gpu_memory_mb', 256)}, {options.get('gpu_id', 0)})"
    else:
        yield "config.disable_gpu()"
        if options.get("device", "cpu") != "cpu":
            yield f"config.enable_custom_device({options['device']!r}, 0)"
    if "onednn" in options:
        yield f"config.{'enable' if options['onednn'] else 'disable'}_mkldnn()"
    if options.get("bfloat16"):
        yield "config.enable_mkldnn_bfloat16()"
    if "ir_optim" in options:
        yield f"config.switch_ir_optim({bool(options['ir_optim'])})"
    if options.get("memory_optim"):
        yield "config.enable_memory_optim()"
    yield f"config.set_cpu_math_library_num_threads({int(options.get('threads', 1))})"
