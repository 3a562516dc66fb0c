"""The boundary: the controller never imports Paddle, the worker nothing of the controller."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import child_environment
from harness.core.paths import ROOT

FAR = ROOT / "harness" / "worker"
NEAR_FILES = sorted(
    [
        *(file for file in (ROOT / "harness").rglob("*.py") if FAR not in file.parents),
        *(ROOT / "suites").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        ROOT / "conftest.py",
    ]
)
FAR_FILES = sorted(
    [
        *FAR.rglob("*.py"),
        *(ROOT / "reference_models").rglob("*.py"),
        *(ROOT / "examples").glob("*/*/worker/**/*.py"),
        *(ROOT / "examples").glob("*/*/reference_models/*.py"),
    ]
)
SHARED = ("harness.worker.protocol.wire", "harness.worker.protocol.stated")
"""The modules that both sides import; they import neither side."""
PADDLES = {"paddle", "paddleslim", "paddle2onnx"}


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports(file: Path, **options: tuple[int, int]) -> Iterator[str]:
    """Names of all modules a file imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(), str(file), **options)):  # type: ignore[call-overload]
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", NEAR_FILES, ids=name_of)
def test_controller_names_no_paddle(file: Path) -> None:
    assert not {name for name in imports(file) if name.split(".")[0] in PADDLES}
    far = {name for name in imports(file) if name.startswith("harness.worker.")}
    assert {name for name in far if not name.startswith(SHARED)} == set()


CALL = re.compile(
    r"(?:(?:call|Result|Arguments|Files|option|setting|config)\(\s*|instead=)f?[\"']((?:[a-z_]+\.)+[a-z_{}]+)[\"']"
)
"""A call that the controller names in a string: what no linter follows."""


def test_every_call_that_is_named_exists() -> None:
    named = {name for file in NEAR_FILES for name in CALL.findall(file.read_text())}
    assert len(named) > 80
    missing = []
    for name in sorted(named - {"checks.selftest.no_such_function", "no_such_module.call"}):
        module, _, function = name.rpartition(".")
        path = FAR.joinpath(*module.split("."))
        files = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
        if not files or ("{" not in function and not re.search(rf"\b{function}\b", files[0].read_text())):
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("file", FAR_FILES, ids=name_of)
def test_worker_parses_on_python_39_and_names_no_controller(file: Path) -> None:
    for name in imports(file, feature_version=(3, 9)):
        if name.split(".")[0] == "harness":
            assert name == "harness.worker" or name.startswith("harness.worker."), name
        assert name.split(".")[0] not in (
            "suites",
            "tests",
            "conftest",
            "pytest",
            "msgspec",
            "execnet",
            "psutil",
        )


@pytest.mark.parametrize("file", FAR_FILES, ids=name_of)
def test_far_side_uses_no_annotation_that_python_39_cannot_evaluate(file: Path) -> None:
    """``X | None`` parses everywhere and fails at import on 3.9 unless annotations are postponed."""
    tree = ast.parse(file.read_text())
    postponed = any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body)
    unions = [
        node.lineno
        for hint in _annotations(tree)
        for node in ast.walk(hint)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)
    ]
    assert postponed or not unions, unions


def _annotations(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            hint = getattr(node, field, None)
            if isinstance(hint, ast.expr):
                yield hint


def test_importing_the_whole_near_side_imports_no_paddle() -> None:
    """What an import of an import brings in shows only when it is done."""
    files = [file for file in NEAR_FILES if ROOT / "tests" not in file.parents]
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if file.stem not in ("conftest", "__main__")
    ]
    script = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        f"found = [n for n in sys.modules if n.split('.')[0] in {PADDLES!r}]\nassert not found, found"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def other_python(version: str) -> str | None:
    """A Python of that version on PATH, or one that pyenv keeps."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    for candidate in (shutil.which(f"python{version}"), *map(str, kept)):
        if (
            candidate
            and not subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode
        ):
            return candidate
    return None


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12", "3.13"])
def test_far_side_compiles_on_other_pythons(version: str, tmp_path: Path) -> None:
    """The real parser of each Python that is installed here."""
    python = other_python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    script = "import sys\nfor f in sys.argv[1:]: compile(open(f, encoding='utf-8').read(), f, 'exec')"
    done = subprocess.run(
        [python, "-c", script, *map(str, FAR_FILES)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
