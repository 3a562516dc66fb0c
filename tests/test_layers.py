"""The house: where things lie, and that imports run one way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.paths import ROOT

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter over a checkout, with the contracts of its pyproject.toml."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_imports_run_one_way() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "2 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("harness/core/types.py", "from harness.gate import policy", "harness.core is not allowed to import"),
        (
            "harness/worker/protocol/wire.py",
            "from harness.core import types",
            "harness.worker is not allowed",
        ),
        (
            "harness/worker/models/digits.py",
            "from harness.worker.recipes import jit",
            "harness.worker.models is",
        ),
        ("harness/attic/__init__.py", "", "harness.attic (Since this contract is marked as 'exhaustive'"),
    ],
    ids=["controller", "worker", "rooms", "new folder"],
)
def test_an_import_that_runs_back_is_told(tmp_path: Path, file: str, line: str, told: str) -> None:
    copy = tmp_path / "harness"
    for source in (ROOT / "harness").rglob("*.py"):
        target = copy / source.relative_to(ROOT / "harness")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    changed = tmp_path / file
    changed.parent.mkdir(exist_ok=True)
    before = changed.read_text() if changed.exists() else ""
    changed.write_text(
        before.replace(
            "from __future__ import annotations\n", f"from __future__ import annotations\n{line}\n"
        )
    )
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout
    assert told in " ".join(done.stdout.split())


def test_nothing_lies_loose() -> None:
    """In ``harness/`` and ``harness/worker/`` there are folders, and each says what belongs in it."""
    for folder in (ROOT / "harness", ROOT / "harness" / "worker"):
        assert [path.name for path in folder.glob("*.py")] == ["__init__.py"]
        for inner in folder.iterdir():
            if inner.is_dir() and inner.name != "__pycache__":
                assert (inner / "__init__.py").read_text().startswith('"""'), inner


def test_the_map_names_every_folder() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for folder in (ROOT / "harness", ROOT / "harness" / "worker"):
        for inner in folder.iterdir():
            if inner.is_dir() and inner.name != "__pycache__":
                assert f"`{inner.name}/`" in text, inner
