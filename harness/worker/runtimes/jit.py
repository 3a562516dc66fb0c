"""`paddle.jit.load`: the exported program as a layer.

Files: ``prefix`` (the path without ending that `jit.save` got), or ``folder`` and ``program`` (the
older layout, one file per parameter). Option ``device``: where the layer is and runs.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import paddle

from harness.worker.machine import devices
from harness.worker.models import networks
from harness.worker.models.model import ReferenceModel

STAGES = {"jit": {"place": 50, "focus": ["jit", "gate"]}}
PLAIN = """
layer = paddle.jit.load({{ files.prefix | repr }})
layer.eval()


{{ calls.flat() }}

{{ calls.layer("layer") }}
"""


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Return why the device is missing, or None: nothing but Paddle is needed."""
    return devices.missing(str(options.get("device", "cpu")))


class Session:
    """Needs ``files["prefix"]``, or ``files["folder"]`` and ``files["program"]``."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        self.device = str(options.get("device", "cpu"))
        self.ran_on = ""
        self.meter = devices.Meter(self.device)
        with devices.chosen(self.device):
            if "prefix" in files:
                self.layer = paddle.jit.load(files["prefix"])
            else:
                self.layer = paddle.jit.load(files["folder"], model_filename=files["program"])
        self.layer.eval()

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        with devices.chosen(self.device), paddle.no_grad():
            outputs = networks.outputs_of(self.layer(*networks.tensors(feed)))
        self.ran_on = devices.of(outputs[0])
        return [tensor.numpy() for tensor in outputs]

    def describe(self) -> Dict[str, Any]:
        return {"device": self.ran_on, **self.meter.told(), "layer": type(self.layer).__name__}

    def close(self) -> None:
        self.layer = None
