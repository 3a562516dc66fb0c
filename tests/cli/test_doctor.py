"""What the doctor says of environments, real ones and described ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from harness.cli import doctor
from harness.cli.doctor import Row, can_run, examine, probe

GOOD: dict[str, Any] = {
    "version": [3, 11, 7],
    "executable": "/x/python",
    "no_bytecode": False,
    "packages": {
        "paddlepaddle": "3.3.1",
        "paddleslim": "2.6.0",
        "paddle2onnx": "2.1.0",
        "onnxruntime": "1.20.0",
        "openvino": "2025.3.0",
        "numpy": "1.26.4",
        "setuptools": "80.9.0",
    },
    "modules": {"six": True, "requests": True, "decorator": True, "pkg_resources": True},
    "bytecode": True,
    "paddle": "3.3.1",
    "cuda": False,
    "gpus": 0,
    "import_s": 1.8,
}
LOOKS = (
    "_python",
    "_paddle",
    "_bytecode",
    "_numpy",
    "_setuptools",
    "_paddleslim",
    "_paddle2onnx",
    "_of_runtimes",
)


def described(packages: dict[str, str | None] | None = None, **changes: Any) -> list[Row]:
    """Rows for the good environment with some changes; a package that is None is not installed."""
    found = {**GOOD["packages"], **(packages or {})}
    facts = {**GOOD, "packages": {name: version for name, version in found.items() if version}, **changes}
    facts = {name: value for name, value in facts.items() if value is not None}
    return [row for look in LOOKS for row in getattr(doctor, look)(facts)]


def test_good_environment_has_nothing_to_do() -> None:
    rows = described()
    assert {row.status for row in rows} == {"ok"}
    assert not any(row.do for row in rows)


@pytest.mark.parametrize(
    ("packages", "changes", "what", "status", "do", "runs"),
    [
        ({}, {"version": [3, 8, 18]}, "Python", "missing", "use Python 3.9 to 3.13", False),
        ({}, {"version": [3, 14, 0]}, "Python", "missing", "use Python 3.9 to 3.13", False),
        ({}, {"paddle": None}, "Paddle", "missing", "install paddlepaddle", False),
        (
            {},
            {"paddle": None, "paddle_error": "ImportError: libx"},
            "Paddle",
            "missing",
            "install it again",
            False,
        ),
        (
            {"setuptools": None},
            {"paddle": None, "paddle_error": "E"},
            "Paddle",
            "missing",
            "install setuptools",
            False,
        ),
        ({}, {"bytecode": False}, "Paddle's import time", "warn", "compileall", True),
        (
            {},
            {"bytecode": False, "no_bytecode": True},
            "Paddle's import time",
            "warn",
            "PYTHONDONTWRITEBYTECODE",
            True,
        ),
        ({}, {"import_s": 9.0}, "Paddle's import time", "warn", "close other programs", True),
        ({"numpy": None}, {}, "NumPy", "missing", "numpy>=1.26,<2", False),
        ({"numpy": "2.2.0"}, {}, "NumPy", "warn", "numpy<2", True),
        ({"numpy": "2.2.0"}, {"paddle": "2.6.2"}, "NumPy", "missing", "numpy<2", False),
        ({"numpy": "2.2.0", "paddleslim": None}, {}, "NumPy", "ok", "", True),
        ({"setuptools": None}, {}, "setuptools", "missing", "setuptools>=68,<81", False),
        ({"setuptools": "84.0"}, {"modules": {}}, "setuptools", "warn", "for PaddleSlim", True),
        ({"paddleslim": None}, {}, "PaddleSlim", "missing", "paddleslim==2.6.0", True),
        (
            {},
            {"modules": {"pkg_resources": True, "requests": True}},
            "PaddleSlim",
            "warn",
            "six decorator",
            True,
        ),
        ({"paddle2onnx": None}, {}, "paddle2onnx", "missing", "paddle2onnx==2.1.0", True),
        ({"paddle2onnx": None}, {"paddle": "2.6.2"}, "paddle2onnx", "missing", "paddle2onnx==1.3.1", True),
        ({"paddle2onnx": "1.3.1"}, {}, "paddle2onnx", "warn", "paddle2onnx==2.1.0", True),
        ({}, {"paddle": "2.6.2"}, "paddle2onnx", "warn", "paddle2onnx==1.3.1", True),
        ({"paddle2onnx": "1.3.1"}, {"paddle": "2.6.2"}, "paddle2onnx", "ok", "", True),
        ({"onnxruntime": None}, {}, "onnxruntime", "missing", "install onnxruntime", True),
        ({"openvino": None}, {}, "openvino", "missing", "install openvino", True),
        ({}, {"paddle": "develop"}, "Paddle", "ok", "", True),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(
    packages: dict[str, str | None], changes: dict[str, Any], what: str, status: str, do: str, runs: bool
) -> None:
    rows = described(packages, **changes)
    (row,) = [row for row in rows if row.what == what]
    assert row.status == status
    assert do in row.do
    assert bool(row.do) is (status != "ok")
    assert can_run(rows) is runs


@pytest.mark.parametrize(("cuda", "gpus", "status"), [(True, 0, "warn"), (True, 2, "ok")])
def test_gpu(cuda: bool, gpus: int, status: str) -> None:
    (row,) = doctor._gpu({**GOOD, "cuda": cuda, "gpus": gpus})
    assert row.status == status


def script(folder: Path, text: str) -> str:
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize("text", ["echo nonsense; exit 3", "kill -SEGV $$", ""])
def test_interpreter_that_is_none(tmp_path: Path, text: str) -> None:
    facts, row = probe(script(tmp_path, text))
    assert facts is None
    assert (row.status, row.required) == ("missing", True)


@pytest.mark.parametrize("path", ["/no/such/python", "/tmp"])
def test_interpreter_that_cannot_be_started(path: str) -> None:
    facts, row = probe(path)
    assert facts is None
    assert "--python" in row.do


def test_interpreter_without_paddle(tmp_path: Path) -> None:
    """`-S` and `-I` leave out site-packages: a Python with nothing installed."""
    facts, row = probe(script(tmp_path, f'exec {sys.executable} -S -I "$@"'))
    assert row.status == "ok"
    assert facts is not None
    assert "paddle" not in facts
    rows = [*doctor._paddle(facts), *doctor._numpy(facts)]
    assert not can_run(rows)


def test_this_environment(python: str, tmp_path: Path) -> None:
    rows = examine(python, tmp_path)
    assert can_run(rows)
    found = {row.what: row for row in rows}
    assert {"interpreter", "Python", "Paddle", "NumPy", "store", "cores", "GPU", "g++"} <= set(found)
    assert len(found) == len(rows)
    assert "paddle" not in sys.modules


def test_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (row,) = doctor._store(tmp_path / "file" / "store")
    assert (row.status, row.required) == ("missing", True)
    assert "HARNESS_STORE" in row.do
