"""Probing the environment under test from outside: its interpreter runs a short script.

So a broken installation of Paddle is a row of the doctor's table, and does not break the command.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any

from harness.core.paths import ROOT
from harness.environments.runtimes import packages

Facts = dict[str, Any]

PROBE_DEADLINE_S = 120.0

PROBE = ROOT / "harness" / "worker" / "protocol" / "probe.py"
NAMES = (
    "paddlepaddle", "paddlepaddle-gpu", "paddleslim", "paddle2onnx", "onnx", "numpy", "setuptools",
)  # fmt: skip
"""Packages that are looked for; what runtimes need is looked for too."""
SLIM_NEEDS = ("six", "requests", "decorator")


class NoAnswer(Exception):
    """The interpreter did not answer: ``found`` is what happened instead, ``do`` what to do about it."""

    def __init__(self, found: str, do: str) -> None:
        super().__init__(found)
        self.found = found
        self.do = do


def ask(python: str, env: Mapping[str, str] | None = None) -> Facts:
    """Return what the interpreter, started with ``env``, reports (default: this process's variables).

    Raises:
        NoAnswer: it cannot be run, or is no Python.
    """
    if not os.access(python, os.X_OK) or os.path.isdir(python):
        do = "name the interpreter of the environment under test with --python"
        raise NoAnswer(f"{python} cannot be started", do)
    # Its own folder as working directory: a `paddle` folder here must not shadow the installed one.
    names = dict.fromkeys([*NAMES, *(package.name for package in packages())])
    arguments = [",".join(names), ",".join((*SLIM_NEEDS, "pkg_resources"))]
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [python, "-c", PROBE.read_text(), *arguments],
                cwd=folder,
                env=env,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PROBE_DEADLINE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            do = "try the interpreter by hand: `import paddle` in it"
            raise NoAnswer(f"{python}: {error}", do) from error
    answers = [line for line in done.stdout.splitlines() if line.startswith("PROBE")]
    if not answers:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        found = f"{python} ended with status {done.returncode}: {last}"
        raise NoAnswer(found, "name a Python interpreter with --python")
    facts: Facts = json.loads(answers[-1].removeprefix("PROBE"))
    return facts
