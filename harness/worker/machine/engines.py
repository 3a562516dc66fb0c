"""Packages other than Paddle that an environment may lack, and the command that installs one."""

from __future__ import annotations

import importlib.util
from typing import Optional, Sequence

import paddle


def missing(packages: Sequence[str]) -> Optional[str]:
    """Return which of these packages is missing first, with the command that installs it; or None.

    The packages are looked up and not imported: an engine costs memory and time.
    """
    for name in packages:
        if importlib.util.find_spec(name) is None:
            return (
                f"{name} is not installed in the environment under test: `pip install {_wanted(name)}` there"
            )
    return None


def _wanted(name: str) -> str:
    if name == "paddle2onnx":
        return "paddle2onnx==1.3.1" if paddle.__version__.startswith("2.") else "paddle2onnx==2.1.0"
    return name
