"""The page as a file: whole or not at all, small, and a sentence when it cannot be written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from builders import record, write_run
from sample_run import sample

from harness.core.errors import HarnessError
from harness.report import write_report


def test_large_run_stays_small(tmp_path: Path) -> None:
    records = list(sample())
    twice = records + [record(f"more/{r.case}", measures=r.measures) for r in records]
    path = write_report(write_run(tmp_path / "run", twice), tmp_path / "page.html")
    assert len(twice) > 800
    assert path.stat().st_size < 2_000_000


def test_write_report_replaces_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("the old page")
    assert write_report(write_run(tmp_path / "run", [record()]), path) == path
    assert "passes" in path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html", "run"]


def test_write_report_into_nowhere_is_one_sentence(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [record()])
    with pytest.raises(HarnessError, match=r"cannot write the report .*name another file"):
        write_report(run, tmp_path / "missing" / "page.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(HarnessError, match="cannot write the report"):
        write_report(run, tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "run"]
