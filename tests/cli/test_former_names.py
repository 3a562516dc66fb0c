"""Commands and their options under former names: one line of notice, and the same as under the new ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import InProcess
from harness.core.option_parsing import former_of, taken_by
from harness.core.options import FORMER_COMMANDS, FORMER_OF_ONE_COMMAND, JobOptions, Options

COMMANDS = (
    "run", "list", "report", "rerun", "doctor", "gate", "matrix", "bisect", "compare", "merge", "aa-test",
    "fuzz",
)  # fmt: skip
OPTIONS = [(command, old, new) for command in COMMANDS for old, new in former_of(command).items()]
VALUE = {"--profile": "legacy-ir", "--engine": "local", "--images": "5", "--deadline": "5"}


@pytest.mark.parametrize(("command", "old", "new"), OPTIONS)
def test_options(in_process: InProcess, tmp_path: Path, command: str, old: str, new: str) -> None:
    """In both spellings. ``--help`` is answered once all other arguments are understood."""
    value = VALUE.get(old, "x")
    spelled = [[old, value], [f"{old}={value}"]] if "=" not in new else [[old]]
    written = [new] if "=" in new else [f"{new}={value}"]
    expected = in_process(tmp_path, command, *written, "--help")
    assert (expected.returncode, expected.stderr) == (0, "")
    for given in spelled:
        found = in_process(tmp_path, command, *given, "--help")
        assert found == (0, expected.stdout, f"{old} is now {new.replace('=', ' ')}.\n")
    words = expected.stdout.replace("=", " ").replace(",", " ").replace("│", " ").split()
    assert new.partition("=")[0] in words
    assert old not in words


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("run", "--deadline=0"), ("run", "--call-timeout=0")),
        (("run", "--deadline", "0"), ("run", "--call-timeout", "0")),
        (("run", "--images=-1"), ("run", "--accuracy-samples=-1")),
        (("run", "--model=/no/net.py:build"), ("run", "--add-model=/no/net.py:build")),
        (("run", "--run-folder=/proc/x", "--python=/no"), ("run", "--folder=/proc/x", "--python=/no")),
        (("run", "--profile=nope"), ("run", "--paddle-profile=nope")),
        (("gate", "a", "b", "--engine=nope"), ("gate", "a", "b", "--backend=nope")),
        (("gate", "a", "b", "--model", "no.py:f"), ("gate", "a", "b", "--add-model", "no.py:f")),
        (("gate", "a", "b", "--brief"), ("gate", "a", "b", "--tier=gate")),
        (("gate", "a", "b", "--", "--deadline=0"), ("gate", "a", "b", "--", "--call-timeout=0")),
        (("matrix", "nosuch", "--engine", "local"), ("matrix", "nosuch", "--backend", "local")),
        (("bisect", "upgrade/outputs[lenet-from-mine-jit]", "--from", "nosuch"),
         ("bisect", "upgrade/outputs[lenet-from-mine-jit]", "--producer", "nosuch")),
        (("aa-test", "--from=/nosuch"), ("aa-test", "--add=/nosuch")),
        (("merge", "nosuch", "-o", "both"), ("merge", "nosuch", "--folder", "both")),
        (("merge", "nosuch", "-oboth"), ("merge", "nosuch", "--folder=both")),
        (("rerun", "nosuch", "a", "--output", "x"), ("rerun", "nosuch", "a", "--folder", "x")),
        (("report", "nosuch", "--output=x"), ("report", "nosuch", "--html=x")),
        (("calibrate", "nosuch"), ("aa-test", "nosuch")),
        (("hunt", "--minutes=0"), ("fuzz", "--minutes=0")),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_refused_is_refused_alike(
    in_process: InProcess, tmp_path: Path, old: tuple[str, ...], new: tuple[str, ...]
) -> None:
    expected, found = in_process(tmp_path, *new), in_process(tmp_path, *old)
    assert expected.returncode in (1, 2, 3, 4)
    assert (found.returncode, found.stdout) == expected[:2]
    notice, *rest = found.stderr.splitlines()
    assert " is now -" in notice or notice in [f"{a} is now {b}." for a, b in FORMER_COMMANDS.items()]
    assert rest == expected.stderr.splitlines()
    assert not any(" is now " in line for line in rest)


@pytest.mark.parametrize(("old", "new"), FORMER_COMMANDS.items())
def test_commands(in_process: InProcess, tmp_path: Path, old: str, new: str) -> None:
    expected = in_process(tmp_path, new, "--help")
    assert in_process(tmp_path, old, "--help") == (0, expected.stdout, f"{old} is now {new}.\n")
    listed = in_process(tmp_path, "--help").stdout.replace("│", " ").split()
    assert new in listed
    assert old not in listed


def test_every_command_with_declared_options_is_tried() -> None:
    takers = {
        name
        for struct in (Options, JobOptions)
        for command in COMMANDS
        for name in [command] * bool(taken_by(command, struct))
    }
    assert takers | set(FORMER_OF_ONE_COMMAND) == set(COMMANDS)
