"""Values that options choose from, shared by the command line and other folders; quick to import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
import platformdirs
import psutil

GIB = 2**30
Tier = Literal["gate", "quick", "full"]
"""How much to run: a gate leaves out what only widens what is shown, as most latencies."""
Profile = Literal["default", "legacy-ir"]
Backend = Literal["local", "ray"]
"""Where jobs run: on this machine, or on a Ray cluster."""
AT_ONCE = 2
"""Jobs at the same time on this machine: one run of the suites keeps about one core busy."""
Kind = Literal["models", "recipes", "methods", "runtimes", "targets", "claims", "checks"]
"""What can be listed."""
LEGACY_IR = {"FLAGS_enable_pir_api": "0"}
"""Environment variables with which a worker uses Paddle 3.x without its new intermediate representation."""


class Limits(msgspec.Struct, frozen=True):
    """Limits of one user model: seconds for its first run, and GiB of memory."""

    seconds: float = 60.0
    gib: float = round(0.6 * psutil.virtual_memory().total / GIB, 1)


def default_store() -> str:
    """Return ``$HARNESS_STORE``, or ``store`` in the user's cache folder."""
    return os.environ.get("HARNESS_STORE") or str(
        Path(platformdirs.user_cache_dir("paddle-conformance")) / "store"
    )
