"""The worker's loop: one call at a time, by name, until the channel closes."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import re
import sys
import warnings
from typing import Any, Dict, Iterator

from harness.worker.protocol.children import ChildDied
from harness.worker.protocol.raised import describe
from harness.worker.protocol.wire import pack, unpack

PLACE = re.compile(r"(?:/[\w.@+-]+)+/([\w.@+-]+)(?::\d+)?")
"""A path with its line: only the file's name is the same on another machine and release."""
imported: Dict[str, None] = {}
"""Warnings of Paddle's import, where this process's template made it: they are of its first call."""
MOST_WARNINGS = 50
"""Most warnings kept of one call; more come only from a message whose numbers change."""


def serve(channel: Any) -> None:
    """Answer calls ``{"call": "module.function", "arguments": {...}}`` under ``harness.worker``.

    A request may name calls to make ``first``, and the ``memory`` in bytes that this process may take.
    The packed answer is ``{"ok": result}`` or ``{"raised": type, "message", "traceback"}``; both have
    ``warnings``, the Python warnings of the call. ``died`` next to ``raised``: a process that the call had
    started ended; it names the signal.
    """
    channel.send({"pid": os.getpid()})
    for message in channel:
        request = unpack(message)
        warned = dict(imported)
        imported.clear()
        try:
            with recorded_warnings(warned):
                _prepare(request)
                result = _call(request["call"], request["arguments"])
            message = pack({"ok": result, "warnings": list(warned)})
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the answer, whatever Paddle or a model raised: SystemExit too
            answer = {**describe(error), "warnings": list(warned)}
            if isinstance(error, ChildDied):
                answer["died"] = error.signal
            message = pack(answer)
        sys.stdout.flush()
        sys.stderr.flush()
        channel.send(message)


def _prepare(request: Dict[str, Any]) -> None:
    for name, arguments in request.get("first", {}).items():
        _function(name)(**arguments)
    if "memory" in request:
        import resource

        # This limit counts allocated and not mapped memory: Paddle then raises before the
        # machine runs out of memory.
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (request["memory"], hard))


@contextlib.contextmanager
def recorded_warnings(warned: Dict[str, None]) -> Iterator[None]:
    """Keep every Python warning once, whether or not the process has shown it before.

    Python shows a warning once per place and process, so the warnings that a warm worker shows depend on
    earlier calls; the warnings recorded for a release must not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        show = warnings.showwarning

        def keep(message: Any, category: Any, *place: Any, **more: Any) -> None:
            text = category.__name__ + ": " + PLACE.sub(r"\1", " ".join(str(message).split()))[:300]
            if text not in warned and len(warned) < MOST_WARNINGS:
                warned[text] = None
                show(message, category, *place, **more)

        warnings.showwarning = keep
        yield


def _function(name: str) -> Any:
    module_name, function_name = name.rsplit(".", 1)
    return getattr(importlib.import_module("harness.worker." + module_name), function_name)


def _call(name: str, arguments: dict) -> Any:
    function = _function(name)
    paddle = sys.modules.get("paddle")
    if paddle is not None:
        _reset(paddle)
    return function(**arguments)


def _reset(paddle: Any) -> None:
    """Start every call alike: dygraph mode, CPU, float32 default, seeded generators, names from zero.

    Parameter names are counted per process; without a reset the same recipe would write
    other names on its second call in a warm worker than in a new one.
    """
    import numpy as np

    paddle.disable_static()
    if paddle.get_device() != "cpu":
        paddle.set_device("cpu")  # a build for another device starts on that one
    paddle.set_default_dtype("float32")
    paddle.seed(2026)
    np.random.seed(2026)
    random.seed(2026)
    paddle.utils.unique_name.switch()
