"""OpenVINO's own reader of Paddle programs: a ``.pdmodel`` without a conversion.

Files: ``model`` (the program; its parameters are next to it under the same name). Options as those of
the runtime ``openvino``. It does not read the ``.json`` programs of the new IR.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from harness.worker.machine import engines
from harness.worker.runtimes import openvino


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Return that openvino is missing, or None."""
    return engines.missing(["openvino"])


class Session(openvino.Session):
    """Needs ``files["model"]``."""
