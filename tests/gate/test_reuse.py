"""A baseline's records are used again only where nothing that decides them has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from report.builders import record, write_run

from harness.core.options import Options
from harness.environments import Environment
from harness.environments.manifest import MANIFEST
from harness.gate import reuse


def environment(folder: Path, name: str, text: str = "{}", managed: bool = True) -> Environment:
    python = folder / name / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    (folder / name / MANIFEST).write_text(text)
    return Environment(name, name, str(python), "default", managed)


def project(folder: Path, text: str = "x = 1") -> Path:
    (folder / "suites").mkdir(parents=True)
    (folder / "suites" / "test_a.py").write_text(text)
    return folder


def test_the_key_changes_with_everything_that_decides(tmp_path: Path) -> None:
    old, new = environment(tmp_path, "2.6.2"), environment(tmp_path, "3.3.1")
    root = project(tmp_path / "project")
    arguments, options = ("suites",), Options()
    keys = [
        reuse.key((old, new), options, arguments, root),
        reuse.key((new, old), options, (*arguments, "x"), root),
        reuse.key((old, new), Options(models=("lenet",)), arguments, root),
        reuse.key((old, new), options, arguments, project(tmp_path / "other", "x = 2")),
        reuse.key((old, environment(tmp_path, "3.3.1", '{"made": "again"}')), options, arguments, root),
    ]
    assert all(keys)
    assert len(set(keys)) == len(keys)
    assert reuse.key((old, environment(tmp_path, "3.3.1")), options, arguments, root) == keys[0]


def test_what_may_change_in_place_has_no_key(tmp_path: Path) -> None:
    old, new = environment(tmp_path, "2.6.2"), environment(tmp_path, "venv", managed=False)
    root = project(tmp_path / "project")
    assert reuse.key((old, new), Options(), (), root) == ""
    assert reuse.key((old, old), Options(add_model=("net.py:build",)), (), root) == ""
    gone = Environment("gone", "gone", str(tmp_path / "gone" / "bin" / "python"), "default", True)
    assert reuse.key((old, gone), Options(), (), root) == ""


def test_a_whole_run_is_copied(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [record()])
    (tmp_path / "run" / "logs").mkdir()
    reuse.remember(tmp_path / "store", "key", run)
    found = reuse.find(tmp_path / "store", "key", tmp_path / "gate" / "baseline")
    assert found is not None
    assert found.records == run.records
    assert found.folder == tmp_path / "gate" / "baseline"
    assert not (found.folder / "logs").exists()
    assert reuse.find(tmp_path / "store", "another", tmp_path / "other") is None
    assert reuse.find(tmp_path / "store", "", tmp_path / "other") is None


@pytest.mark.parametrize("damage", ["cut", "gone", "garbage"])
def test_a_run_that_is_not_whole_any_more_is_not_used(tmp_path: Path, damage: str) -> None:
    run = write_run(tmp_path / "run", [record(), record("a/b")])
    reuse.remember(tmp_path / "store", "key", run)
    records = run.folder / "records.jsonl"
    if damage == "cut":
        lines = records.read_text().splitlines(keepends=True)
        records.write_text("".join([lines[0], *lines[2:]]))
    elif damage == "gone":
        records.unlink()
    else:
        records.write_text("garbage")
    assert reuse.find(tmp_path / "store", "key", tmp_path / "into") is None
    assert not (tmp_path / "into").exists()


def test_only_what_ended_well_is_kept(tmp_path: Path) -> None:
    for number, run in enumerate(
        (
            write_run(tmp_path / "interrupted", [record()], footer=False),
            write_run(tmp_path / "faulty", [record()], problems=("a stale known failure",)),
        )
    ):
        reuse.remember(tmp_path / "store", f"key{number}", run)
        assert reuse.find(tmp_path / "store", f"key{number}", tmp_path / f"into{number}") is None
