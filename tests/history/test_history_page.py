"""The page of all runs, and the commands that print and write."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from browser import needs_chromium, sizes
from history.replay import failing, replay, slower
from pages import HOSTILE, Page, section

from conftest import InProcess
from harness.core.types import Record
from harness.history.data import Narrowed, open_history
from harness.history.fleet import Fleet, look
from harness.history.page import render

pytest.importorskip("duckdb", reason="the history extra is not installed")
pytest.importorskip("ruptures", reason="the history extra is not installed")

CHECK = "agreement/first_and_later_runs[lenet-predictor]"
TIMED = "latency/run[lenet-predictor-1]"


def fill(folder: Path, days: int = 48) -> Path:
    """Two releases in turns on a machine whose predictor slowed down and whose check fails at the end."""
    for day in range(days):

        def edit(record: Record, day: int = day) -> Record:
            if record.case == CHECK and day >= days - 2:
                return failing(record, f"wrong {HOSTILE}")
            return slower(record, 1.5) if record.case == TIMED and day >= days // 2 else record

        run = replay(
            folder / f"day{day:02}",
            day,
            edit,
            paddle={"version": ("3.2.2", "3.3.1")[day % 2]},
            host=f"desk {HOSTILE}",
        )
        (run.folder / "index.html").write_text("a page")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def fleet(folder: Path) -> Fleet:
    return look(open_history([folder], Narrowed()))


@pytest.fixture(scope="module")
def text(folder: Path, fleet: Fleet) -> str:
    return render(fleet, "harness history", folder / "history.html")


def test_page_is_whole_offline_and_tame(text: str) -> None:
    page = Page(text)
    assert {"newest", "moved", "claims", "trends", "flaky", "first", "slowest", "runs"} <= set(page.ids())
    assert len(page.ids()) == len(set(page.ids()))
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert "<script" not in text
    assert not re.search(r'(?:href|src)="(?:https?:)?//', text)
    for link in page.links():
        if link.startswith("#"):
            assert link[1:] in page.ids(), link


def test_page_links_the_runs_below_it(folder: Path, fleet: Fleet, text: str, tmp_path: Path) -> None:
    links = Page(text).links()
    assert "day47/index.html" in links
    number = next(row["number"] for row in fleet.moved if row["case_id"] == CHECK)
    assert f"day47/index.html#case-{number}" in links
    assert all((folder / link.split("#")[0]).is_file() for link in links if "index.html" in link)
    elsewhere = Page(render(fleet, "harness history", tmp_path / "history.html")).links()
    assert not [link for link in elsewhere if "index.html" in link]


def test_page_tells_what_moved_and_where_it_slowed_down(fleet: Fleet, text: str) -> None:
    assert [(row["case_id"], row["before"], row["outcome"]) for row in fleet.moved] == [
        (CHECK, "pass", "fail")
    ] * 2
    assert "2 unexpected results in the newest of each" in text
    claims = section(text, "claims")
    assert "was: holds" in claims
    assert claims.count("moved</span>") == sum(row.moved for row in fleet.claims) > 0
    trends = section(text, "trends")
    assert "+50.0 %" in trends
    assert TIMED in trends
    assert trends.count("<svg") >= 1
    assert "day46" in section(text, "first")


def test_a_case_run_again_is_no_newest_run(tmp_path: Path) -> None:
    replay(tmp_path / "whole")
    again = replay(tmp_path / "reruns" / "one", 1).folder / "records.jsonl"
    again.write_bytes(b"".join(again.read_bytes().splitlines(keepends=True)[:2]))
    found = look(open_history([tmp_path], Narrowed()))
    assert [run.run for run in found.newest] == ["whole"]
    assert [run.run for run in found.runs] == ["reruns/one", "whole"]


def test_page_of_one_run_says_so(tmp_path: Path) -> None:
    replay(tmp_path / "one")
    text = render(look(open_history([tmp_path], Narrowed())), "harness history", tmp_path / "history.html")
    Page(text)
    assert "1 run of 1 release on 1 machine: nothing unexpected" in text
    assert "No latency was measured in two runs." in text


@needs_chromium
def test_page_fits_its_window(text: str, tmp_path: Path) -> None:
    for width, (content, window, height) in zip((1400, 400), sizes(tmp_path, text, 1400, 400), strict=True):
        assert content <= window, f"{content} pixels of content in {width}"
        assert height > 1000


def test_query_prints_tables_csv_and_json(folder: Path, in_process: InProcess) -> None:
    sql = "SELECT release, count(*) AS runs FROM runs GROUP BY ALL ORDER BY ALL"
    done = in_process(folder, "query", sql, ".")
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["release", "runs"],
        ["3.2.2", "24"],
        ["3.3.1", "24"],
    ]
    text = in_process(folder, "query", sql, ".", "--format", "json").stdout
    assert json.loads(text) == [{"release": "3.2.2", "runs": 24}, {"release": "3.3.1", "runs": 24}]
    changed = in_process(folder, "query", "SELECT run FROM changes", "--format", "csv", ".")
    assert list(csv.reader(io.StringIO(changed.stdout))) == [["run"], ["day24"], ["day25"]]


def test_wrong_queries_end_with_one_sentence(folder: Path, in_process: InProcess) -> None:
    for arguments, words in (
        (["SELECT x FROM runs", "."], 'column "x" not found'),
        (["FROM runs", "missing"], "there is no missing"),
        ([], "--list"),
    ):
        done = in_process(folder, "query", *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_history_prints_what_wants_a_look_and_writes_the_page(folder: Path, in_process: InProcess) -> None:
    done = in_process(folder, "history", ".", "--html", "all.html", "--target", "predictor")
    assert done.returncode == 0, done.stderr
    assert "48 runs of 2 releases on 1 machine" in done.stdout
    assert "moved: 2" in done.stdout
    assert (folder / "all.html").is_file()
    listed = in_process(folder, "query", "--list", ".")
    assert {"first_failures", "flaky", "changes"} <= {
        line.split(" ")[0] for line in listed.stdout.splitlines()
    }


def test_merge_writes_a_run_and_its_page(tmp_path: Path, in_process: InProcess) -> None:
    replay(tmp_path / "desk", host="desk")
    replay(tmp_path / "rack", host="rack", edit=lambda r: msgspec.structs.replace(r, duration_s=1.0))
    done = in_process(tmp_path, "merge", "desk", "far=rack", "-o", "all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Paddle 3.3.1 passes" in done.stdout
    assert "predictor @ far" in (tmp_path / "all" / "index.html").read_text()
    again = in_process(tmp_path, "merge", "desk", "rack", "-o", "all")
    assert again.returncode == 1
    assert "already holds a run" in again.stderr
