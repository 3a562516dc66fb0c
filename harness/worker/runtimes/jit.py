"""`paddle.jit.load`: the exported program as a layer.

Files: ``prefix`` (path without ending, as `jit.save` was given it), or ``folder`` and ``program`` (the
older layout, one file per parameter).
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import paddle

from harness.worker import models
from harness.worker.model import ReferenceModel


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Always: it is Paddle itself."""
    return None


class Session:
    """Needs ``files["prefix"]``, or ``files["folder"]`` and ``files["program"]``."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        if "prefix" in files:
            self.layer = paddle.jit.load(files["prefix"])
        else:
            self.layer = paddle.jit.load(files["folder"], model_filename=files["program"])
        self.layer.eval()

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        with paddle.no_grad():
            return [t.numpy() for t in models.outputs_of(self.layer(*models.tensors(feed)))]

    def describe(self) -> Dict[str, Any]:
        return {"device": str(paddle.get_device()), "layer": type(self.layer).__name__}

    def close(self) -> None:
        self.layer = None
