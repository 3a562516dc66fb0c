"""Engines beside Paddle that an environment may lack."""

from __future__ import annotations

import importlib.util
from typing import Optional

GET = {
    "paddle2onnx": "pip install paddle2onnx==2.1.0` (1.3.1 beside Paddle 2.6)",
    "onnx": "pip install onnx`",
    "onnxruntime": "pip install onnxruntime`",
    "openvino": "pip install openvino`",
}
"""The command that gets a package, behind its opening backtick."""


def missing(*packages: str) -> Optional[str]:
    """Why something that needs these packages cannot run here, or None.

    Asks whether they are there, and does not import them: an engine costs memory and time.
    """
    for name in packages:
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed in the environment under test: run `{GET[name]} there"
    return None
