"""Where things are: this package, the project it is used in, and the folders that runs write."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

from harness.core.errors import HarnessError

ROOT = Path(__file__).resolve().parents[2]
"""The folder that this package is imported from, with the reference models beside it."""
TABLES = ROOT / "harness"
"""Where the TOML tables lie: claims, releases, targets, engines."""
RUNS = "reports"
"""Folder of a project that runs are written to."""


def project_root(start: Path | None = None) -> Path:
    """The folder with ``suites/``: here or above, else the checkout the harness is imported from.

    Raises:
        HarnessError: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, ROOT):
        if (folder / "suites").is_dir():
            return folder
    raise HarnessError(f"no suites/ folder in {here} or above it: run this in the project's folder")


def new_folder(root: Path, *parts: str) -> Path:
    """A name for a new folder below ``reports/``."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return root.joinpath(RUNS, *parts, f"{stamp}-{os.getpid()}")


def slug(name: str) -> str:
    """A name as a part of a folder's."""
    return re.sub(r"[^\w.@-]+", "-", name)
