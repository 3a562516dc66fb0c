"""The action that gates a pull request: its steps, run for real in their own shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import child_environment
from harness.core.paths import ROOT
from harness.environments import known_releases

ACTION = ROOT / "action.yml"


@pytest.fixture(scope="module")
def steps() -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    assert found["runs"]["using"] == "composite"
    steps: list[dict[str, Any]] = found["runs"]["steps"]
    return steps


def test_action_has_its_steps(steps: list[dict[str, Any]]) -> None:
    used = [step.get("uses", "").partition("@")[0] for step in steps]
    assert [name for name in used if name] == [
        "actions/setup-python", "actions/cache", "actions/upload-artifact",
    ]  # fmt: skip
    assert all("shell" in step for step in steps if "run" in step), "a composite action's steps name theirs"
    assert steps[-1]["if"].startswith("${{ !cancelled()"), "a blocked gate's page must be kept too"
    # Text of a pull request must not become part of a command.
    assert not any("${{" in step.get("run", "") for step in steps)


def run(step: dict[str, Any], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A step's own command in its own shell, in a project's folder."""
    assert step["shell"] == "bash"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**child_environment(), "PATH": path, "GITHUB_ACTION_PATH": str(ROOT), **variables}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_gate_is_called_with_the_policy_and_more_options(
    steps: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Real commands: what they refuse shows what they were given."""
    (gate,) = (step for step in steps if step["name"] == "Gate")
    given = {"OLD": "9.9.8", "NEW": "9.9.9", "POLICY": "gate.toml", "RUNNER_TEMP": str(tmp_path)}
    done = run(gate, tmp_path, **given, ARGUMENTS="")
    assert done.returncode == 2
    assert "9.9.8 is not a known release" in done.stderr
    done = run(gate, tmp_path, **given, ARGUMENTS="--models lenet --jobs none")
    assert "Invalid value for '--jobs'" in done.stderr
    (tmp_path / "gate.toml").write_text("[wrong]\n")
    done = run(gate, tmp_path, **given, ARGUMENTS="")
    assert "gate.toml" in done.stderr


def pins(steps: list[dict[str, Any]], folder: Path, **variables: str) -> tuple[dict[str, str], str]:
    """Outputs and messages of the action's own step in a repository."""
    (step,) = (step for step in steps if step.get("id") == "pins")
    outputs_file = folder.parent / "outputs"
    outputs_file.write_text("")
    base = git(folder, "rev-parse", "base").strip()
    named = {"BASE": base, "ASKED_OLD": "", "ASKED_NEW": "", "GITHUB_OUTPUT": str(outputs_file)}
    done = run(step, folder, **{**named, **variables})
    found = dict(line.split("=", 1) for line in outputs_file.read_text().splitlines())
    assert bool(found) == (done.returncode == 0)
    return found, done.stdout + done.stderr


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def repository(folder: Path, *commits: dict[str, str]) -> Path:
    """A project with these files in each of its commits; the first is tagged ``base``."""
    folder.mkdir()
    git(folder, "init", "-q")
    for number, files in enumerate(commits):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "--allow-empty", "-m", "x")
        if number == 0:
            git(folder, "tag", "base")
    return folder


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("paddlepaddle==2.6.2\n", "numpy<2\npaddlepaddle == 3.3.1  # why\n", ("2.6.2", "3.3.1", "true")),
        ("paddlepaddle-gpu==2.6.2", "paddlepaddle-gpu===3.3.1.post1", ("2.6.2", "3.3.1.post1", "true")),
        ('paddlepaddle==2.6.2 ; python_version > "3.8"', "PaddlePaddle==3.3.1", ("2.6.2", "3.3.1", "true")),
        ("paddlepaddle==3.3.1", "paddlepaddle==3.3.1\nnumpy", ("3.3.1", "3.3.1", "false")),
        ("numpy", "paddlepaddle==3.3.1", ("", "3.3.1", "false")),
        ("numpy", "numpy<2", ("", "", "false")),
        ("# paddlepaddle==2.6.2\npaddlepaddle==3.3.0", "paddlepaddle==3.3.1", ("3.3.0", "3.3.1", "true")),
        ("paddlepaddle==2.6.2", "paddlepaddle>=3", "no longer pinned"),
        (
            "paddlepaddle==2.6.2",
            "paddlepaddle==3.3.1\npaddlepaddle-gpu==3.3.0",
            "more than one version: 3.3.0",
        ),
    ],
)
def test_pins_are_read_from_base_and_head(
    steps: list[dict[str, Any]], tmp_path: Path, before: str, after: str, expected: tuple[str, ...] | str
) -> None:
    folder = repository(tmp_path / "p", {"requirements.txt": before}, {"requirements.txt": after})
    found, said = pins(steps, folder)
    if isinstance(expected, str):
        assert expected in said
        assert "::error::" in said
    else:
        assert (found["old"], found["new"], found["changed"]) == expected


def test_pins_in_other_files_and_by_hand(steps: list[dict[str, Any]], tmp_path: Path) -> None:
    toml = '[project]\ndependencies = [\n  "numpy",\n  "paddlepaddle=={}",\n]\n'
    name = "services/ocr/pyproject.toml"
    old, new = (
        {name: toml.format(v), "README.md": "paddlepaddle==1.0", "notes.txt": "paddlepaddle==1.1"}
        for v in ("2.6.2", "3.3.1")
    )
    folder = repository(tmp_path / "p", old, new)
    assert pins(steps, folder)[0] == {"old": "2.6.2", "new": "3.3.1", "changed": "true"}
    # A workflow started by hand has no pull request, and may name one release twice.
    by_hand = pins(steps, folder, BASE="", ASKED_OLD="3.3.1", ASKED_NEW="3.3.1")[0]
    assert by_hand == {"old": "3.3.1", "new": "3.3.1", "changed": "true"}
    assert "::error::git cannot read" in pins(steps, folder, BASE="0" * 40)[1]


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_own_workflows_are_read_only_and_what_they_run_is_there(file: Path) -> None:
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(file.read_text())
    assert found["permissions"] == {"contents": "read"}
    steps = [step for job in found["jobs"].values() for step in job["steps"]]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    assert not any("${{" in step.get("run", "") for step in steps)
    for step in steps:
        for folder in re.findall(r"pytest (\w+)/", step.get("run", "")):
            assert (ROOT / folder).is_dir()


def test_nightly_gate_takes_the_two_newest_releases(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text())
    (step,) = (step for step in found["jobs"]["releases"]["steps"] if step.get("id") == "newest")
    outputs = tmp_path / "outputs"
    environment = {**os.environ, "GITHUB_OUTPUT": str(outputs)}
    subprocess.run([sys.executable, "-c", step["run"]], cwd=ROOT, env=environment, check=True)
    old, new = known_releases()[-2:]
    assert outputs.read_text() == f"old={old}\nnew={new}\n"
