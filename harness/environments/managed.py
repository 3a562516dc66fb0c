"""Managed environments: each is a folder that appears whole, is reused while intact, and made anew if not.

One lock a folder keeps two processes from making it twice. Reading writes nothing that has to be written,
so that a folder made once can be used from a disk that cannot be written. Each use sets the modification
time of ``environment.json``, which is what `harness prune` goes by.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec
from filelock import FileLock

from harness.core.clock import now
from harness.core.disk import Kept, hold, size, unheld
from harness.core.errors import HarnessError
from harness.environments import index, installed, uv
from harness.environments.manifest import MANIFEST, Manifest, entries, read, site_packages
from harness.environments.plan import Plan
from harness.environments.probe import NoAnswer
from harness.environments.probe import ask as ask_python

PART, GONE = ".part-", ".gone-"
COMPILED = ("paddle", "numpy", "paddleslim", "paddlelite")
"""Packages compiled to bytecode at once: a worker that may not write bytecode would otherwise start three
times as slowly. Other modules that `import paddle` loads are compiled by the check that imports it."""

Say = Callable[[str], None]


class Made(msgspec.Struct, frozen=True):
    """One environment, found or made."""

    path: Path
    new: bool = False
    seconds: float = 0.0
    note: str = ""

    @property
    def python(self) -> str:
        return str(self.path / "bin" / "python")


def fault(path: Path, deep: bool = False) -> str:
    """Return what is wrong with the environment in ``path``, or ''.

    Checks the manifest, the interpreter, the packages and the size of each of their files,
    which takes a fraction of a second. ``deep`` also checks every file's hash and imports Paddle.
    """
    manifest = read(path)
    if manifest is None:
        return f"{MANIFEST} is missing or damaged"
    python = path / "bin" / "python"
    if not os.access(python, os.X_OK):
        return f"its interpreter {os.path.realpath(python)} is gone"
    wrong = installed.fault(site_packages(path, manifest.recipe.minor), manifest.packages, deep)
    return wrong or (import_fault(str(python), manifest.recipe.imports) if deep else "")


def import_fault(python: str, module: str = "paddle") -> str:
    """Return why Paddle, or an engine's module, cannot be imported in an interpreter, or ''."""
    if module != "paddle":
        done = subprocess.run(
            [python, "-c", f"import {module}"],
            env=uv.environment(), capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return f"{module} does not import: {last}" if done.returncode else ""
    try:
        facts = ask_python(python, env=uv.environment())
    except NoAnswer as none:
        return none.found
    if "paddle_error" in facts:
        return f"paddle does not import: {facts['paddle_error'].strip().splitlines()[-1]}"
    return "" if "paddle" in facts else "paddle is not installed"


def get_or_make(root: Path, plan: Plan, check: bool = False, say: Say | None = None) -> Made:
    """Return the environment of this plan: the one in ``root`` if it is intact, else a new one.

    Args:
        check: check an existing one thoroughly.
        say: called with a line before one is made.

    Raises:
        HarnessError: it cannot be made: no network and nothing cached, a full disk, an unwritable
            folder, or Paddle does not import in it. Nothing half-made remains.
    """
    use(root / plan.recipe.folder)  # before it is looked at: what is sound then cannot be removed any more
    made = _get_or_make(root, plan, check, say)
    use(made.path)
    return made


_IN_USE: dict[Path, IO[bytes]] = {}


def use(path: Path) -> None:
    """Mark an environment as used now, and as in use until this process ends; nothing if it is not ours."""
    if read(path) is None:
        return
    with contextlib.suppress(OSError):
        _IN_USE[path] = hold(path / MANIFEST)
        os.utime(path / MANIFEST)  # not on a disk that cannot be written, from which nothing is removed


def _get_or_make(root: Path, plan: Plan, check: bool, say: Say | None) -> Made:
    path = root / plan.recipe.folder
    wrong = _wrong(path, check)
    if wrong is None:
        return Made(path)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _lock(root, path.name):
            # Another process may have made it while this one waited.
            wrong = _wrong(path, check)
            if wrong is None:
                return Made(path)
            if say is not None:
                say(f"making {plan.recipe.label}" + (f" anew: {wrong}" if wrong else ""))
            return _make(path, plan, wrong)
    except OSError as error:
        raise HarnessError(
            f"the environments folder {root} cannot be written ({error.strerror}): name another with "
            "--folder or HARNESS_ENVIRONMENTS, or free some space"
        ) from error
    except HarnessError as error:
        if not wrong:
            raise
        raise HarnessError(f"{path} is broken ({wrong}) and cannot be made anew: {error}") from error


def _wrong(path: Path, check: bool) -> str | None:
    """Why the environment has to be made: '' where there is none, its fault; None if it is sound."""
    return (fault(path, check) or None) if path.exists() or path.is_symlink() else ""


def _lock(root: Path, folder: str, timeout: float = -1) -> FileLock:
    return FileLock(str(root / f".{folder}.lock"), timeout=timeout)


def _make(path: Path, plan: Plan, wrong: str) -> Made:
    started = time.monotonic()
    for left in path.parent.glob(f"{PART}{path.name}-*"):  # of a killed process: we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f"{PART}{path.name}-", dir=path.parent))
    try:
        offline = _fill(part, plan)
        site = site_packages(part, plan.recipe.minor)
        packages = installed.packages(site)
        # Files are shared with uv's cache where the disk allows it: the cache may be damaged as well.
        bad = installed.fault(site, packages, deep=True) if wrong else ""
        if bad:
            raise HarnessError(f"uv's cache is damaged ({bad}): empty it with `uv cache clean` and try again")
        manifest = Manifest(
            recipe=plan.recipe,
            packages=packages,
            size=size(part, set()),
            made=now(),
            seconds=round(time.monotonic() - started, 1),
        )
        (part / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
        if path.exists() or path.is_symlink():
            _discard(path)
        os.rename(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    notes = [f"was broken ({wrong}) and made anew"] if wrong else []
    notes += ["made from what uv had cached: the package index cannot be reached"] if offline else []
    return Made(path, True, time.monotonic() - started, "; ".join(notes))


def _fill(part: Path, plan: Plan) -> bool:
    """Install everything into the folder; return whether the index was out of reach."""
    recipe = plan.recipe
    what = f"{recipe.label} for Python {recipe.minor}"
    options = ("--no-project", "--prompt", recipe.label, "--python", plan.base.path)
    # uv makes a script relocatable by code before its first line. A script that begins with a
    # `__future__` import, as Paddle Lite's `paddle_lite_opt` does, is then not valid Python any more.
    movable = () if recipe.kind == "engine" else ("--relocatable",)
    uv.run("venv", *movable, *options, str(part), cwd=part, what=what)
    python = str(part / "bin" / "python")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "pyproject.toml"
        project.write_text(index.project_text(recipe.requirements, recipe.package, plan.url))
        answer = uv.run(
            "pip", "install", "--python", python, "--only-binary", ":all:", "-r", str(project),
            cwd=part, what=what,
        )  # fmt: skip
    site = site_packages(part, recipe.minor)
    folders = [str(site / name) for name in COMPILED if (site / name).is_dir()]
    # A file that does not compile is no fault: packages contain templates and other Pythons' syntax.
    subprocess.run(
        [python, "-m", "compileall", "-q", "-j", "2", *folders],
        env=uv.environment(), capture_output=True, check=False,
    )  # fmt: skip
    wrong = import_fault(python, recipe.imports)
    if wrong:
        raise HarnessError(f"{what} was installed, but {wrong}: it cannot be used on this machine")
    return answer.offline


def remove(path: Path) -> None:
    """Remove one environment, which must be one of :func:`~harness.environments.manifest.entries`.

    Raises:
        HarnessError: it cannot be removed.
    """
    try:
        with _lock(path.parent, path.name):
            _discard(path)
    except OSError as error:
        raise HarnessError(f"{path} cannot be removed ({error.strerror}): remove it by hand") from error


def sweep(root: Path) -> None:
    """Remove what killed processes left half-made or half-removed, where no other is at work on it."""
    for left in _leftovers(root):
        _clear(left)


def _leftovers(root: Path) -> list[Path]:
    return sorted(path for start in (PART, GONE) for path in root.glob(f"{start}paddle-*"))


def _clear(left: Path) -> bool:
    folder = left.name.removeprefix(PART).removeprefix(GONE).rpartition("-")[0]
    try:
        with _lock(left.parent, folder, timeout=0):
            shutil.rmtree(left, ignore_errors=True)
    except OSError:  # filelock's Timeout is one: it is being made right now
        return False
    return True


def kept(root: Path) -> list[Kept]:
    """The environments in ``root``, and what killed processes left.

    An environment's size is what its manifest states: looking at 20,000 files each takes too long. So files
    that are shared with other environments and with uv's cache count in full. What does not say that this
    harness made it is left out.
    """
    found = []
    for path, manifest in entries(root):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            if manifest is not None and not path.is_symlink():
                used = (path / MANIFEST).stat().st_mtime
                found.append(Kept(path, "environment", manifest.size, used))
    return found + [Kept(left, "leftover", size(left, set()), 0) for left in _leftovers(root)]


def remove_unused(one: Kept) -> bool:
    """Remove one of :func:`kept`; False if a session uses it, has used it meanwhile, or is making it.

    Raises:
        HarnessError: it cannot be removed.
    """
    if one.kind == "leftover":
        return _clear(one.path)
    manifest = one.path / MANIFEST
    try:
        with unheld(manifest) as free:
            if not free or manifest.stat().st_mtime != one.used:
                return False
            remove(one.path)
    except FileNotFoundError:
        return False
    return True


def _discard(path: Path) -> None:
    """Rename the folder out of sight, then delete it; a link is removed, never followed."""
    if path.is_symlink():
        path.unlink()
        return
    gone = path.parent / f"{GONE}{path.name}-{os.getpid()}"
    os.rename(path, gone)
    shutil.rmtree(gone)
