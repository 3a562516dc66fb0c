"""Dynamic graph: the network's own Python code with a checkpoint's parameters.

Options: ``dtype`` (``"float64"`` makes it the oracle) and ``storage`` (``"bfloat16"`` or ``"float16"``
rounds parameters, inputs and every sublayer's output to that type, in float64 arithmetic: it shows the
error of storage alone). ``perturb`` moves parameters and inputs by that relative size (``draw``: the number
of the draw). ``device``: where the network is and runs.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import paddle

from harness.worker.machine import devices
from harness.worker.models import networks, perturbation
from harness.worker.models.model import ReferenceModel

PLAIN = """
import model

(chosen,) = [m for m in (getattr(model, "MODELS", None) or [model.MODEL]) if m.name == {{ model | repr }}]
network = chosen.build(**chosen.arguments)
missing, unexpected = network.set_state_dict(paddle.load({{ files.params | repr }}))
assert not missing and not unexpected, (missing, unexpected)
network.eval()


{{ calls.flat() }}

{{ calls.layer("network") }}
"""


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Return why the device is missing, or None: nothing but Paddle is needed."""
    return devices.missing(str(options.get("device", "cpu")))


class Session:
    """Needs ``files["params"]``."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        self.model = model
        self.storage = options.get("storage")
        self.dtype = options.get("dtype", "float64" if self.storage else "float32")
        self.device = str(options.get("device", "cpu"))
        self.ran_on = ""
        self.meter = devices.Meter(self.device)
        with devices.chosen(self.device):
            self.net = networks.network(model, files["params"], self.dtype)
        self.net.eval()
        self.perturb = float(options.get("perturb", 0.0))
        self.rng = np.random.default_rng(int(options.get("draw", 0)))
        if self.perturb:
            perturbation.move_network(self.net, self.perturb, self.rng)
        if self.storage:
            self.round = ROUNDED[self.storage]
            for parameter in self.net.parameters():
                parameter.set_value(self.round(parameter.numpy()))
            for layer in self.net.sublayers():
                if not list(layer.children()):
                    layer.register_forward_post_hook(self._round_output)

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        """Return the outputs in eval mode, without gradients."""
        if self.perturb:
            feed = perturbation.move_feed(feed, self.perturb, self.rng)
        if self.storage:
            feed = [self.round(a) if np.issubdtype(a.dtype, np.floating) else a for a in feed]
        # Tensors that a network makes in its forward (for example zeros) have the default type.
        paddle.set_default_dtype(self.dtype)
        try:
            with devices.chosen(self.device), paddle.no_grad():
                outputs = networks.called(self.net, self.model, feed, self.dtype)
            self.ran_on = devices.of(outputs[0])
            return [tensor.numpy() for tensor in outputs]
        finally:
            paddle.set_default_dtype("float32")

    def _round_output(self, layer: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, (list, tuple)):
            return type(output)(self._round_output(layer, inputs, item) for item in output)
        if not paddle.is_floating_point(output):
            return output
        return paddle.to_tensor(self.round(output.numpy()))

    def describe(self) -> Dict[str, Any]:
        return {
            "device": self.ran_on,
            **self.meter.told(),
            "dtype": self.dtype,
            "parameter_dtypes": sorted({str(p.dtype).split(".")[-1] for p in self.net.parameters()}),
        }

    def close(self) -> None:
        self.net = None


def round_to_bfloat16(array: np.ndarray) -> np.ndarray:
    """Return values rounded to the nearest bfloat16 (ties to even), in the array's dtype."""
    bits = np.ascontiguousarray(array, dtype="float32").view("uint32")
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return rounded.view("float32").astype(array.dtype).reshape(array.shape)


def round_to_float16(array: np.ndarray) -> np.ndarray:
    """Return values rounded to the nearest float16 (ties to even), in the array's dtype; infinite beyond."""
    with np.errstate(over="ignore"):
        return np.asarray(array).astype("float16").astype(array.dtype)


ROUNDED = {"bfloat16": round_to_bfloat16, "float16": round_to_float16}
