"""Dynamic graph: the network's own Python code with a checkpoint's parameters.

Options: ``dtype`` (``"float64"`` makes it the oracle) and ``storage`` (``"bfloat16"`` rounds
parameters, inputs and every sublayer's output to that type, in float64 arithmetic: what
storing in bfloat16 costs, with exact arithmetic in between). ``perturb`` moves parameters and
inputs by that relative size (``draw``: which time).
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import paddle

from harness.worker import models, perturbation
from harness.worker.model import ReferenceModel


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Always: it is Paddle itself."""
    return None


class Session:
    """Needs ``files["params"]``."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        self.storage = options.get("storage")
        self.dtype = options.get("dtype", "float64" if self.storage else "float32")
        self.net = models.network(model, files["params"], self.dtype)
        self.net.eval()
        self.perturb = float(options.get("perturb", 0.0))
        self.rng = np.random.default_rng(int(options.get("draw", 0)))
        if self.perturb:
            perturbation.move_network(self.net, self.perturb, self.rng)
        if self.storage:
            for parameter in self.net.parameters():
                parameter.set_value(round_to_bfloat16(parameter.numpy()))
            for layer in self.net.sublayers():
                if not list(layer.children()):
                    layer.register_forward_post_hook(_round_output)

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        """Outputs in eval mode, without gradients."""
        if self.perturb:
            feed = perturbation.move_feed(feed, self.perturb, self.rng)
        if self.storage:
            feed = [round_to_bfloat16(a) if np.issubdtype(a.dtype, np.floating) else a for a in feed]
        # What a network makes in its forward (zeros, say) is of the default type.
        paddle.set_default_dtype(self.dtype)
        try:
            with paddle.no_grad():
                return [t.numpy() for t in models.outputs_of(self.net(*models.tensors(feed, self.dtype)))]
        finally:
            paddle.set_default_dtype("float32")

    def describe(self) -> Dict[str, Any]:
        return {
            "device": str(paddle.get_device()),
            "dtype": self.dtype,
            "parameter_dtypes": sorted({str(p.dtype).split(".")[-1] for p in self.net.parameters()}),
        }

    def close(self) -> None:
        self.net = None


def round_to_bfloat16(array: np.ndarray) -> np.ndarray:
    """Values rounded to the nearest bfloat16 (ties to even), in the array's own dtype."""
    bits = np.ascontiguousarray(array, dtype="float32").view("uint32")
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view("float32").astype(array.dtype).reshape(array.shape)


def _round_output(layer: Any, inputs: Any, output: Any) -> Any:
    if isinstance(output, (list, tuple)):
        return type(output)(_round_output(layer, inputs, item) for item in output)
    if not paddle.is_floating_point(output):
        return output
    return paddle.to_tensor(round_to_bfloat16(output.numpy()))
