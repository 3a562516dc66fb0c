"""Calls that crash, hang, raise or report about their process, for the harness's tests.

No suite uses them. `tests/` calls them to prove that a dead or silent worker is recognised.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import time
import warnings
from typing import Any, Dict, List, Optional


def echo(value: Any) -> Any:
    """Return the value, which then has crossed the process boundary twice."""
    return value


def pid() -> int:
    return os.getpid()


def environ(names: List[str]) -> Dict[str, Optional[str]]:
    """Return environment variables of the worker; None where one isn't set."""
    return {name: os.environ.get(name) for name in names}


def say(text: str) -> None:
    """Print without Python's buffers, as C++ code does."""
    os.write(1, text.encode() + b"\n")


def segfault(text: str = "") -> None:
    """Read address zero, after printing ``text``."""
    say(text)
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def leave(status: int) -> None:
    """End the process at once, without Python's cleanup."""
    os._exit(status)


def hang(children: int = 0) -> None:
    """Never return; also start so many children that never return."""
    for _ in range(children):
        if os.fork() == 0:
            while True:
                time.sleep(3600)
    while True:
        time.sleep(3600)


def fail(kind: str, message: str) -> None:
    """Raise the built-in exception of that name."""
    raise getattr(__import__("builtins"), kind)(message)


def fail_in_c(message: Optional[bytes]) -> None:
    """Raise a RuntimeError from compiled code, with a message as pybind11 sets it, or without one."""
    if message is None:
        raising = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("PyErr_SetNone", ctypes.pythonapi))
        raising(RuntimeError)
    else:
        setting = ctypes.PYFUNCTYPE(None, ctypes.py_object, ctypes.c_char_p)
        setting(("PyErr_SetString", ctypes.pythonapi))(RuntimeError, message)


def text_of(path: str) -> str:
    """Return the text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def fail_without_words() -> None:
    """Raise a Python exception without a message."""
    raise RuntimeError


def unsendable() -> Any:
    """Return an object that cannot cross the process boundary."""
    return object()


def digits(folder: str, split: str) -> Dict[str, Any]:
    """Return images and labels of a split as Paddle's loader reads them."""
    from harness.worker.models.digits import Digits

    images, labels = Digits(folder).arrays(split)
    return {"images": images, "labels": labels}


def can_import(name: str) -> Optional[str]:
    """Return what importing the module raises, or None."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        return f"{type(error).__name__}: {error}"
    return None


def modules() -> List[str]:
    """Return the names of all imported modules."""
    return sorted(sys.modules)


def warn(text: str, times: int, raising: bool = False) -> None:
    """Warn ``times`` times from one line; ``{}`` in the text becomes the number of the warning."""
    for number in range(times):
        warnings.warn(text.format(number), stacklevel=1)
    if raising:
        raise ValueError(text)


def sources() -> List[str]:
    """Return the files of this project's loaded modules."""
    names = ("harness.worker", "reference_models")
    loaded = [module for name, module in list(sys.modules.items()) if name.startswith(names)]
    return [module.__file__ or "" for module in loaded]
