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
"""A path with its line: of it only the file's name is the same on another machine and release."""
MOST_WARNINGS = 50
"""Warnings kept of one call: beyond that a message with changing numbers is at work."""


def serve(channel: Any) -> None:
    """Answer calls ``{"call": "module.function", "arguments": {...}}`` under ``harness.worker``.

    A request may name calls to make ``first``, and the ``memory`` in bytes that this process may take.
    Answers ``{"ok": result}``, or ``{"raised": type, "message", "traceback"}``, packed; in both
    ``warnings`` are the Python warnings of the call. ``died`` beside ``raised``: a process that the call
    had started ended; the signal's name.
    """
    channel.send({"pid": os.getpid()})
    for message in channel:
        request = unpack(message)
        heard: Dict[str, None] = {}
        try:
            with _listening(heard):
                _hear_news(request)
                result = _call(request["call"], request["arguments"])
            message = pack({"ok": result, "warnings": list(heard)})
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # whatever Paddle raised is the answer
            answer = {**describe(error), "warnings": list(heard)}
            if isinstance(error, ChildDied):
                answer["died"] = error.signal
            message = pack(answer)
        sys.stdout.flush()
        sys.stderr.flush()
        channel.send(message)


def _hear_news(request: Dict[str, Any]) -> None:
    for name, arguments in request.get("first", {}).items():
        _function(name)(**arguments)
    if "memory" in request:
        import resource

        # Of all limits the one that counts what is allocated, and not what is mapped: Paddle then
        # raises where the machine would run out of memory.
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (request["memory"], hard))


@contextlib.contextmanager
def _listening(heard: Dict[str, None]) -> Iterator[None]:
    """Keep every Python warning once, whether or not the process has shown it before.

    Python shows a warning once per place and process, so what a warm worker shows of a call depends
    on the calls before it; what a release warns of must not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        show = warnings.showwarning

        def keep(message: Any, category: Any, *place: Any, **more: Any) -> None:
            text = category.__name__ + ": " + PLACE.sub(r"\1", " ".join(str(message).split()))[:300]
            if text not in heard and len(heard) < MOST_WARNINGS:
                heard[text] = None
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
        _level_ground(paddle)
    return function(**arguments)


def _level_ground(paddle: Any) -> None:
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
