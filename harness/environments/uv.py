"""Running uv as a child process, and turning its failures into sentences for the user."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import uv
from packaging.specifiers import SpecifierSet

from harness.core.errors import HarnessError
from harness.environments import pip_configuration
from harness.environments.credentials import without_passwords

LEFT_OUT = (
    "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "UV_PYTHON",
    "UV_SYSTEM_PYTHON", "UV_MANAGED_PYTHON", "UV_PROJECT_ENVIRONMENT",
)  # fmt: skip
"""Variables of the caller that would name another environment than the one being made."""
UNREACHABLE = re.compile(
    r"error sending request|Failed to fetch|Failed to download|Request failed|network (was|is) disabled"
    r"|Network connectivity is disabled|not found in the cache|dns error",
    re.IGNORECASE,
)
MISSING_PACKAGE = re.compile(
    r"^Because (.+?) and environment depends on \S+, we can conclude that your requirements are unsatisfiable"
)
"""uv's report of one missing package; the rest of its sentence only explains its reasoning."""
CONNECT = "connect, or name an index in reach in pip's configuration or in UV_DEFAULT_INDEX, which goes first"
TRUST = "name the index's authority in pip's configuration (`cert`) or in SSL_CERT_FILE, which goes first"
"""What to do about an index that is out of reach."""
INDEX_REFUSED = re.compile(r"An index URL \S+ could not be queried[^\n]*")
WITHOUT_CAUSE = ("Using Python", "hint:", "help:", "warning:", "For more information, try")
"""Prefixes of uv's lines that give no cause."""
FULL = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)
REFUSED = re.compile(r"Permission denied|Read-only file system|Operation not permitted", re.IGNORECASE)


class Unreachable(HarnessError):
    """The packages are not cached and cannot be fetched."""


class NoInterpreter(HarnessError):
    """No interpreter here has a wanted version."""


class Interpreter(NamedTuple):
    path: str
    version: str


class Answer(NamedTuple):
    text: str
    offline: bool
    """The index could not be reached; what uv had cached was enough."""


def environment() -> dict[str, str]:
    """Return the caller's variables, without those that would mislead uv or the interpreter it makes.

    uv must not wrap its lines either: a long path would split the words that identify a cause.
    """
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    settings = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "UV_NO_WRAP": "1", "NO_COLOR": "1"}
    return {**kept, **settings}


@functools.cache
def binary() -> str:
    """Return the path of the uv that comes with its Python package.

    Raises:
        HarnessError: it is not there.
    """
    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise HarnessError("uv's program is missing: install the package uv again") from error


def ask(
    *arguments: str, cwd: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run uv to its end, whatever its exit status; passwords are removed from its output.

    Args:
        cwd: a folder without a project's configuration, which uv would read.
        variables: uv's environment (default: :func:`environment`, which is enough without an index).
    """
    given = environment() if variables is None else variables
    done = subprocess.run(
        [binary(), *arguments], cwd=cwd, env=given, capture_output=True, text=True, check=False
    )
    done.stdout, done.stderr = (without_passwords(text, given) for text in (done.stdout, done.stderr))
    return done


def run(*arguments: str, cwd: Path, what: str) -> Answer:
    """Run uv with pip's sources; if the package index cannot be reached, run it again from its cache alone.

    Args:
        what: what is being installed, for the error message: ``3.2.2 for Python 3.11``.

    Raises:
        Unreachable: the index cannot be reached, and the cache does not have it.
        HarnessError: no such version, a full disk, an unwritable folder (in uv's words), or pip's
            configuration is broken.
    """
    variables = pip_configuration.handed_on(environment())
    done = ask(*arguments, cwd=cwd, variables=variables)
    if done.returncode == 0:
        return Answer(done.stdout, offline=False)
    if _of_the_disk(done) or not UNREACHABLE.search(done.stderr):
        raise HarnessError(_sentence(done, what))
    again = ask(*arguments, "--offline", cwd=cwd, variables=variables)
    if again.returncode == 0:
        return Answer(again.stdout, offline=True)
    if _of_the_disk(again):
        raise HarnessError(_sentence(again, what))
    why = _unreachable(done)
    todo = TRUST if "certificate" in why else CONNECT
    raise Unreachable(
        f"cannot reach the package index: {why}; {what} needs more than uv has cached, so {todo}"
    )


def _of_the_disk(done: subprocess.CompletedProcess[str]) -> bool:
    return bool(FULL.search(done.stderr) or REFUSED.search(done.stderr))


def _unreachable(done: subprocess.CompletedProcess[str]) -> str:
    causes = _causes(done.stderr)
    fetch = [cause for cause in causes if cause.startswith(("Failed to fetch", "Failed to download"))]
    return f"{fetch[0]} ({causes[-1]})" if fetch else "the network is disabled"


def _causes(stderr: str) -> list[str]:
    """Return the lines of uv's error from the general to the particular, without its arrows."""
    lines = [line.strip(" \t│╰─▶×▲├") for line in stderr.splitlines()]
    kept = [line for line in lines if line and not line.startswith(WITHOUT_CAUSE)]
    stripped = [re.sub(r"^(error|cause|Caused by): ?", "", line) for line in kept]
    return [line for line in stripped if line] or ["uv said nothing"]


def _sentence(done: subprocess.CompletedProcess[str], what: str) -> str:
    causes = _causes(done.stderr)
    if done.returncode < 0:
        return f"{what} was interrupted: nothing is left of it"
    if FULL.search(done.stderr):
        return (
            f"{what} does not fit on the disk ({causes[-1]}): free some space, or name another folder with "
            "HARNESS_ENVIRONMENTS (and UV_CACHE_DIR for uv's cache)"
        )
    if REFUSED.search(done.stderr):
        return (
            f"{what} cannot be written ({causes[-1]}): name a writable folder with HARNESS_ENVIRONMENTS (and "
            "UV_CACHE_DIR for uv's cache)"
        )
    why = MISSING_PACKAGE.sub(r"\1", " ".join(causes[1:] or causes))
    refused = INDEX_REFUSED.search(done.stderr)
    if refused:  # uv reports the packages of such an index as not found
        why = f"{why.rstrip('.')}, and {refused[0][0].lower()}{refused[0][1:]}"
    return f"{what} cannot be installed: {why.rstrip('.')}"


def find_python(wanted: str, cwd: Path) -> Interpreter:
    """Return the running interpreter if ``wanted`` (a specifier) allows it, else the newest uv finds.

    Raises:
        NoInterpreter: there is none; uv is not asked to download one.
    """
    allowed = SpecifierSet(wanted)
    running = platform.python_version()
    if allowed.contains(running, prereleases=True) and sys.implementation.name == "cpython":
        return Interpreter(sys.executable, running)
    found = _newest(allowed, cwd)
    if found is None:
        names = ", ".join(f"python{minor}" for minor in _minors(allowed)) or "an interpreter"
        raise NoInterpreter(
            f"Python {wanted} is needed and this one is {running}: put one of {names} on PATH and try again"
        )
    return found


def _minors(allowed: SpecifierSet) -> list[str]:
    names = (f"3.{minor}" for minor in range(20, 6, -1))
    return [name for name in names if allows(allowed, name)]


def allows(allowed: SpecifierSet, minor: str) -> bool:
    """Whether a version of Python, such as 3.11, has a patch release that is allowed."""
    return any(allowed.contains(f"{minor}.{patch}") for patch in range(40))


def _newest(allowed: SpecifierSet, cwd: Path) -> Interpreter | None:
    # One by one: uv gives up at the first name on PATH that is there and does not start.
    for minor in _minors(allowed):
        found = ask("python", "find", "--no-project", f"cpython@{minor}", cwd=cwd)
        path = found.stdout.strip() if found.returncode == 0 else _newest_of_pyenv(minor)
        if path:
            shown = ask("python", "find", "--no-project", "--show-version", path, cwd=cwd)
            version = shown.stdout.strip()
            if shown.returncode == 0 and allowed.contains(version):
                return Interpreter(path, version)
    return None


def _newest_of_pyenv(minor: str) -> str:
    """Return pyenv's newest interpreter of this version, or ''; its commands on PATH start the chosen one."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    kept = sorted((root / "versions").glob(f"{minor}.*/bin/python{minor}"), key=lambda path: path.parts)
    return str(kept[-1]) if kept else ""
