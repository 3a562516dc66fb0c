"""The program, compiled by this machine's compiler once for each release of Paddle and each source.

It is linked with the official inference library where ``PADDLE_INFERENCE_DIR`` names one (unpacked:
``paddle/include``, ``paddle/lib``, ``third_party/install``), else with the ``libpaddle.so`` of the
installed wheel.
"""

from __future__ import annotations

import functools
import glob
import os
import subprocess
import sys
import sysconfig
from typing import Any, Dict, List, Optional

import paddle

from harness.worker.machine import compiling

FOLDER = os.path.dirname(os.path.abspath(__file__))
SOURCES = sorted(name for name in os.listdir(FOLDER) if name.endswith((".cc", ".h")))
PADDLE = os.path.dirname(os.path.abspath(paddle.__file__))


def missing() -> Optional[str]:
    """Return why the program cannot be compiled here, or None."""
    if compiling.missing():
        return compiling.missing()
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


def official() -> str:
    """Return the folder of the official inference library, or ''."""
    return os.environ.get("PADDLE_INFERENCE_DIR", "")


def _missing_official() -> Optional[str]:
    header = os.path.join(official(), "paddle", "include", "paddle_inference_api.h")
    if not os.path.exists(header):
        return f"PADDLE_INFERENCE_DIR is not an inference library: {header} is missing"
    commit = ""
    try:
        with open(os.path.join(official(), "version.txt")) as file:
            commit = next((line.split()[-1] for line in file if line.startswith("GIT COMMIT ID")), "")
    except OSError:
        pass  # an older library reports no commit; a comparison of its outputs then decides
    own = str(getattr(paddle.version, "commit", ""))
    if commit and own and not (commit.startswith(own) or own.startswith(commit)):
        return (
            f"PADDLE_INFERENCE_DIR holds another build (commit {commit}) than Paddle {paddle.__version__} "
            f"here ({own}): name the library of this release"
        )
    return None


def _libpython() -> Optional[str]:
    """Return the path of this interpreter's shared library, or None."""
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
    """Return the compiler's arguments.

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
    return [str(compiling.compiler()), "-std=c++17", "-O2", source, "-o", output, *flags]


@functools.cache
def build() -> str:
    """Compile the program unless that was done before; return its path.

    Raises:
        RuntimeError: the compiler failed (with its last messages), or the folder cannot be written.
    """
    return compiling.build(
        f"predictor-{paddle.__version__}",
        f"the C++ predictor for Paddle {paddle.__version__}",
        command,
        [os.path.join(FOLDER, name) for name in SOURCES],
        str(getattr(paddle.version, "commit", "")),
    )


def run(arguments: List[str]) -> Dict[str, Any]:
    """Run it as a user does; return the exit status (negative for a signal) and the text of both streams."""
    done = subprocess.run([build(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return {"status": done.returncode, "out": done.stdout, "err": done.stderr}
