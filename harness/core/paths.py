"""Where things are: this package, the project it is used in, and the folders that runs write."""

from __future__ import annotations

import os
import re
import tomllib
from datetime import datetime
from pathlib import Path

from harness.core.errors import HarnessError

ROOT = Path(__file__).resolve().parents[2]
"""The folder that this package is imported from, with the suites and the reference models beside it: a
checkout, or where an installed package lies."""
TABLES = ROOT / "harness"
"""Where the TOML tables lie: claims, releases, targets, engines."""
RUNS = "reports"
PROJECT = "paddle-conformance"


def is_checkout(folder: Path) -> bool:
    """Whether the folder is this project: it has the suites, and a ``pyproject.toml`` of its name.

    A folder ``suites/`` alone may be anybody's.
    """
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("project", {})
        return project.get("name") == PROJECT and (folder / "suites" / "known_failures.toml").is_file()
    except (OSError, ValueError, AttributeError):  # no such file, no TOML, or no table of that name
        return False


INSTALLED = not is_checkout(ROOT)


def project_root(start: Path | None = None) -> Path:
    """The folder with the suites: the checkout that is here or above, else where the harness is installed.

    Raises:
        HarnessError: the package was installed without its suites.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if is_checkout(folder):
            return folder
    if not (ROOT / "suites").is_dir():
        raise HarnessError(f"{ROOT} has no suites/ folder: install the harness again")
    return ROOT


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
