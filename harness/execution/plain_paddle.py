"""Scripts of plain Paddle: how each runtime is called, as text, for recorded cases and for findings.

What is written here imports Paddle and NumPy only (``scripts/*.j2``); the harness that writes it imports no
Paddle.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.core.errors import HarnessError
from harness.environments.runtimes import of_runtimes

OPTIONS = (
    "device", "gpu_memory_mb", "gpu_id", "onednn", "bfloat16", "ir_optim", "memory_optim", "threads", "log",
)  # fmt: skip
"""Options of the predictor that there are plain calls for."""


@functools.cache
def _scripts() -> Environment:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("scripts")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["repr"] = repr
    return found


def render(name: str, **values: Any) -> str:
    """The text of ``scripts/<name>.py.j2`` with these values."""
    return _scripts().get_template(f"{name}.py.j2").render(values)


def of_runtime(runtime: str, **values: Any) -> str:
    """The calls by which a runtime loads the files, and its ``infer``: the ``PLAIN`` of its module.

    Raises:
        KeyError: its module has none; see :func:`runtimes`.
    """
    template = _scripts().from_string('{% import "calls.j2" as calls %}' + runtimes()[runtime])
    return template.render(values).strip("\n")


@functools.cache
def runtimes() -> Mapping[str, str]:
    """The runtimes that a script can be written for, and their ``PLAIN``."""
    return of_runtimes("PLAIN", str)


def config_calls(options: Mapping[str, Any]) -> Iterator[str]:
    """The calls of `paddle.inference.Config` that the worker's predictor makes for these options.

    Raises:
        HarnessError: an option this writer does not know, which must not be left out in silence.
    """
    unknown = ", ".join(sorted(set(options) - set(OPTIONS)))
    if unknown:
        raise HarnessError(f"the option {unknown} has no plain call: use `harness rerun` without --script")
    if options.get("device") == "gpu":
        yield f"enable_use_gpu({options.get('gpu_memory_mb', 256)}, {options.get('gpu_id', 0)})"
    else:
        yield "disable_gpu()"
        if options.get("device", "cpu") != "cpu":
            yield f"enable_custom_device({options['device']!r}, 0)"
    if "onednn" in options:
        yield f"{'enable' if options['onednn'] else 'disable'}_mkldnn()"
    if options.get("bfloat16"):
        yield "enable_mkldnn_bfloat16()"
    if "ir_optim" in options:
        yield f"switch_ir_optim({bool(options['ir_optim'])})"
    if options.get("memory_optim"):
        yield "enable_memory_optim()"
    yield f"set_cpu_math_library_num_threads({int(options.get('threads', 1))})"
