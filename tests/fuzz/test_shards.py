"""A hunt as jobs: seeds that do not overlap, what is known goes along, what is found is folded once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from filelock import FileLock
from rich.console import Console
from typer.testing import CliRunner

from harness.cli.main import app
from harness.core.errors import HarnessError
from harness.core.paths import ROOT
from harness.fuzz.findings import Finding, Notebook
from harness.fuzz.shards import APART, SHARDS, Request, gather, hunt, shards_of
from harness.fuzz.verdict import Failure
from harness.jobs.backend import Settings
from harness.jobs.named import Named

SIDE = (Named("3.3.1", "3.3.1"),)


def finding(*operators: str, message: str = "off", outcome: Any = "fail", seen: int = 1) -> Finding:
    """A wrong answer of a chain of these operators."""
    network: Any = {"nodes": [{"op": name} for name in operators]}
    return Finding("3.3.1", Failure(outcome, "predictor", message), network, operators[-1], seen=seen)


def shard(folder: Path, name: str, seed: int, *findings: Finding) -> Notebook:
    notebook = Notebook(folder / SHARDS / name / "3.3.1")
    for one in findings:
        notebook.fold(one)
    notebook.used(seed)
    (notebook.folder / "examples" / str(seed)).write_text(name)
    for one in findings:
        (notebook.folder / f"{one.name}.py").write_text("print()")
    return notebook


def test_seeds_do_not_overlap_and_what_is_known_goes_along(tmp_path: Path) -> None:
    own = Notebook(tmp_path / "3.3.1")
    own.fold(finding("relu", seen=5))
    own.used(41)
    first, second = shards_of(SIDE, Request((SIDE,), 5, lanes=2), Settings(), tmp_path, 5, 0)
    assert [job.work.arguments[-1] for job in (first, second)] == ["--seed=42", f"--seed={42 + APART}"]
    assert first.folder != second.folder
    ((name, text),) = first.work.files
    assert name == "3.3.1/findings.json"
    (known,) = msgspec.json.decode(text, type=list[Finding])
    assert (known.operators, known.seen) == (("relu",), 0)
    (given,) = shards_of(SIDE, Request((SIDE,), 5, seed=7), Settings(), tmp_path, 5, 7)
    assert given.work.arguments[-1] == "--seed=7"


def test_what_several_found_is_folded_as_within_one_hunt(tmp_path: Path) -> None:
    """The smallest network explains the larger ones, in whichever order they come; other failures stay."""
    Notebook(tmp_path / "3.3.1").fold(finding("abs", message="no", outcome="error", seen=2))
    shard(tmp_path, "a", 1, finding("relu", "tanh"), finding("abs", message="no", outcome="error", seen=3))
    shard(tmp_path, "b", APART, finding("tanh"), finding("gelu", message="other", outcome="error"))
    shard(tmp_path, "attempts/b.1", 2 * APART, finding("exp", "relu"))
    new = gather(tmp_path)
    assert sorted(one.operators for one, _ in new) == [("exp", "relu"), ("gelu",), ("tanh",)]
    assert all(script.read_text() == "print()" for _, script in new)
    own = Notebook(tmp_path / "3.3.1")
    assert {one.operators: one.seen for one in own.findings} == {
        ("abs",): 5, ("tanh",): 2, ("gelu",): 1, ("exp", "relu"): 1
    }  # fmt: skip
    assert sorted(own.seeds) == [1, APART, 2 * APART]
    assert {path.name for path in (own.folder / "examples").iterdir()} == {"1", str(APART), str(2 * APART)}
    assert gather(tmp_path) == []


def test_two_hunts_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".shards.lock"),
        pytest.raises(HarnessError, match="another hunt with --backend is at work"),
    ):
        hunt(Request((SIDE,), 1), Settings(), ROOT, tmp_path, tmp_path / "store", Console(file=io.StringIO()))


@pytest.mark.slow
def test_a_hunt_as_jobs(python: str, tmp_path: Path) -> None:
    """Two processes of a few seconds; what a killed hunt left beside them is kept."""
    left = shard(tmp_path, "left", 3, finding("tanh"))
    arguments = [
        "fuzz",
        "--backend=local",
        f"--paddle={python}",
        "--minutes=0.1",
        "--jobs=2",
        f"--folder={tmp_path}",
    ]
    done = CliRunner().invoke(app, arguments)
    assert "1 new findings of a hunt that was killed are kept" in done.output.replace("\n", " ")
    assert "networks (" in done.output
    (name,) = (
        path.name for path in tmp_path.iterdir() if (path / "seeds.json").exists() and path.name != "3.3.1"
    )
    seeds = Notebook(tmp_path / name).seeds
    assert len([seed for seed in seeds if seed < APART]) >= 1
    assert len([seed for seed in seeds if seed > APART]) >= 1
    assert not left.folder.exists()
    assert not (tmp_path / SHARDS).exists()
