"""pytest's options: each declared once, its former name beside it, and other plugins left alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conftest import Command
from harness.core.errors import UsageError
from harness.core.option_parsing import arguments, fields
from harness.core.options import Options
from harness.plugin.options import with_arguments

Project = Callable[[dict[str, str]], Path]

DUMP = """
import json
import msgspec
from harness.plugin.options import from_config


def pytest_configure(config):
    with open("options.json", "w") as file:
        json.dump(msgspec.to_builtins(from_config(config)), file)
"""

GIVEN: dict[str, Any] = {
    "tier": "gate",
    "models": ("lenet", "lstm"),
    "add_model": ("/net.py:build", "/other.py:build"),
    "model_timeout": 5.0,
    "model_memory": 0.5,
    "uses": ("jit", "training"),
    "targets": ("jit",),
    "methods": ("qat-slim",),
    "claims": ("000-save",),
    "accuracy_bound": 2.5,
    "accuracy_samples": 100,
    "dataset": "packaged",
    "python": "/python",
    "paddle_profile": "legacy-ir",
    "folder": "run",
    "store": "/store",
    "targets_file": ("a.toml", "b.toml"),
    "producers": ("a=/a/python", "b=/b/python@legacy-ir"),
    "call_timeout": 7.5,
    "retry_failed": True,
    "only_on": ("jit", "machine"),
    "not_on": ("static",),
    "latency_budget": 0.1,
}
"""A value for each option that is not its default."""

FORMER = (
    ("--from", "a=/a/python"),
    ("--from", "b=/b/python@legacy-ir"),
    ("--deadline", "7.5"),
    ("--images", "100"),
    ("--model", "/net.py:build"),
    ("--model", "/other.py:build"),
    ("--run-folder", "run"),
    ("--flows", "qat-slim"),
    ("--profile", "legacy-ir"),
    ("--brief",),
    ("--again",),
)
NOW = (
    "producers", "call_timeout", "accuracy_samples", "add_model", "folder", "methods", "paddle_profile",
    "tier", "retry_failed",
)  # fmt: skip
"""The options that FORMER gives, by their fields."""
NOTICES = [
    "--again is now --retry-failed.",
    "--brief is now --tier gate.",
    "--deadline is now --call-timeout.",
    "--flows is now --methods.",
    "--from is now --producer.",
    "--images is now --accuracy-samples.",
    "--model is now --add-model.",
    "--profile is now --paddle-profile.",
    "--run-folder is now --folder.",
]


@pytest.fixture(scope="module")
def folder(project: Project) -> Path:
    test = "def test_nothing():\n    assert [1] == [1]\n"
    return project({"tests/test_a.py": test, "dump.py": DUMP})


def options_in(folder: Path) -> Options:
    return msgspec.convert(json.loads((folder / "options.json").read_text()), Options)


def test_every_option_goes_to_a_process_and_comes_back(folder: Path, command: Command) -> None:
    options = Options(**GIVEN)
    assert set(GIVEN) == set(Options.__struct_fields__)
    assert all(getattr(options, field.name) != field.default for field in fields(Options))
    done = command(folder, "pytest", "tests", "-p", "dump", "--co", "-q", *arguments(options))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert options_in(folder) == options
    assert arguments(Options()) == []


@pytest.mark.parametrize("spelling", ["spaced", "joined"])
@pytest.mark.parametrize("loaded", ["by a conftest.py", "by -p"])
def test_a_former_name_does_what_the_new_one_does(
    folder: Path, command: Command, spelling: str, loaded: str
) -> None:
    given = [text for one in FORMER for text in (one if spelling == "spaced" else ["=".join(one)])]
    plugin = ("-p", "harness.plugin") if loaded == "by -p" else ()
    done = command(folder, "pytest", *plugin, "tests", "-p", "dump", "--co", "-q", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(done.stderr.splitlines()) == NOTICES
    assert options_in(folder) == Options(**{name: GIVEN[name] for name in NOW})


def test_every_former_name_is_tried() -> None:
    assert {name for field in fields(Options) for name in field.former} == {one[0] for one in FORMER}


def test_help_has_the_names_of_now_alone(folder: Path, command: Command) -> None:
    text = command(folder, "pytest", "--help").stdout
    words = set(text.replace("=", " ").replace(",", " ").split())
    assert {field.flag for field in fields(Options)} <= words
    assert not {one[0] for one in FORMER} & words
    assert "(default: 60 % of this machine's)" in " ".join(text.split())


PROFILING = """
def pytest_addoption(parser):
    parser.getgroup("Profiling").addoption("--profile", action="store_true", help="generate it")


def pytest_configure(config):
    print("profiling:", config.getoption("--profile"))
"""


@pytest.mark.parametrize(
    "plugins",
    [
        ("-p", "profiling"),
        ("-p", "profiling", "-p", "harness.plugin"),
        ("-p", "harness.plugin", "-p", "profiling"),
    ],
    ids=" ".join,
)
def test_another_plugin_keeps_its_profile(folder: Path, command: Command, plugins: tuple[str, ...]) -> None:
    """pytest-profiling has a --profile, which takes no value."""
    (folder / "profiling.py").write_text(PROFILING)
    done = command(
        folder,
        "pytest",
        *plugins,
        "-p",
        "dump",
        "tests",
        "--co",
        "-q",
        "--paddle-profile=legacy-ir",
        "--profile",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "profiling: True" in done.stdout
    assert options_in(folder) == Options(paddle_profile="legacy-ir")


TIERS = """
import pytest


@pytest.mark.brief
def test_shown(case):
    case.exact("a", 1, 1)


@pytest.mark.brief(number=(1,))
@pytest.mark.parametrize("number", [1, 2])
def test_some(case, number):
    case.exact("a", 1, 1)


@pytest.mark.full
def test_full(case):
    case.exact("a", 1, 1)


def test_plain(case):
    case.exact("a", 1, 1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "left"),
    [
        ("--tier=gate", ["some[1]", "plain"]),
        ("--brief", ["some[1]", "plain"]),
        ("--tier=quick", ["shown", "some[1]", "some[2]", "plain"]),
        ("--tier=full", ["shown", "some[1]", "some[2]", "full", "plain"]),
    ],
)
def test_each_tier_has_what_the_smaller_one_has(
    project: Project, command: Command, option: str, left: list[str]
) -> None:
    done = command(project({"suites/test_a.py": TIERS}), "pytest", "suites", "--co", "-q", option)
    assert [line.partition("::test_")[2] for line in done.stdout.splitlines() if "::" in line] == left
    assert done.stderr.splitlines() == (["--brief is now --tier gate."] if option == "--brief" else [])


# Behind --


def test_what_stands_behind_a_command_changes_its_options() -> None:
    before = Options(tier="gate", targets_file=("/a.toml",), models=("lenet",))
    given = [
        "suites/test_a.py",
        "-k",
        "x or y",
        "--targets-file",
        "b.toml",
        "--models=lstm",
        "--from=a=/python",
    ]
    said: list[str] = []
    options, rest = with_arguments(before, given, said.append)
    assert rest == ["suites/test_a.py", "-k", "x or y"]
    assert said == ["--from is now --producer."]
    assert options == Options(
        tier="gate", targets_file=("/a.toml", "b.toml"), models=("lstm",), producers=("a=/python",)
    )
    theirs = ["--profile", "-x"]
    assert with_arguments(before, theirs, said.append) == (before, theirs), "another plugin's"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--call-timeout=0"], "--call-timeout 0: give a number above 0"),
        (["--deadline=0"], "--call-timeout 0: give a number above 0"),
        (["--accuracy-bound=100"], "--accuracy-bound 100: give a number above 0 and below 100"),
        (["--accuracy-samples=-1"], "--accuracy-samples -1: give a number of at least 0"),
        (["--call-timeout=soon"], "argument --call-timeout: invalid float value: 'soon'"),
        (["--tier=endless"], "argument --tier: invalid choice: 'endless'"),
        (["--store"], "argument --store: expected one argument"),
    ],
)
def test_wrong_values_are_one_sentence(given: list[str], words: str) -> None:
    with pytest.raises(UsageError) as refusal:
        with_arguments(Options(), given, print)
    assert str(refusal.value).startswith(words)


def test_a_process_that_refuses_an_option_says_so(folder: Path, command: Command) -> None:
    done: subprocess.CompletedProcess[str] = command(folder, "pytest", "suites", "-q", "--deadline", "0")
    assert done.returncode == 4
    assert "ERROR: --call-timeout 0: give a number above 0" in done.stderr
