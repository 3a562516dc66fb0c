"""The environment's versions, devices and processor; read, never assumed."""

from __future__ import annotations

# Before paddle: see digits.py about Paddle 2.6.2 and zlib.
import gzip  # noqa: F401
import os
import platform
import sys
import zlib  # noqa: F401
from importlib import metadata
from typing import Any, Dict

import harness.worker as worker
from harness.worker.protocol.stated import stated

PACKAGES = (
    "paddlepaddle", "paddlepaddle-gpu", "paddleslim", "paddle2onnx", "onnx", "paddlelite", "numpy",
    "protobuf", "opencv-python", "setuptools",
)  # fmt: skip
"""What recipes need and Paddle is fitted to; what runtimes need they state themselves."""


def import_paddle() -> str:
    """Import Paddle and return its version: the slow part of a worker's start."""
    import paddle

    return str(paddle.__version__)


def describe() -> Dict[str, Any]:
    """Return Paddle's version, commit and build, interpreter, packages, processor and load."""
    import numpy
    import paddle

    pir = (
        bool(paddle.get_flags(["FLAGS_enable_pir_api"])["FLAGS_enable_pir_api"])
        if _has_pir(paddle)
        else False
    )
    cuda = bool(paddle.is_compiled_with_cuda())
    return {
        "paddle": {
            "version": str(paddle.__version__),
            "commit": str(getattr(paddle.version, "commit", "")),
            "pir": pir,
            "cuda": cuda,
            "devices": paddle.device.cuda.device_count() if cuda else 0,
            "custom_devices": list(paddle.device.get_all_custom_device_type() or []),
        },
        "host": platform.node(),
        "gpus": [
            paddle.device.cuda.get_device_name(number)
            for number in range(paddle.device.cuda.device_count() if cuda else 0)
        ],
        "profile": "pir" if pir else "legacy-ir",
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "numpy": numpy.__version__,
        "packages": packages(),
        "installed": installed(),
        "cpu": cpu(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)),
        "platform": platform.platform(),
    }


def _has_pir(paddle: Any) -> bool:
    try:
        paddle.get_flags(["FLAGS_enable_pir_api"])
    except ValueError:
        return False
    # 2.6 knows the flag's name but has no jit.save for the new IR.
    return int(paddle.__version__.split(".")[0] or 0) >= 3


def packages() -> Dict[str, str]:
    """Installed versions of the packages that matter to recipes and runtimes."""
    folders = [os.path.join(folder, "runtimes") for folder in worker.__path__]
    needed = [name for stated_by in stated(folders, "PACKAGES").values() for name in stated_by]
    found = {}
    for name in dict.fromkeys([*PACKAGES, *needed]):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def installed() -> Dict[str, str]:
    """Return every installed distribution and its version; a gate looks there for unintended differences."""
    found = {
        (dist.metadata["Name"] or "?").lower().replace("_", "-"): dist.version
        for dist in metadata.distributions()
    }
    return dict(sorted(found.items()))


def cpu() -> Dict[str, Any]:
    """Return the model, flags that change kernels, usable cores, governor, load, and memory in GiB."""
    info = _cpuinfo()
    governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    return {
        "model": info.get("model name", platform.processor()),
        "flags": sorted(
            flag
            for flag in info.get("flags", "").split()
            if flag.startswith(("avx", "amx", "sse4", "fma", "vnni"))
        ),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": _read(governor) or "not readable",
        "load1": os.getloadavg()[0],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def _cpuinfo() -> Dict[str, str]:
    pairs = (
        line.split(":", 1) for line in _read("/proc/cpuinfo").split("\n\n")[0].splitlines() if ":" in line
    )
    return {key.strip(): value.strip() for key, value in pairs}


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
