"""Find what will not work in an environment, and what to install: the rows of `harness doctor`.

:mod:`harness.environments.probe` collects facts about the interpreter under test; here they are judged,
together with facts about the machine.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from packaging.version import InvalidVersion, Version

from harness.artifacts import pruning
from harness.artifacts.store import Store
from harness.core.disk import DAY_S, Kept, shown
from harness.core.errors import HarnessError
from harness.environments import default_folder, managed
from harness.environments.probe import SLIM_NEEDS, Facts, NoAnswer, ask
from harness.environments.runtimes import packages

Status = Literal["ok", "warn", "missing"]

OLDEST, NEWEST = (3, 9), (3, 13)
SLOW_IMPORT_S = 4.0
"""Seconds above which an import is slow: Paddle takes 1.8 s when byte-compiled, else about 5 s."""
LEAST_FREE_GIB = 2.0
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Row(msgspec.Struct, frozen=True):
    """One thing checked. If a required one is missing, the main job cannot run."""

    what: str
    status: Status
    found: str
    do: str = ""
    required: bool = False


def _good_if(
    ok: bool, what: str, found: str, do: str, otherwise: Status = "warn", required: bool = False
) -> Row:
    """A row that says what to do unless all is well."""
    return Row(what, "ok" if ok else otherwise, found, "" if ok else do, required)


def examine(python: str, store: Path) -> list[Row]:
    """Return the rows of the table for this interpreter and this store."""
    facts, row = probe(python)
    here = [
        _tool("g++", ("g++",), "install g++ (apt-get install g++) for the C++ predictor"),
        _tool("chromium", CHROMIUM, "install chromium to check the page in a browser; reports need none"),
        *_store(store),
        _environments(default_folder()),
        *_machine(),
    ]
    if facts is None:
        return [row, *here]
    packages = (_python, _paddle, _bytecode, _numpy, _setuptools, _paddleslim, _paddle2onnx, _of_runtimes)
    return [row, *(found for look in packages for found in look(facts)), *here, *_gpu(facts)]


def can_run(rows: list[Row]) -> bool:
    """Whether `harness run` has everything that it requires."""
    return not any(row.required and row.status == "missing" for row in rows)


def probe(python: str) -> tuple[Facts | None, Row]:
    """Return the interpreter's facts (None if it cannot be run), and its row."""
    try:
        facts = ask(python)
    except NoAnswer as none:
        return None, Row("interpreter", "missing", none.found, none.do, required=True)
    return facts, Row("interpreter", "ok", str(facts["executable"]), required=True)


def _python(facts: Facts) -> Iterator[Row]:
    version = tuple(facts["version"])
    good = OLDEST <= version[:2] <= NEWEST
    do = f"use Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    yield _good_if(good, "Python", ".".join(map(str, version)), do, "missing", required=True)


def _paddle(facts: Facts) -> Iterator[Row]:
    if "paddle" in facts:
        build = "CUDA build" if facts["cuda"] else "CPU build"
        yield Row("Paddle", "ok", f"{facts['paddle']} ({build})", required=True)
        return
    if "paddle_error" in facts:
        error = facts["paddle_error"].strip().splitlines()
        do = "install it again, and see `import paddle` in that interpreter"
        if "setuptools" not in facts["packages"]:
            do = "install setuptools>=68,<81: Paddle 3.x needs it to import and a uv environment has none"
        yield Row("Paddle", "missing", f"does not import: {error[-1]}", do, required=True)
        return
    do = "install paddlepaddle or paddlepaddle-gpu, or let `harness run --paddle RELEASE` do so"
    yield Row("Paddle", "missing", "not installed", do, required=True)


def _bytecode(facts: Facts) -> Iterator[Row]:
    if "paddle" not in facts:
        return
    seconds = float(facts["import_s"])
    found = f"{seconds:.1f} s to import"
    if not facts["bytecode"]:
        do = f"run `{facts['executable']} -m compileall -q` on its site-packages folder"
        do += " and unset PYTHONDONTWRITEBYTECODE" * bool(facts["no_bytecode"])
        do, found = f"{do}: every worker pays it", f"{found}, not byte-compiled"
    else:
        do = "close other programs, or use a faster disk"
    fast = facts["bytecode"] and seconds <= SLOW_IMPORT_S
    yield _good_if(fast, "Paddle's import time", found, do)


def _version(text: str | None) -> Version | None:
    try:
        return Version(text or "")
    except InvalidVersion:
        return None  # a build from the develop branch says 0.0.0 or a commit


def _with_paddle(facts: Facts, name: str) -> tuple[Version | None, Version | None]:
    """Versions of a package and of Paddle; None where it is missing, or has none."""
    return _version(facts["packages"].get(name)), _version(facts.get("paddle"))


def _numpy(facts: Facts) -> Iterator[Row]:
    numpy, paddle = _with_paddle(facts, "numpy")
    if numpy is None:
        yield Row("NumPy", "missing", "not installed", 'install "numpy>=1.26,<2"', required=True)
        return
    old = paddle is not None and paddle.major == 2
    slim = "paddleslim" in facts["packages"]
    if numpy.major >= 2 and old:
        found = f"{numpy}, which Paddle {paddle} does not work with"
        yield Row("NumPy", "missing", found, 'install "numpy<2"', required=True)
    elif numpy.major >= 2 and slim:
        found = f"{numpy}, with which several flows of PaddleSlim fail"
        yield Row("NumPy", "warn", found, 'install "numpy<2"', required=True)
    else:
        yield Row("NumPy", "ok", str(numpy), required=True)


def _setuptools(facts: Facts) -> Iterator[Row]:
    version, paddle = _with_paddle(facts, "setuptools")
    do = 'install "setuptools>=68,<81"'
    if version is None:
        new = paddle is not None and paddle.major >= 3
        yield Row("setuptools", "missing", "not installed", f"{do}: Paddle 3.x imports it", required=new)
    else:
        there = bool(facts["modules"].get("pkg_resources"))
        found = str(version) if there else f"{version}, without pkg_resources (gone since 82)"
        yield _good_if(there, "setuptools", found, f"{do} for PaddleSlim")


def _paddleslim(facts: Facts) -> Iterator[Row]:
    version = facts["packages"].get("paddleslim")
    if version is None:
        yield Row(
            "PaddleSlim", "missing", "not installed", "install paddleslim==2.6.0 for the quantization flows"
        )
        return
    lacking = [name for name in SLIM_NEEDS if not facts["modules"].get(name)]
    without = f", without {', '.join(lacking)}, which it imports but does not declare" if lacking else ""
    yield _good_if(not lacking, "PaddleSlim", version + without, f"install {' '.join(lacking)}")


def _paddle2onnx(facts: Facts) -> Iterator[Row]:
    version, paddle = _with_paddle(facts, "paddle2onnx")
    old = paddle is not None and paddle.major == 2
    fitting = "paddle2onnx==1.3.1" if old else "paddle2onnx==2.1.0"
    if version is None:
        yield Row("paddle2onnx", "missing", "not installed", f"install {fitting} for ONNX exports")
    elif paddle is not None and paddle.major in (2, 3) and version.major != (1 if old else 2):
        found = f"{version}, which does not go with Paddle {paddle}"
        yield Row("paddle2onnx", "warn", found, f"install {fitting}")
    else:
        yield Row("paddle2onnx", "ok", str(version))


def _of_runtimes(facts: Facts) -> Iterator[Row]:
    """A row for each package that a runtime states it needs."""
    for package in packages():
        version = facts["packages"].get(package.name)
        do = f"install {package.name}{package.version} {package.purpose}"
        yield _good_if(bool(version), package.name, version or "not installed", do, "missing")


def _gpu(facts: Facts) -> Iterator[Row]:
    if facts.get("cuda"):
        count = int(facts.get("gpus", 0))
        yield _good_if(count > 0, "GPU", f"{count} visible to Paddle", "check the driver with nvidia-smi")
    elif shutil.which("nvidia-smi"):
        found = "present, but this Paddle is a CPU build"
        yield Row("GPU", "warn", found, "install paddlepaddle-gpu to use it")
    else:
        yield Row("GPU", "ok", "none; targets that need one are reported as not run")


def _tool(what: str, names: tuple[str, ...], do: str) -> Row:
    path = next(filter(None, map(shutil.which, names)), None)
    return _good_if(bool(path), what, path or "not on PATH", do, "missing")


def _store(folder: Path) -> Iterator[Row]:
    try:
        Store(folder)
        free = shutil.disk_usage(folder).free / 2**30
    except (HarnessError, OSError) as error:
        do = "name a writable folder with HARNESS_STORE or --store"
        yield Row("store", "missing", str(error).split(": name")[0], do, required=True)
        return
    try:
        held = _held(pruning.kept(folder), "artifact")
    except HarnessError:
        held = "no store yet, and other files in it"
    found = f"{folder}, {free:.0f} GiB free; {held}"
    do = f"free some space (`harness prune`): a full run keeps about {LEAST_FREE_GIB:g} GiB"
    yield _good_if(free >= LEAST_FREE_GIB, "store", found, do, required=True)


def _environments(folder: Path) -> Row:
    kept = managed.kept(folder)
    shared = " (shared files count each time)" if kept else ""
    return Row("environments", "ok", f"{folder}; {_held(kept, 'environment')}{shared}")


def _held(kept: list[Kept], kind: str) -> str:
    """How much there is: ``3 artifacts, 1.2 GiB, the longest unused for 12 days``."""
    used = [item.used for item in kept if item.kind == kind]
    if not used:
        return f"no {kind}s"
    taken = shown(sum(item.size for item in kept))
    days = (time.time() - min(used)) / DAY_S
    return f"{len(used)} {kind}{'s' * (len(used) > 1)}, {taken}, the longest unused for {days:.0f} days"


def _machine() -> Iterator[Row]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    idle = load <= cores * 0.75
    do = "wait until it is idle before timing anything"
    yield _good_if(idle, "cores", f"{cores}, load {load:.1f}", do)
    flags = _cpu_flags()
    for what, flag, do in (
        ("AVX-512", "avx512f", "nothing to install: the bfloat16 target is reported as not run"),
        ("bfloat16", "avx512_bf16", "nothing to install: bfloat16 is emulated, and slow, on this processor"),
    ):
        has = flag in flags
        yield _good_if(has, what, "yes" if has else "this processor has none", do)


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line.split(":", 1)[1] for line in lines if line.startswith("flags")), "").split())
