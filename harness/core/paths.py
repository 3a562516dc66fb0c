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
"""The folder of the TOML tables: claims, releases, targets, engines."""
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
        HarnessError: none of them does: the package was installed without its suites.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if is_checkout(folder):
            return folder
    if not (ROOT / "suites").is_dir():
        raise HarnessError(f"{ROOT} has no suites/ folder: install the harness again")
    return ROOT


def names_tests(argument: str, folder: Path) -> bool:
    """Whether an argument for pytest names tests: a path of ``folder``, with or without ``::test``.

    What does not exist there is the value of an option, such as an expression behind ``-k``.
    """
    path = argument.partition("::")[0]
    return bool(path) and not path.startswith("-") and (folder / path).exists()


def reports(root: Path) -> Path:
    """Return the folder for runs of the project in ``root``; ``./reports`` for the installed suites."""
    return (Path.cwd() if INSTALLED and root == ROOT else root) / RUNS


def new_folder(root: Path, *parts: str) -> Path:
    """Return the path of a new folder below ``reports/``, named by time and process id; create nothing."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return reports(root).joinpath(*parts, f"{stamp}-{os.getpid()}")


def slug(name: str) -> str:
    """Replace what a folder's name should not contain by ``-``."""
    return re.sub(r"[^\w.@-]+", "-", name)
