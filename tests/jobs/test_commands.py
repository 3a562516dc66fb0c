"""What cannot be meant of an backend is one sentence, before anything is made."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.core.errors import UsageError

WITHOUT_RAY = importlib.util.find_spec("ray") is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--address", "localhost:6379"), "give --backend ray with it"),
        (("--backend", "ray", "--add-model", "net.py:build"), "models of your own stay on this machine"),
        (("--resources", "GPU=many"), "write NAME=NUMBER, as in GPU=1,kunlun=1"),
        (("--labels", "quiet"), "write NAME=VALUE, as in machine=quiet"),
        pytest.param(
            ("--backend", "ray"),
            "install the project's ray extra",
            marks=pytest.mark.skipif(not WITHOUT_RAY, reason="Ray is installed here"),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["gate", "matrix"])
def test_mistakes_are_usage(kind: str, arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    done = CliRunner().invoke(app, [kind, "3.3.0", "3.3.1", "--folder", str(folder), *arguments])
    assert isinstance(done.exception, UsageError), done.output
    assert words in str(done.exception)
    assert not folder.exists()
