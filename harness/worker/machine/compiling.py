"""Programs in C++, compiled by this machine's compiler once for each command and each source.

``CXX`` names a compiler other than g++; ``HARNESS_PROGRAMS`` names a folder for compiled programs other than
the user's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from typing import Callable, List, Optional


def compiler() -> Optional[str]:
    """The compiler's path."""
    return shutil.which(os.environ.get("CXX", "g++"))


def missing() -> Optional[str]:
    """Return why nothing can be compiled here, or None."""
    if compiler() is None:
        name = os.environ.get("CXX", "g++")
        return f"no C++ compiler: {name} is not there; install g++, or name a compiler with CXX"
    return None


def cache() -> str:
    """Return the folder of the compiled programs."""
    user = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("HARNESS_PROGRAMS") or os.path.join(user, "paddle-conformance", "programs")


def build(name: str, what: str, command: Callable[[str], List[str]], sources: List[str], key: str) -> str:
    """Compile a program unless that was done before; return its path. Two processes at once compile it once.

    Args:
        name: how its file's name begins. what: its name in messages.
        command: gives the compiler's arguments for an output's path.
        sources: its source files. key: everything else that changes the program.

    Raises:
        RuntimeError: the compiler failed (with its last messages), or the folder cannot be written.
    """
    digest = hashlib.sha256(repr([command("OUTPUT"), key]).encode())
    for source in sources:
        with open(source, "rb") as file:
            digest.update(file.read())
    path = os.path.join(cache(), f"{name}-{digest.hexdigest()[:16]}")
    if os.path.exists(path):
        return path
    try:
        os.makedirs(cache(), exist_ok=True)
        with open(path + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(path):
                _compile(path, what, command)
    except OSError as error:
        raise RuntimeError(
            f"the program cannot be written to {cache()} ({error.strerror}): name another folder with "
            "HARNESS_PROGRAMS"
        ) from error
    return path


def _compile(path: str, what: str, command: Callable[[str], List[str]]) -> None:
    """Compile in the folder of ``path``, then rename: a reader finds the whole program or none."""
    with tempfile.TemporaryDirectory(prefix="compiling-", dir=cache()) as folder:
        output = os.path.join(folder, "program")
        arguments = command(output)
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            last = "\n".join(done.stderr.splitlines()[-20:])
            raise RuntimeError(
                f"{arguments[0]} could not compile {what} (exit status {done.returncode}):\n{last}"
            )
        os.replace(output, path)
