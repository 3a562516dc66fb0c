"""The program, compiled by this machine's compiler once for each release of Paddle and each source.

It is linked against the official inference library where ``PADDLE_INFERENCE_DIR`` names one (unpacked:
``paddle/include``, ``paddle/lib``, ``third_party/install``), else against the ``libpaddle.so`` of the
installed wheel. ``CXX`` names another compiler than g++, ``HARNESS_PROGRAMS`` another folder for what was
compiled than the user's cache.
"""

from __future__ import annotations

import fcntl
import functools
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from typing import Any, Dict, List, Optional

import paddle

FOLDER = os.path.dirname(os.path.abspath(__file__))
SOURCES = sorted(name for name in os.listdir(FOLDER) if name.endswith((".cc", ".h")))
PADDLE = os.path.dirname(os.path.abspath(paddle.__file__))


def missing() -> Optional[str]:
    """Why the program cannot be compiled here, or None."""
    if compiler() is None:
        name = os.environ.get("CXX", "g++")
        return f"no C++ compiler: {name} is not there; install g++, or name a compiler with CXX"
    if official():
        return _missing_official()
    if not os.path.exists(os.path.join(PADDLE, "base", "libpaddle.so")):
        return (
            "Paddle here has no libpaddle.so: name the official inference library with PADDLE_INFERENCE_DIR"
        )
    if _libpython() is None:
        return (
            f"{sys.executable} has no shared libpython, which libpaddle.so needs outside of it: install it, "
            "or name the official inference library with PADDLE_INFERENCE_DIR"
        )
    return None


def compiler() -> Optional[str]:
    """The compiler's path."""
    return shutil.which(os.environ.get("CXX", "g++"))


def official() -> str:
    """The folder of the official inference library, or ''."""
    return os.environ.get("PADDLE_INFERENCE_DIR", "")


def _missing_official() -> Optional[str]:
    header = os.path.join(official(), "paddle", "include", "paddle_inference_api.h")
    if not os.path.exists(header):
        return f"PADDLE_INFERENCE_DIR is no inference library: {header} is missing"
    commit = ""
    try:
        with open(os.path.join(official(), "version.txt")) as file:
            commit = next((line.split()[-1] for line in file if line.startswith("GIT COMMIT ID")), "")
    except OSError:
        pass  # an older library says nothing: its outputs will
    own = str(getattr(paddle.version, "commit", ""))
    if commit and own and not (commit.startswith(own) or own.startswith(commit)):
        return (
            f"PADDLE_INFERENCE_DIR holds another build (commit {commit}) than Paddle {paddle.__version__} "
            f"here ({own}): name the library of this release"
        )
    return None


def _libpython() -> Optional[str]:
    """The shared library of this interpreter."""
    version = "{}.{}".format(*sys.version_info)
    names = [
        str(sysconfig.get_config_var("INSTSONAME")),
        f"libpython{version}.so.1.0",
        f"libpython{version}.so",
    ]
    library = str(sysconfig.get_config_var("LIBDIR"))
    folders = [library, os.path.join(library, str(sysconfig.get_config_var("MULTIARCH")))]
    folders.append(os.path.join(sys.base_prefix, "lib"))
    paths = (os.path.join(folder, name) for name in names if ".so" in name for folder in folders)
    return next((path for path in paths if os.path.exists(path)), None)


def command(output: str) -> List[str]:
    """The compiler's arguments.

    Raises:
        RuntimeError: the program cannot be compiled here (:func:`missing` says why).
    """
    reason = missing()
    if reason:
        raise RuntimeError(reason)
    if official():
        libraries = [os.path.join(official(), "paddle", "lib")]
        libraries += sorted(glob.glob(os.path.join(official(), "third_party", "install", "*", "lib")))
        flags = ["-DPADDLE_INFERENCE_API", "-I", os.path.join(official(), "paddle", "include")]
        flags += ["-L", libraries[0], "-lpaddle_inference"]
    else:
        python = str(_libpython())
        libraries = [os.path.join(PADDLE, "base"), os.path.join(PADDLE, "libs"), os.path.dirname(python)]
        flags = ["-L", libraries[0], "-l:libpaddle.so", "-L", libraries[1], python]
    for folder in libraries:
        flags += ["-Xlinker", "-rpath", "-Xlinker", folder]
    source = os.path.join(FOLDER, "predictor.cc")
    return [str(compiler()), "-std=c++17", "-O2", source, "-o", output, *flags]


def cache() -> str:
    """The folder of the compiled programs."""
    user = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("HARNESS_PROGRAMS") or os.path.join(user, "paddle-conformance", "programs")


@functools.cache
def build() -> str:
    """The program's path, compiled now unless it was before; two processes at once compile it once.

    Raises:
        RuntimeError: the compiler refused, with its last words, or the folder cannot be written.
    """
    key = hashlib.sha256(repr([command("OUTPUT"), getattr(paddle.version, "commit", "")]).encode())
    for name in SOURCES:
        with open(os.path.join(FOLDER, name), "rb") as file:
            key.update(file.read())
    path = os.path.join(cache(), f"predictor-{paddle.__version__}-{key.hexdigest()[:16]}")
    if os.path.exists(path):
        return path
    try:
        os.makedirs(cache(), exist_ok=True)
        with open(path + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(path):
                _compile(path)
    except OSError as error:
        raise RuntimeError(
            f"the program cannot be written to {cache()} ({error.strerror}): name another folder with "
            "HARNESS_PROGRAMS"
        ) from error
    return path


def _compile(path: str) -> None:
    """Compile beside ``path``, then rename: a reader finds the program whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="compiling-", dir=cache()) as folder:
        output = os.path.join(folder, "predictor")
        arguments = command(output)
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            last = "\n".join(done.stderr.splitlines()[-20:])
            raise RuntimeError(
                f"{arguments[0]} could not compile the C++ predictor for Paddle {paddle.__version__} "
                f"(exit status {done.returncode}):\n{last}"
            )
        os.replace(output, path)


def run(arguments: List[str]) -> Dict[str, Any]:
    """Run it as a user does: exit status (negative for a signal), and what it printed on either stream."""
    done = subprocess.run([build(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return {"status": done.returncode, "out": done.stdout, "err": done.stderr}
