"""OpenVINO on the CPU: what `paddle2onnx` made of the exported program.

Files: ``model`` (an ``.onnx`` file). Options: ``precision`` (default ``f32``: OpenVINO would choose bfloat16
on processors that have it) and ``threads``.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from harness.worker import runtimes
from harness.worker.machine import engines
from harness.worker.models.model import ReferenceModel

RECIPE = "onnx"
PACKAGES = {"openvino": "==2025.3.0"}  # one version throughout, like that of onnxruntime
PURPOSE = "for a second engine beside Paddle's and onnxruntime"


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Return which of paddle2onnx and openvino is missing, or None."""
    return engines.missing(["paddle2onnx", "openvino"])


class Session:
    """Needs ``files["model"]``, an ``.onnx`` file, or a ``.pdmodel`` file with its parameters next to it."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        import openvino

        core = openvino.Core()
        # One stream: there is one caller, and latency is measured.
        asked = {
            "INFERENCE_PRECISION_HINT": str(options.get("precision", "f32")),
            "INFERENCE_NUM_THREADS": int(options.get("threads", 1)),
            "NUM_STREAMS": 1,
        }
        self.version = str(openvino.__version__)
        self.compiled = core.compile_model(core.read_model(files["model"]), "CPU", asked)
        self.request = self.compiled.create_infer_request()
        self.inputs = [spec.name for spec in model.inputs]

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        """Return the outputs in the file's order.

        Raises:
            ValueError: the file's inputs are not the model's.
        """
        names = self._names()
        runtimes.check_inputs("file", names, self.inputs)
        found = self.request.infer({name: np.ascontiguousarray(a) for name, a in zip(self.inputs, feed)})
        # Copies: the next run overwrites the request's memory.
        return [np.array(found[output]) for output in self.compiled.outputs]

    def _names(self) -> List[str]:
        names = [set(item.get_names()) for item in self.compiled.inputs]
        return [next((name for name in self.inputs if name in own), min(own)) for own in names]

    def describe(self) -> Dict[str, Any]:
        """Return the compiled model's settings, read back from it."""
        property_of = self.compiled.get_property
        return {
            "device": ",".join(property_of("EXECUTION_DEVICES")).lower(),
            "version": self.version,
            "precision": property_of("INFERENCE_PRECISION_HINT").get_type_name(),
            "threads": int(property_of("INFERENCE_NUM_THREADS")),
            "streams": int(property_of("NUM_STREAMS")),
            "inputs": self._names(),
            "outputs": len(self.compiled.outputs),
        }

    def close(self) -> None:
        self.request = None
        self.compiled = None
