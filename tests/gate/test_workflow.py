"""The workflow that gates a pull request: its steps, and the one that reads the pins, run for real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORKFLOW = Path(__file__).parents[2] / "docs" / "workflows" / "gate-paddle.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    yaml = pytest.importorskip("yaml")
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


def test_workflow_has_its_steps_and_no_more_rights_than_it_needs(workflow: dict[Any, Any]) -> None:
    # YAML 1.1 takes the key "on" for true.
    assert {"pull_request", "workflow_dispatch"} == set(workflow[True])
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["gate"]["steps"]
    used = [step.get("uses", "").partition("@")[0] for step in steps]
    assert used[:2] == ["actions/checkout", "actions/setup-python"]
    assert used[-1] == "actions/upload-artifact"
    assert steps[-1]["if"].startswith("${{ !cancelled()"), "a blocked gate's page must be kept too"
    (command,) = (step["run"] for step in steps if "harness gate" in step.get("run", ""))
    assert 'harness gate "$OLD" "$NEW"' in command
    assert '--folder "$GITHUB_WORKSPACE/gate"' in command
    assert steps[-1]["with"]["path"] == "gate/"
    # Text of a pull request must not become part of a command.
    assert not any("${{" in step.get("run", "") for step in steps)


def pins(workflow: dict[Any, Any], folder: Path, **variables: str) -> tuple[dict[str, str], str]:
    """Outputs and messages of the workflow's own step in a repository."""
    (step,) = (step for step in workflow["jobs"]["gate"]["steps"] if step.get("id") == "pins")
    outputs_file = folder.parent / "outputs"
    outputs_file.write_text("")
    base = git(folder, "rev-parse", "base").strip()
    environment = {
        **os.environ,
        **workflow["env"],
        **{"BASE": base, "ASKED_OLD": "", "ASKED_NEW": "", "GITHUB_OUTPUT": str(outputs_file)},
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-c", step["run"]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
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
    workflow: dict[Any, Any], tmp_path: Path, before: str, after: str, expected: tuple[str, ...] | str
) -> None:
    folder = repository(tmp_path / "p", {"requirements.txt": before}, {"requirements.txt": after})
    found, said = pins(workflow, folder)
    if isinstance(expected, str):
        assert expected in said
        assert "::error::" in said
    else:
        assert (found["old"], found["new"], found["changed"]) == expected


def test_pins_in_other_files_and_by_hand(workflow: dict[Any, Any], tmp_path: Path) -> None:
    toml = '[project]\ndependencies = [\n  "numpy",\n  "paddlepaddle=={}",\n]\n'
    name = "services/ocr/pyproject.toml"
    old, new = (
        {name: toml.format(v), "README.md": "paddlepaddle==1.0", "notes.txt": "paddlepaddle==1.1"}
        for v in ("2.6.2", "3.3.1")
    )
    folder = repository(tmp_path / "p", old, new)
    assert pins(workflow, folder)[0] == {"old": "2.6.2", "new": "3.3.1", "changed": "true"}
    # A workflow started by hand has no pull request, and may name one release twice.
    by_hand = pins(workflow, folder, BASE="", ASKED_OLD="3.3.1", ASKED_NEW="3.3.1")[0]
    assert by_hand == {"old": "3.3.1", "new": "3.3.1", "changed": "true"}
    assert "::error::git cannot read" in pins(workflow, folder, BASE="0" * 40)[1]
