"""Runs of several machines as one: whole, each record with its machine, and read like any other."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from history.replay import failing, replay
from pages import Page

from harness.core.errors import HarnessError, UsageError
from harness.gate import comparison
from harness.history.data import open_history
from harness.history.merge import Duplicates, merge, parts
from harness.records.files import Run, read_run
from harness.records.finding import find_case
from harness.report import render, summary
from harness.targets import target

pytest.importorskip("duckdb", reason="the history extra is not installed")

CHECK = "agreement/first_and_later_runs[lenet-predictor]"
CPU = {"model": "EPYC", "flags": ["avx2"], "cores": 64}


@pytest.fixture
def desk(tmp_path: Path) -> Run:
    return replay(tmp_path / "desk-run", host="desk")


@pytest.fixture
def rack(tmp_path: Path) -> Run:
    return replay(tmp_path / "rack-run", 1, host="rack", cpu=CPU)


def together(
    folder: Path, *runs: Run, rule: Duplicates = Duplicates.refuse, names: tuple[str, ...] = ()
) -> Run:
    named = [(name, run) for name, run in zip(names or [""] * len(runs), runs, strict=True)]
    return merge(parts(named), folder, rule, "harness merge")


def test_every_record_is_there_with_its_place(tmp_path: Path, desk: Run, rack: Run) -> None:
    merged = together(tmp_path / "all", desk, rack)
    assert merged.complete
    assert len(merged.records) == len(desk.records) + len(rack.records)
    assert summary.standing_counts(merged) == {
        key: 2 * count for key, count in summary.standing_counts(desk).items()
    }
    for machine, run in (("desk", desk), ("rack", rack)):
        mine = [record for record in merged.records if record.machine == machine]
        assert [record.own_case for record in mine] == [record.case for record in run.records]
        for record, own in zip(mine, run.records, strict=True):
            assert msgspec.structs.replace(record, machine="", case=own.case) == own
    assert len({record.case for record in merged.records}) == len(merged.records)
    environment = merged.header.environment
    assert environment["paddle"]["version"] == "3.3.1"
    assert environment["machines"]["rack"]["cpu"] == CPU
    assert "host" not in environment, "what differs is told machine by machine"
    assert read_run(tmp_path / "all") == merged


def test_page_and_comparison_have_a_column_for_each_machine(tmp_path: Path, desk: Run, rack: Run) -> None:
    merged = together(tmp_path / "all", desk, rack)
    grid = summary.grid(merged)
    assert {"predictor @ desk", "predictor @ rack"} <= set(grid.targets)
    text = render(merged)
    Page(text)
    assert "predictor @ rack" in text
    found = comparison.compare([merged], target.load(), ("predictor",))
    assert [(column.id, column.host, column.cpu == "EPYC") for column in found.columns] == [
        ("all:predictor @ desk", "desk", False),
        ("all:predictor @ rack", "rack", True),
    ]
    assert all(cells[0] and cells[1] for cells in found.conformance.values())


def test_what_one_machine_ran_keeps_its_id_and_can_be_found(tmp_path: Path, desk: Run) -> None:
    other = replay(
        tmp_path / "other", 1, lambda r: msgspec.structs.replace(r, case=f"more/{r.case}"), host="rack"
    )
    merged = together(tmp_path / "all", desk, other)
    assert find_case(merged, CHECK).machine == "desk"
    assert find_case(merged, f"more/{CHECK}").own_case == f"more/{CHECK}"


def test_history_counts_a_merged_run_and_its_own_runs_once(tmp_path: Path, desk: Run, rack: Run) -> None:
    merged = together(tmp_path / "all", desk, rack)
    history = open_history([tmp_path])
    cases = len(desk.records)
    assert history.query("SELECT run, count(*) FROM cases GROUP BY run ORDER BY run")[1] == [
        ("desk-run", cases),
        ("rack-run", cases),
    ]
    assert history.skipped.merged == 2 * cases
    alone = open_history([merged.folder])
    assert alone.query(
        "SELECT host, cpu = 'EPYC', count(DISTINCT case_id) FROM cases GROUP BY ALL ORDER BY ALL"
    )[1] == [("desk", False, cases), ("rack", True, cases)]


@pytest.mark.parametrize(("rule", "kept"), [(Duplicates.newest, "pass"), (Duplicates.worst, "fail")])
def test_one_machine_twice_needs_a_rule(tmp_path: Path, desk: Run, rule: Duplicates, kept: str) -> None:
    bad = replay(tmp_path / "bad", -1, lambda r: failing(r) if r.case == CHECK else r, host="desk")
    with pytest.raises(UsageError, match="more than once on one machine") as caught:
        together(tmp_path / "all", desk, bad)
    assert "--duplicates newest or worst" in str(caught.value)
    assert not (tmp_path / "all").exists()
    merged = together(tmp_path / "all", bad, desk, rule=rule)
    assert len(merged.records) == len(desk.records)
    assert find_case(merged, CHECK).outcome == kept
    twice = together(tmp_path / "named", bad, desk, names=("before", "after"))
    assert {record.machine for record in twice.records} == {"before", "after"}


def test_a_merged_run_can_be_merged_again(tmp_path: Path, desk: Run, rack: Run) -> None:
    third = replay(tmp_path / "third", 2, host="edge")
    merged = together(tmp_path / "three", together(tmp_path / "two", desk, rack), third)
    assert len(merged.records) == 3 * len(desk.records)
    assert list(merged.header.environment["machines"]) == ["desk", "rack", "edge"]
    assert {record.own_case for record in merged.records} == {record.case for record in desk.records}


def test_an_interrupted_run_leaves_the_whole_incomplete(tmp_path: Path, desk: Run, rack: Run) -> None:
    file = rack.folder / "records.jsonl"
    file.write_bytes(file.read_bytes()[:-300])
    merged = together(tmp_path / "all", desk, read_run(rack.folder))
    assert not merged.complete
    assert summary.verdict(merged).status == "incomplete"


def test_unlike_releases_and_lone_runs_are_refused(tmp_path: Path, desk: Run) -> None:
    other = replay(tmp_path / "other", host="rack", paddle={"version": "2.6.2"})
    with pytest.raises(UsageError, match="harness compare"):
        together(tmp_path / "all", desk, other)
    with pytest.raises(UsageError, match="two or more"):
        together(tmp_path / "all", desk)
    with pytest.raises(HarnessError, match="already holds a run"):
        together(desk.folder, desk, replay(tmp_path / "rack", host="rack"))
