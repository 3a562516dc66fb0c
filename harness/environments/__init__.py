"""Environments with Paddle: named by a text, made with uv where they are missing.

``parse`` returns what a text names, ``resolve`` makes what is missing. Managed environments are in
one folder (:func:`default_folder`), each with the packages that ``releases.toml`` states.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from harness.core.choices import Profile
from harness.core.errors import HarnessError, UsageError
from harness.environments import engines, managed, uv
from harness.environments.managed import Say
from harness.environments.manifest import default_folder
from harness.environments.plan import plan
from harness.environments.releases import known_releases, release_like, releases
from harness.environments.specs import LEGACY, Spec, name_of, parse

__all__ = (
    "Environment", "Spec", "default_folder", "known_releases", "make", "make_each",
    "name_and_text", "parse", "release_like", "releases", "resolve", "resolve_one",
)  # fmt: skip

AT_ONCE = 2
"""Environments made at the same time: one downloads while the other compiles."""


class Environment(msgspec.Struct, frozen=True):
    """One Paddle: its interpreter and profile."""

    name: str
    """Short, fit for file names and case ids: ``3.3.1``, ``3.3.1@legacy-ir``, ``my-venv``."""
    asked: str
    """The text that named it."""
    python: str
    """Absolute path of the interpreter; a virtual environment's link stays a link."""
    profile: Profile
    managed: bool
    made: bool = False
    """Whether it was made now; else it existed."""
    note: str = ""
    """What the user should know, for example that it was broken and made anew."""
    seconds: float = 0.0
    """How long it took to make; 0 if it existed."""
    version: str = ""
    """Paddle's version, where it is known without asking the interpreter."""


def resolve(text: str, folder: Path | None = None, say: Say | None = None) -> list[Environment]:
    """Return the environments that ``text`` names; make those that are missing.

    Args:
        folder: of the managed environments (default: :func:`default_folder`).
        say: called with a line about each environment that has to be made.

    Raises:
        UsageError: the text names nothing.
        HarnessError: one of them cannot be made.
    """
    return make(parse(text), folder, say)


def resolve_one(text: str, folder: Path | None = None, say: Say | None = None) -> Environment:
    """As :func:`resolve`, for a text that names one environment.

    Raises:
        UsageError: it names several, or nothing.
        HarnessError: it cannot be made.
    """
    specs = parse(text)
    if len(specs) != 1:
        names = ", ".join(spec.asked for spec in specs)
        raise UsageError(f"{text} names {len(specs)} environments ({names}): give one of them")
    return make(specs, folder, say)[0]


def name_and_text(spec: Spec) -> tuple[str, str]:
    """Return an environment's short name, and a text that names it from any folder; make nothing.

    Raises:
        HarnessError: the newest build of an index is wanted, and the index offers none.
    """
    suffix = LEGACY if spec.profile == "legacy-ir" else ""
    if spec.kind == "interpreter":
        return name_of(spec.path) + suffix, spec.path + suffix
    label = spec.version if spec.kind == "release" else plan(spec, default_folder().absolute()).recipe.label
    return label + suffix, spec.path + suffix if spec.kind == "wheel" else spec.asked


def make(specs: list[Spec], folder: Path | None = None, say: Say | None = None) -> list[Environment]:
    """Make the environments, two at a time; return them in the order of the specs.

    Raises:
        HarnessError: one cannot be made; the others are made nevertheless.
    """
    ends = list(make_each(specs, folder, say))
    for end in ends:
        if isinstance(end, HarnessError):
            raise end
    return [end for end in ends if isinstance(end, Environment)]


def make_each(
    specs: list[Spec], folder: Path | None = None, say: Say | None = None, check: bool = False
) -> Iterator[Environment | HarnessError]:
    """Yield the environments in the order of the specs, each as soon as it exists, or its error.

    Args:
        check: check existing ones thoroughly: hash every file and import Paddle.
    """
    root = (folder or default_folder()).absolute()
    if any(spec.kind != "interpreter" for spec in specs):
        uv.binary()  # found once, here: `sysconfig`, which finds it, is not safe in several threads at once
    pool = ThreadPoolExecutor(AT_ONCE, "environment")
    try:
        ends: list[Future[Environment]] = [pool.submit(_one, spec, root, say, check) for spec in specs]
        for end in ends:
            try:
                yield end.result()
            except HarnessError as error:
                yield error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one(spec: Spec, root: Path, say: Say | None, check: bool) -> Environment:
    suffix = LEGACY if spec.profile == "legacy-ir" else ""
    if spec.kind == "interpreter":
        wrong = managed.import_fault(spec.path) if check else ""
        if wrong:
            raise HarnessError(f"{spec.path}: {wrong}")
        return Environment(name_of(spec.path) + suffix, spec.asked, spec.path, spec.profile, managed=False)
    wanted = engines.plan(engines.engines()[spec.asked]) if spec.kind == "engine" else plan(spec, root)
    done = managed.get_or_make(root, wanted, check, say)
    return Environment(
        name=wanted.recipe.label + suffix,
        asked=spec.asked,
        python=done.python,
        profile=spec.profile,
        managed=True,
        made=done.new,
        note="; ".join(filter(None, (wanted.note, done.note))),
        seconds=done.seconds,
        version=wanted.recipe.version,
    )
