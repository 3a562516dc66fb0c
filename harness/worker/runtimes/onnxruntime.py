"""onnxruntime: what `paddle2onnx` made of the exported program, on its CPU provider.

Files: ``model`` (an ``.onnx`` file). Options: ``threads``, ``optimize`` (false: the graph as it is).
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from harness.worker import runtimes
from harness.worker.machine import engines
from harness.worker.models.model import ReferenceModel

RECIPE = "onnx"
# One version throughout, since every Paddle's latency is shown against it: the newest with wheels for all
# interpreters of releases.toml.
PACKAGES = {"onnxruntime": "==1.19.2"}
PURPOSE = "to run exported ONNX files"
STAGES = {"onnx": {"place": 140, "focus": ["onnx"], "dear": True, "converted": True}}


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Return which of paddle2onnx and onnxruntime is missing, or None."""
    return engines.missing(["paddle2onnx", "onnxruntime"])


class Session:
    """Needs ``files["model"]``."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        import onnxruntime

        asked = onnxruntime.SessionOptions()
        asked.intra_op_num_threads = int(options.get("threads", 1))
        asked.inter_op_num_threads = 1
        # Without VNNI its int8 kernels add products in 16 bits, which saturate, unless it is asked not to.
        asked.add_session_config_entry("session.x64quantprecision", "1")
        asked.log_severity_level = 3  # it warns of every initializer that it may not fold
        if options.get("optimize") is False:
            asked.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.version = str(onnxruntime.__version__)
        self.session = onnxruntime.InferenceSession(files["model"], asked, providers=["CPUExecutionProvider"])
        self.inputs = [spec.name for spec in model.inputs]

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        """Return the outputs in the file's order.

        Raises:
            ValueError: the file's inputs are not the model's.
        """
        names = [item.name for item in self.session.get_inputs()]
        runtimes.check_inputs("file", names, self.inputs)
        found: List[np.ndarray] = self.session.run(None, dict(zip(self.inputs, feed)))
        return found

    def describe(self) -> Dict[str, Any]:
        """Return the session's settings, read back from it."""
        options = self.session.get_session_options()
        return {
            "device": "cpu",
            "version": self.version,
            "providers": list(self.session.get_providers()),
            "threads": int(options.intra_op_num_threads),
            "inputs": [item.name for item in self.session.get_inputs()],
            "outputs": len(self.session.get_outputs()),
        }

    def close(self) -> None:
        self.session = None
