"""The options: each declared once, as a field of a struct with its help, its bounds and who takes it.

pytest's options (`harness/plugin/options.py`) and those of the commands (`harness/cli/options.py`) are
made of these fields. The struct travels: between commands and jobs as it is, and to a pytest process as
`harness/core/option_parsing.py` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec

from harness.core.choices import AT_ONCE, Backend, Limits, Profile, Tier, default_store

NAMES = "NAME[,NAME…]"


Names = tuple[str, ...]


class Option(msgspec.Struct, frozen=True):
    """What an option is beside its name, its type and its default, which are the field's.

    ``takers``: the commands that have it; pytest has all of :class:`Options`. ``shown``: what help shows as
    the default where the value itself says little. ``repeated``: given once for each value; else several are
    separated by commas. ``formerly``: names that it had before and that still work, ``--old=VALUE`` for one
    that took no value and now means this one.
    """

    help: str
    takers: str = ""
    metavar: str = ""
    shown: str = ""
    flag: str = ""
    repeated: bool = False
    path: bool = False
    """Whether its values are paths."""
    above: float | None = None
    least: float | None = None
    below: float | None = None
    formerly: Names = ()


class Options(msgspec.Struct, frozen=True):
    """One run's choices. Empty tuples mean: all."""

    tier: Annotated[Tier, Option("how much to run", "run gate bisect", formerly=("--brief=gate",))] = "quick"
    models: Annotated[
        Names,
        Option("only these models, reference models or your own; none: only your own",
               "run gate matrix bisect", NAMES, "all of the tier, and your own"),
    ] = ()  # fmt: skip
    add_model: Annotated[
        Names,
        Option("a model of your own (may be given again): net.py:build, a deployed model's program, prefix "
               "or folder, or a folder of captured graphs, with ,name=… ,params=… ,inputs=… "
               ",spec=NAME:DTYPE:SHAPE behind it as needed (docs/your-own-models.md)",
               "run gate matrix bisect aa-test", "SPEC", repeated=True, formerly=("--model",)),
    ] = ()  # fmt: skip
    model_timeout: Annotated[
        float, Option("for the first run of a model of your own", "run", "SECONDS", above=0)
    ] = Limits().seconds
    model_memory: Annotated[
        float,
        Option("memory that a model of your own may take", "run", "GIB", "60 % of this machine's", above=0),
    ] = Limits().gib
    uses: Annotated[
        Names,
        Option("only what is about these runtimes, such as predictor (harness list runtimes), or targets, "
               "training, compression or legacy-ir", "run gate matrix bisect", "USE[,…]", "all"),
    ] = ()  # fmt: skip
    targets: Annotated[Names, Option("only these targets", "run gate compare", NAMES, "all")] = ()
    methods: Annotated[
        Names,
        Option("only these compression methods", "run", NAMES, "all of the tier", formerly=("--flows",)),
    ] = ()
    claims: Annotated[Names, Option("only checks of these claims", "run gate", "ID[,ID…]", "all")] = ()
    accuracy_bound: Annotated[
        float,
        Option("points of a hundred that a compressed model's accuracy may lose",
               "run", "POINTS", above=0, below=100),
    ] = 1.0  # fmt: skip
    accuracy_samples: Annotated[
        int,
        Option("test images that accuracy is compared on",
               "run", "N", "all of the data set", least=0, formerly=("--images",)),
    ] = 0  # fmt: skip
    dataset: Annotated[
        str,
        Option("the digits: packaged (5,000, no download), Paddle's cached full MNIST, or a folder with the "
               "four idx-gz files; auto takes the cached set where it exists",
               "run", "auto|packaged|paddle|FOLDER"),
    ] = "auto"  # fmt: skip
    python: Annotated[
        str,
        Option("interpreter of the environment under test", "run list doctor", "PATH", "the running one"),
    ] = sys.executable
    paddle_profile: Annotated[
        Profile,
        Option("whether Paddle 3.x starts without its new intermediate representation (legacy-ir)",
               "run list", formerly=("--profile",)),
    ] = "default"  # fmt: skip
    folder: Annotated[
        str,
        Option("where to write", "run gate matrix bisect aa-test compare", "PATH", "a new folder in reports/",
               path=True, formerly=("--run-folder",)),
    ] = ""  # fmt: skip
    store: Annotated[
        str,
        Option("where artifacts are kept", "run gate matrix bisect aa-test doctor", "PATH",
               "$HARNESS_STORE or the user's cache", path=True),
    ] = ""  # fmt: skip
    targets_file: Annotated[
        Names,
        Option("more targets (may be given again)", "run list compare", "TOML", repeated=True, path=True),
    ] = ()
    producers: Annotated[
        Names,
        Option("an environment whose files are loaded in the one under test (may be given again): a short "
               "name and its interpreter, with @legacy-ir behind it for that profile, or a release",
               "", "NAME=PYTHON", flag="--producer", repeated=True, formerly=("--from",)),
    ] = ()  # fmt: skip
    call_timeout: Annotated[
        float, Option("for each call into Paddle", "run", "SECONDS", above=0, formerly=("--deadline",))
    ] = 120.0
    retry_failed: Annotated[
        bool,
        Option("try recipes anew that failed twice with the same error of their code, which is remembered",
               formerly=("--again",)),
    ] = False  # fmt: skip
    only_on: Annotated[
        Names,
        Option("only cases on these targets, and none without a target: a share of a run on several machines",
               "", NAMES),
    ] = ()  # fmt: skip
    not_on: Annotated[Names, Option("all but the cases on these targets: the other share", "", NAMES)] = ()
    latency_budget: Annotated[
        float,
        Option("timed runs of a latency case", "", "SECONDS", "by the tier: 0.05, 0.25 or 2", least=0),
    ] = 0.0

    @property
    def store_folder(self) -> Path:
        return Path(self.store or default_store())


WITH_JOBS = "run gate matrix aa-test fuzz"


class JobOptions(msgspec.Struct, frozen=True):
    """Where the jobs of a command run, and what each of them needs."""

    backend: Annotated[
        Backend | None,
        Option("run it as jobs, on this machine or on a Ray cluster (docs/jobs.md)",
               WITH_JOBS, formerly=("--engine",)),
    ] = None  # fmt: skip
    address: Annotated[
        str, Option("the Ray cluster", WITH_JOBS, "HOST:PORT|auto", "one of this machine alone")
    ] = ""
    at_once: Annotated[
        int, Option("jobs at the same time, on this machine", "gate matrix", "N", flag="--jobs", least=1)
    ] = AT_ONCE
    resources: Annotated[
        str, Option("what the machine of every job must have", WITH_JOBS, "NAME=N[,…]")
    ] = ""  # fmt: skip
    labels: Annotated[
        str, Option("how the machine of every job is labelled", WITH_JOBS, "NAME=VALUE[,…]")
    ] = ""  # fmt: skip


FORMER_COMMANDS = {"calibrate": "aa-test", "hunt": "fuzz"}
"""Former names of commands."""

FORMER_OF_ONE_COMMAND = {
    "aa-test": {"--from": "--add"},
    "bisect": {"--from": "--producer"},
    "merge": {"--output": "--folder", "-o": "--folder"},
    "report": {"--output": "--html"},
    "rerun": {"--output": "--folder"},
}
"""Former names of options that one command alone has, and declares itself."""


FORMER_FIELDS = {
    "profile": "paddle_profile",
    "run_folder": "folder",
    "flows": "methods",
    "model": "add_model",
    "images": "accuracy_samples",
    "deadline": "call_timeout",
    "again": "retry_failed",
}
"""Former names of fields, as the headers of earlier runs have them."""
