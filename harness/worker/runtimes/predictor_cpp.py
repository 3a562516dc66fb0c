"""Paddle Inference in C++: document 002 §4 as a program, in a separate process.

Files: as for ``predictor``. Options: ``onednn``, ``bfloat16``, ``int8``, ``ir_optim``, ``memory_optim``,
``threads`` and ``log``, as for ``predictor``.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from harness.worker.cpp import child, program
from harness.worker.models.model import ReferenceModel
from harness.worker.protocol import children
from harness.worker.runtimes import predictor

SWITCHES = {"onednn": "--onednn", "ir_optim": "--ir-optim"}
FLAGS = {"bfloat16": "--bfloat16", "int8": "--int8", "memory_optim": "--memory-optim", "log": "--log"}


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Return what is missing: compiler, library to link with, or a need of the Python predictor; or None."""
    if options.get("device", "cpu") != "cpu":
        return "the C++ predictor is written for the CPU, as document 002 has it"
    return program.missing() or predictor.available(options)


def arguments(files: Mapping[str, str], options: Mapping[str, Any]) -> List[str]:
    """Return the program's command line for these files and options.

    Raises:
        ValueError: the program does not have an option.
    """
    unknown = sorted(set(options) - {*SWITCHES, *FLAGS, "threads", "device"})
    if unknown:
        raise ValueError(f"the C++ predictor has no option {', '.join(unknown)}")
    if "model" in files:
        found = ["--model", files["model"]]
        # A program without parameters has no parameter file; the Python predictor gets its name anyway.
        found += ["--params", files["params"]] if os.path.exists(files["params"]) else []
    else:
        found = ["--folder", files["folder"]]
    for name, flag in SWITCHES.items():
        if name in options:
            found += [flag, "on" if options[name] else "off"]
    found += [flag for name, flag in FLAGS.items() if options.get(name)]
    return [*found, "--threads", str(int(options.get("threads", 1)))]


class Session:
    """A model open in a process of the program."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        self.inputs = [spec.name for spec in model.inputs]
        given = arguments(files, options)
        self.child = child.take()
        children.forget_peak(self.child.process.pid)
        self.before_mib = children.memory(self.child.process.pid)["now_mib"]
        try:
            self.described = self.child.open(given)
        except child.Refused:
            child.give_back(self.child)
            raise

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        return self.timed(feed, 1)[1]

    def timed(self, feed: List[np.ndarray], runs: int) -> Tuple[List[float], List[np.ndarray]]:
        """Return the seconds of each run by the program's clock, and the last outputs."""
        seconds, outputs = self.child.run(dict(zip(self.inputs, feed)), runs)
        return seconds, list(outputs.values())

    @property
    def pid(self) -> int:
        """Id of the program's process, whose first thread runs the model."""
        return int(self.child.process.pid)

    def taken(self) -> int:
        """Return how often the system preempted the program's process."""
        return children.taken(self.pid)

    def memory(self) -> Dict[str, float]:
        """Return the memory of the program's process, MiB."""
        return {**children.memory(self.child.process.pid), "before_mib": self.before_mib}

    def describe(self) -> Dict[str, Any]:
        """Return the settings of configuration and predictor, read back in the program."""
        words = [line.split(" ", 1) for line in self.described.splitlines() if " " in line]
        rows = predictor.summary(self.described)
        return {
            "device": "gpu" if rows["use_gpu"] == "true" else "cpu",
            "onednn": (rows.get("enable_mkldnn") or rows.get("enable_onednn")) == "true",
            "ir_optim": rows["ir_optim"] == "true",
            "threads": int(rows["cpu_math_thread"]),
            "summary": rows,
            "inputs": [rest for word, rest in words if word == "input"],
            "outputs": sum(word == "output" for word, _ in words),
            "library": [rest for word, rest in words if word == "library"],
        }

    def close(self) -> None:
        child.give_back(self.child)
