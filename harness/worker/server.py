"""The worker's loop: one call at a time, by name, until the channel closes."""

from __future__ import annotations

import importlib
import os
import random
import sys
import traceback
from typing import Any

from harness.worker.wire import pack, unpack


def serve(channel: Any) -> None:
    """Answer calls ``{"call": "module.function", "arguments": {...}}`` under ``harness.worker``.

    Answers ``{"ok": result}``, or ``{"raised": type, "message", "traceback"}``, packed.
    """
    channel.send({"pid": os.getpid()})
    for message in channel:
        request = unpack(message)
        try:
            message = pack({"ok": _call(request["call"], request["arguments"])})
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # whatever Paddle raised is the answer
            message = pack(
                {
                    "raised": type(error).__name__,
                    "message": str(error).strip() or repr(error),
                    "traceback": traceback.format_exc(),
                }
            )
        sys.stdout.flush()
        sys.stderr.flush()
        channel.send(message)


def _call(name: str, arguments: dict) -> Any:
    module_name, function_name = name.rsplit(".", 1)
    module = importlib.import_module("harness.worker." + module_name)
    function = getattr(module, function_name)
    paddle = sys.modules.get("paddle")
    if paddle is not None:
        _level_ground(paddle)
    return function(**arguments)


def _level_ground(paddle: Any) -> None:
    """Start every call alike: dygraph mode, float32 default, seeded generators, names from zero.

    Parameter names are counted per process; without a reset the same recipe would write
    other names on its second call in a warm worker than in a new one.
    """
    import numpy as np

    paddle.disable_static()
    paddle.set_default_dtype("float32")
    paddle.seed(2026)
    np.random.seed(2026)
    random.seed(2026)
    paddle.utils.unique_name.switch()
