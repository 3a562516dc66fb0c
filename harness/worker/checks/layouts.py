"""Parameters as the combined file holds them, and as separate files do."""

from __future__ import annotations

import os
from typing import Dict, List

import numpy as np
import paddle

from harness.worker.inspection import programs


def combined_parameters(folder: str, program: str) -> Dict[str, np.ndarray]:
    """Return floating values by generated name, as `load_inference_model` put them into the scope."""
    with programs.static_mode():
        _, loaded, _, _ = programs.load(folder, program)
        scope = paddle.static.global_scope()
        found = {
            item["name"]: np.array(scope.find_var(item["name"]).get_tensor())
            for item in programs.parameters(loaded)
        }
        # An LSTM's dropout state is a byte buffer that no file holds; parameters are floating.
        return {name: value for name, value in found.items() if np.issubdtype(value.dtype, np.floating)}


def separate_parameters(folder: str, names: List[str]) -> Dict[str, np.ndarray]:
    """Return the values of the parameters named, read from one file each."""
    return {name: np.asarray(paddle.load(os.path.join(folder, name), return_numpy=True)) for name in names}
