"""Where things are: this package, the project it is used in, and the folders that runs write."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

from harness.core.errors import HarnessError

ROOT = Path(__file__).resolve().parents[2]
"""The folder that this package is imported from, with the suites and the reference models beside it: a
checkout, or where an installed package lies."""
INSTALLED = not (ROOT / "pyproject.toml").is_file()
TABLES = ROOT / "harness"
"""Where the TOML tables lie: claims, releases, targets, engines."""
RUNS = "reports"


def project_root(start: Path | None = None) -> Path:
    """The folder with ``suites/``: a project here or above, else that of the harness's own suites.

    Raises:
        HarnessError: the package was installed without its suites.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, ROOT):
        if (folder / "suites").is_dir():
            return folder
    raise HarnessError(f"no suites/ folder in {here}, above it, or in {ROOT}: install the harness again")


def reports(root: Path) -> Path:
    """The folder that runs of a project's suites are written to; ``./reports`` for the installed suites."""
    return (Path.cwd() if INSTALLED and root == ROOT else root) / RUNS


def new_folder(root: Path, *parts: str) -> Path:
    """A name for a new folder below ``reports/``."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return reports(root).joinpath(*parts, f"{stamp}-{os.getpid()}")


def slug(name: str) -> str:
    """A name as a part of a folder's."""
    return re.sub(r"[^\w.@-]+", "-", name)
