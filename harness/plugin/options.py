"""The plugin's command-line options, and what they resolve to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from harness.core.choices import Limits, Profile, default_store
from harness.core.errors import HarnessError
from harness.models import specification

if TYPE_CHECKING:
    import pytest

GROUP = "Paddle conformance harness"


class Options(msgspec.Struct, frozen=True):
    """One run's choices. Empty tuples mean: all."""

    tier: Literal["quick", "full"] = "quick"
    models: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    dataset: str = "auto"
    python: str = sys.executable
    profile: Profile = "default"
    run_folder: str = ""
    store: str = ""
    targets_file: tuple[str, ...] = ()
    producers: tuple[str, ...] = ()
    """``NAME=PYTHON[@legacy-ir]`` each: environments whose files are loaded in this one."""
    model: tuple[str, ...] = ()
    """Specifications of the user's own models (``harness/models/specification.py``), paths absolute."""
    model_timeout: float = Limits().seconds
    model_memory: float = Limits().gib
    accuracy_bound: float = 1.0
    """Points of accuracy that a compressed model may lose."""
    images: int = 0
    """Test images that accuracies are compared on; 0: all."""
    deadline: float = 120.0
    brief: bool = False
    """Whether what is only shown, and decides nothing, is left out where a check says so."""
    again: bool = False
    """Whether recipes are tried that the store remembers to fail."""
    only_on: tuple[str, ...] = ()
    """Targets: the cases on others, and on none, are another run's."""
    not_on: tuple[str, ...] = ()
    """Targets whose cases are another run's."""
    latency_budget: float = 0.0
    """Seconds of timed runs a latency case; 0: as the tier has it."""

    @property
    def store_folder(self) -> Path:
        return Path(self.store or default_store())


def add_options(parser: pytest.Parser) -> None:
    """All options under one heading of ``pytest --help``."""
    group = parser.getgroup("harness", GROUP)
    names = "NAME[,NAME…]"
    group.addoption(
        "--models",
        default="",
        metavar=names,
        help="only these models, reference models or your own (default: all of the tier and your own); "
        "none: only your own",
    )
    group.addoption(
        "--model",
        action="append",
        default=[],
        metavar="SPEC",
        help="a model of your own (may be given again): net.py:build, a deployed model's program, prefix or "
        "folder, or a folder of captured graphs, with ,name=… ,params=… ,inputs=… ,spec=NAME:DTYPE:SHAPE "
        "behind it as needed",
    )
    group.addoption(
        "--model-timeout",
        type=float,
        default=Limits().seconds,
        metavar="SECONDS",
        help="per first run of a model of your own (default: 60)",
    )
    group.addoption(
        "--model-memory",
        type=float,
        default=Limits().gib,
        metavar="GIB",
        help="memory that a model of your own may take (default: 60 %% of this machine's)",
    )
    group.addoption("--targets", default="", metavar=names, help="only these targets (default: all)")
    group.addoption(
        "--methods",
        default="",
        metavar=names,
        help="only these ways to compress a model (default: all of the tier)",
    )
    group.addoption(
        "--accuracy-bound",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="accuracy that a compressed model may lose, in points of a hundred (default: 1)",
    )
    group.addoption(
        "--images",
        type=int,
        default=0,
        metavar="N",
        help="test images that accuracy is compared on (default: all of the data set)",
    )
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
        "--from",
        dest="producers",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="an environment whose files are loaded in the one under test (may be given again): a short "
        "name and its interpreter, with @legacy-ir behind it for that profile, or a release",
    )
    group.addoption(
        "--deadline", type=float, default=120.0, metavar="SECONDS", help="per call into Paddle (default: 120)"
    )
    group.addoption(
        "--brief",
        action="store_true",
        help="leave out cases that only widen what is shown, as a gate does (most latencies)",
    )
    group.addoption(
        "--again",
        action="store_true",
        help="try recipes anew that failed twice with the same error of their code, which is remembered",
    )
    group.addoption(
        "--only-on",
        default="",
        metavar=names,
        help="only cases on these targets, and none without a target: a share of a run on several machines",
    )
    group.addoption(
        "--not-on", default="", metavar=names, help="all but the cases on these targets: the other share"
    )
    group.addoption(
        "--latency-budget",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="timed runs of a latency case (default: 0, as the tier has it: 0.25 or 2)",
    )


def names_of(text: str) -> tuple[str, ...]:
    """The parts of ``a,b``."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def from_config(config: pytest.Config) -> Options:
    """The options of a pytest run.

    Raises:
        HarnessError: a value that cannot be meant.
    """
    deadline = config.getoption("--deadline")
    if not deadline > 0:
        raise HarnessError("--deadline takes a number of seconds above 0")
    for option in ("--model-timeout", "--model-memory"):
        if not config.getoption(option) > 0:
            raise HarnessError(f"{option} takes a number above 0")
    if not 0 < config.getoption("--accuracy-bound") < 100:
        raise HarnessError("--accuracy-bound takes points of a hundred, above 0 and below 100")
    if not config.getoption("--images") >= 0:
        raise HarnessError("--images takes a number of test images, 0 for all")
    if not config.getoption("--latency-budget") >= 0:
        raise HarnessError("--latency-budget takes a number of seconds, 0 for the tier's own")
    return Options(
        tier=config.getoption("--tier"),
        models=names_of(config.getoption("--models")),
        targets=names_of(config.getoption("--targets")),
        methods=names_of(config.getoption("--methods")),
        claims=names_of(config.getoption("--claims")),
        accuracy_bound=config.getoption("--accuracy-bound"),
        images=config.getoption("--images"),
        dataset=config.getoption("--dataset"),
        python=config.getoption("--python"),
        profile=config.getoption("--profile"),
        run_folder=config.getoption("--run-folder"),
        store=config.getoption("--store"),
        targets_file=tuple(config.getoption("--targets-file")),
        producers=tuple(config.getoption("producers")),
        model=tuple(specification.absolute(text) for text in config.getoption("--model")),
        model_timeout=config.getoption("--model-timeout"),
        model_memory=config.getoption("--model-memory"),
        deadline=deadline,
        brief=config.getoption("--brief"),
        again=config.getoption("--again"),
        only_on=names_of(config.getoption("--only-on")),
        not_on=names_of(config.getoption("--not-on")),
        latency_budget=config.getoption("--latency-budget"),
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
