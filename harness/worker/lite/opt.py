"""Paddle Lite's `opt` (document 004 §4): converts an inference model for the processors of mobile devices.

The tool has no wheel for Paddle's interpreters, so it runs as a process of another interpreter.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import Any, Dict, List

DEADLINE_S = 100.0
"""Seconds for a conversion, which takes one second; the worker's time limit is longer."""
SPEAKING = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Environment variables of this process's interpreter, which would mislead another interpreter."""
ROW = re.compile(r"^\s+(\w+)((?:\s+Y)*)\s*$")
"""A row of opt's operator table: the name, and a mark under each place (processor) with a kernel for it."""
TARGETS = ("x86", "arm")


def environment() -> Dict[str, str]:
    """Return the environment variables for another interpreter."""
    return {name: value for name, value in os.environ.items() if name not in SPEAKING}


def ending(status: int) -> str:
    """Return an exit status in words: ``"exit status 1"``, ``"signal SIGABRT"``."""
    return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"


def opt(python: str, arguments: List[str]) -> Dict[str, Any]:
    """Run `paddle_lite_opt`; return its exit status (negative: the signal that ended it) and its output.

    Raises:
        subprocess.TimeoutExpired: it did not end in time.
    """
    # With the interpreter, not by the script's first line: that names the folder where it was made.
    tool = os.path.join(os.path.dirname(python), "paddle_lite_opt")
    done = subprocess.run(
        [python, tool, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE_S,
        check=False,
    )
    return {"status": done.returncode, "printed": done.stdout.decode("utf-8", "replace")}


def arguments(program: str, params: str, target: str, out: str) -> List[str]:
    """Return document 004's arguments for `opt`; ``out`` is the result's path without ``.nb``."""
    return [
        f"--model_file={program}",
        f"--param_file={params}",
        f"--valid_targets={target}",
        "--optimize_out_type=naive_buffer",
        f"--optimize_out={out}",
    ]


def convert(python: str, program: str, params: str, target: str, out: str) -> Dict[str, Any]:
    """Convert once; return as :func:`opt`, and ``bytes``, the size of the result (0: no file)."""
    done = opt(python, arguments(program, params, target, out))
    result = out + ".nb"
    return {**done, "bytes": os.path.getsize(result) if os.path.exists(result) else 0}


def operators(python: str, program: str, params: str, target: str) -> Dict[str, Any]:
    """Run `opt --print_model_ops`; return the model's operators, those without a kernel, and the rest."""
    asked = [*arguments(program, params, target, "")[:3], "--print_model_ops=true"]
    done = opt(python, asked)
    rows = [found for found in map(ROW.match, done["printed"].splitlines()) if found]
    return {
        **done,
        "operators": [row[1] for row in rows],
        "without kernel": [row[1] for row in rows if not row[2].strip()],
    }


def version(python: str) -> str:
    """`opt --version`."""
    return str(opt(python, ["--version"])["printed"].strip())
