"""The plugin's command-line options, and what they resolve to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

import msgspec
import platformdirs
import pytest

from harness.errors import HarnessError

Profile = Literal["default", "legacy-ir"]

GROUP = "Paddle conformance harness"


class Options(msgspec.Struct, frozen=True):
    """One run's choices. Empty tuples mean: all."""

    tier: Literal["quick", "full"] = "quick"
    models: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    dataset: str = "auto"
    python: str = sys.executable
    profile: Profile = "default"
    run_folder: str = ""
    store: str = ""
    targets_file: tuple[str, ...] = ()
    deadline: float = 120.0

    @property
    def store_folder(self) -> Path:
        return Path(self.store or default_store())


def default_store() -> str:
    """``$HARNESS_STORE``, or ``store`` in the user's cache folder."""
    return os.environ.get("HARNESS_STORE") or str(
        Path(platformdirs.user_cache_dir("paddle-conformance")) / "store"
    )


def add_options(parser: pytest.Parser) -> None:
    """All options under one heading of ``pytest --help``."""
    group = parser.getgroup("harness", GROUP)
    names = "NAME[,NAME…]"
    group.addoption(
        "--models", default="", metavar=names, help="only these reference models (default: all of the tier)"
    )
    group.addoption("--targets", default="", metavar=names, help="only these targets (default: all)")
    group.addoption(
        "--claims", default="", metavar="ID[,ID…]", help="only checks of these claims (default: all)"
    )
    group.addoption(
        "--dataset",
        default="auto",
        metavar="auto|packaged|paddle|FOLDER",
        help="the digits: packaged (5,000, no download), Paddle's cached full MNIST, or a folder with "
        "the four idx-gz files; auto takes the cached set where it exists",
    )
    group.addoption(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="interpreter of the environment under test (default: the running one)",
    )
    group.addoption(
        "--profile",
        default="default",
        choices=["default", "legacy-ir"],
        help="legacy-ir starts Paddle 3.x without its new intermediate representation",
    )
    group.addoption(
        "--tier", default="quick", choices=["quick", "full"], help="how much to run (default: quick)"
    )
    group.addoption(
        "--run-folder", default="", metavar="PATH", help="where to write (default: a new folder in reports/)"
    )
    group.addoption(
        "--store",
        default="",
        metavar="PATH",
        help="where artifacts are kept (default: $HARNESS_STORE or the user's cache)",
    )
    group.addoption(
        "--targets-file",
        action="append",
        default=[],
        metavar="TOML",
        help="more targets (may be given again)",
    )
    group.addoption(
        "--deadline", type=float, default=120.0, metavar="SECONDS", help="per call into Paddle (default: 120)"
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def from_config(config: pytest.Config) -> Options:
    """The options of a pytest run.

    Raises:
        HarnessError: a value that cannot be meant.
    """
    deadline = config.getoption("--deadline")
    if not deadline > 0:
        raise HarnessError("--deadline takes a number of seconds above 0")
    return Options(
        tier=config.getoption("--tier"),
        models=_names(config.getoption("--models")),
        targets=_names(config.getoption("--targets")),
        claims=_names(config.getoption("--claims")),
        dataset=config.getoption("--dataset"),
        python=config.getoption("--python"),
        profile=config.getoption("--profile"),
        run_folder=config.getoption("--run-folder"),
        store=config.getoption("--store"),
        targets_file=tuple(config.getoption("--targets-file")),
        deadline=deadline,
    )


def choose(kind: str, wanted: tuple[str, ...], known: list[str]) -> list[str]:
    """The wanted names in the known order; all if none is wanted.

    Raises:
        HarnessError: an unknown name, with those there are.
    """
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise HarnessError(f"no {kind} named {', '.join(unknown)}: choose from {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted]
