"""The examples do what their READMEs say, on real Paddle."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import child_environment
from harness.core.paths import ROOT
from harness.records.files import read_run

GATE = ROOT / "examples" / "gate_in_ci"
OWN_MODEL = ROOT / "examples" / "own_model"


def run(cwd: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command with this environment's `harness` on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=cwd, env={**child_environment(), "PATH": path, **variables},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


def command_of(readme: Path, start: str) -> list[str]:
    """The one command of a README that begins so."""
    (line,) = re.findall(rf"^{re.escape(start)}.*", readme.read_text(), re.MULTILINE)
    return shlex.split(line)


# A gate in CI


def read_yaml(path: Path) -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(path.read_text())


def test_workflow_uses_the_action_as_it_is() -> None:
    workflow = read_yaml(GATE / "workflow.yml")
    checkout, gate = workflow["jobs"]["gate"]["steps"]
    assert checkout["with"] == {"fetch-depth": 0}, "the pins of the base are read too"
    assert gate["with"].keys() <= read_yaml(ROOT / "action.yml")["inputs"].keys()
    lines = [line.strip() for line in (GATE / "workflow.yml").read_text().splitlines()]
    documented = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "upgrading.md").read_text(), re.DOTALL)
    (three,) = (block.splitlines() for block in documented if "actions/checkout" in block)
    assert {line.partition("#")[0].strip() for line in three} <= set(lines)


def test_workflow_starts_where_a_pin_can_change() -> None:
    paths = read_yaml(GATE / "workflow.yml")[True]["pull_request"]["paths"]  # YAML reads "on" as true
    files = runpy.run_path(str(ROOT / ".github" / "pins.py"))["FILES"]
    assert paths == [file.removeprefix(":(glob)") for file in files]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name the release in use"),
        (("9.9.8", "9.9.9", "--models", "lenet"), "9.9.8 is not a known release"),
    ],
)
def test_shell_form_called_wrongly_ends_with_2(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run(tmp_path, str(GATE / "gate.sh"), *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr


@pytest.mark.slow
def test_shell_form_gates(python: str, tmp_path: Path) -> None:
    """An environment against itself, with the options that the README has, on one check."""
    script, _, _, *options = command_of(GATE / "README.md", "./gate.sh")
    folder = tmp_path / "page"
    command = [str(GATE / script), python, python, *options, "--no-confirm", "--"]
    one = ("suites/test_roundtrip.py", "-k", "network_state and lenet")
    done = run(ROOT, *command, *one, PADDLE_GATE_FOLDER=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the upgrade may be merged" in done.stdout
    assert json.loads((folder / "gate.json").read_text())["comparable"] > 0
    assert (folder / "gate.html").stat().st_size > 0


# A model and a target of your own


@pytest.mark.slow
def test_own_model_on_its_own_target(python: str, tmp_path: Path) -> None:
    """The README's command, narrowed to the first run and the agreement of outputs."""
    command = command_of(OWN_MODEL / "README.md", "harness run")
    command += ["--python", python, "--run-folder", str(tmp_path / "run")]
    done = run(OWN_MODEL, *command, "--", "-k", "usable or first_and_later_runs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 models of your own are usable here" in done.stdout
    passed = {record.case for record in read_run(tmp_path / "run").records if record.outcome == "pass"}
    assert passed == {
        "models/usable[net]",
        "agreement/first_and_later_runs[net-predictor]",
        "agreement/first_and_later_runs[net-predictor-two-threads]",
    }
