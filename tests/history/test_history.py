"""The data set of all runs: the common questions answered on records that really were, put at other times."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from history.replay import REAL, Edit, failing, real, replay, slower

from harness.core.errors import HarnessError, UsageError
from harness.core.types import SCHEMA_VERSION, Record
from harness.history.changes import add_changes
from harness.history.data import History, Narrowed, open_history
from harness.jobs.drive import EARLIER
from harness.jobs.journal import JOURNAL
from harness.report import summary

pytest.importorskip("duckdb", reason="the history extra is not installed")
pytest.importorskip("ruptures", reason="the history extra is not installed")

CHECK = "agreement/first_and_later_runs[lenet-predictor]"
TIMED = "latency/run[lenet-predictor-1]"
ALL = Narrowed()


def only(case: str, edit: Edit) -> Edit:
    return lambda record: edit(record) if record.case == case else record


def column(history: History, sql: str) -> list[object]:
    return [row[0] for row in history.query(sql)[1]]


def test_what_jobs_made_counts_once(tmp_path: Path) -> None:
    """A matrix' runs and not their parts; the parts, where it was killed before it put them together."""
    folder = tmp_path / "matrix"
    for number, name in enumerate(("parts/3.3.1-own", "parts/3.3.1", f"{EARLIER}/3.3.1.1")):
        replay(folder / name, number)
    (folder / JOURNAL).touch()
    assert column(open_history([tmp_path]), "SELECT run FROM runs ORDER BY run") == ["3.3.1", "3.3.1-own"]
    replay(folder / "3.3.1")
    assert column(open_history([tmp_path]), "SELECT run FROM runs") == ["3.3.1"]
    (folder / JOURNAL).unlink()
    assert len(column(open_history([tmp_path]), "SELECT run FROM runs")) == 4


def test_runs_and_cases_are_those_of_the_records(tmp_path: Path) -> None:
    run = replay(tmp_path / "a" / "one")
    replay(tmp_path / "b" / "two", 1, host="rack")
    (tmp_path / "latest").symlink_to(run.folder)
    history = open_history([tmp_path])
    assert list(history.skipped.sentences()) == []
    assert column(history, "SELECT run FROM runs ORDER BY started") == ["a/one", "b/two"]
    counts = summary.standing_counts(run)
    _, ((cases, passed, unexpected, known, not_run, host),) = history.query(
        "SELECT cases, passed, unexpected, known, not_run, host FROM runs WHERE run = 'b/two'"
    )
    assert (cases, host) == (len(run.records), "rack")
    assert (passed, unexpected, known, not_run) == (
        counts["pass"],
        counts["unexpected"],
        counts["known"],
        counts["not-run"],
    )
    names, rows = history.query("SELECT * FROM cases WHERE run = 'a/one' ORDER BY number")
    told = [dict(zip(names, row, strict=True)) for row in rows]
    for place, (record, row) in enumerate(zip(run.records, told, strict=True)):
        assert row["number"] == place, "the page's anchor of the case"
        assert (row["case_id"], row["outcome"], row["cause"]) == (record.case, record.outcome, record.reason)
        assert (row["comparisons"], row["elements"]) == (record.comparisons, record.elements)
        assert set(row["claims"]) == set(record.claims)
        assert row["standing"] == summary.standing(record)
        assert row["release"] == "3.3.1"


def test_verdicts_on_claims_are_the_page_s(tmp_path: Path) -> None:
    for edit in (lambda record: record, only(CHECK, failing)):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        run = replay(folder / "run", edit=edit)
        history = open_history([folder])
        found = dict(history.query("SELECT claim, verdict FROM claims")[1])
        state = dict(history.query("SELECT claim, verdict FROM claim_state")[1])
        expected = {row.id: row.verdict for row in summary.claim_rows(run) if row.cases}
        assert found == state == expected
    assert "broken" in expected.values()


def test_first_failure_names_the_run_and_the_pass_before(tmp_path: Path) -> None:
    for day in range(6):
        edit = only(CHECK, failing) if day >= 3 else only("", failing)
        replay(tmp_path / f"day{day}", day, edit)
    history = open_history([tmp_path])
    _, rows = history.query(
        "SELECT case_id, first_run, passed_before, failed, runs, now, cause FROM first_failures"
        " WHERE standing <> 'known'"
    )
    assert rows == [(CHECK, "day3", "day2", 3, 6, "fail", failing(real().records[0]).reason)]
    _, moved = history.query("SELECT case_id FROM latest WHERE before <> outcome")
    assert moved == []
    (flips,) = column(history, f"SELECT flips FROM flaky WHERE case_id = '{CHECK}'")
    assert flips == 1


def test_flaky_is_what_changes_with_nothing_else_changed(tmp_path: Path) -> None:
    pattern = "pfpppfpp"
    for day, letter in enumerate(pattern):
        edit = only(CHECK, failing) if letter == "f" else only("", failing)
        replay(tmp_path / f"day{day}", day, edit)
    history = open_history([tmp_path])
    _, rows = history.query("SELECT case_id, flips, failed, runs, outcomes, failed_run FROM flaky")
    assert rows == [(CHECK, 4, 2, 8, "fail, pass", "day5")]


@pytest.mark.parametrize(
    "changed",
    [
        {"source": "another"},
        {"host": "another"},
        {"python": "3.12.1"},
        {"packages": {"numpy": "2.4"}},
        {"paddle": {"version": "3.3.1", "commit": "another"}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_change_that_is_recorded_explains_an_outcome(tmp_path: Path, changed: dict[str, object]) -> None:
    replay(tmp_path / "one")
    replay(tmp_path / "two", 1, only(CHECK, failing), **changed)
    assert column(open_history([tmp_path]), "SELECT case_id FROM flaky") == []


def test_runs_that_do_not_say_their_sources_are_never_flaky(tmp_path: Path) -> None:
    replay(tmp_path / "one", source=None)
    replay(tmp_path / "two", 1, only(CHECK, failing), source=None)
    assert column(open_history([tmp_path]), "SELECT case_id FROM flaky") == []


def test_latencies_and_their_change_point(tmp_path: Path) -> None:
    """Two releases in turns, and one of them slower on one machine from a day on."""
    for day in range(48):
        release = ("3.2.2", "3.3.1")[day % 2]
        late = release == "3.3.1" and day >= 24
        wobble = 1 + 0.01 * (day * 7 % 5)

        def edit(record: Record, factor: float = (1.3 if late else 1.0) * wobble) -> Record:
            return slower(record, factor) if record.case == TIMED else record

        replay(tmp_path / f"day{day:02}", day, edit, paddle={"version": release})
    history = open_history([tmp_path])
    add_changes(history)
    _, rows = history.query("SELECT case_id, run, release, change, runs_before, runs_after FROM changes")
    ((case, run, release, change, before, after),) = rows
    assert (case, run, release) == (TIMED, "day25", "3.3.1")
    assert change == pytest.approx(0.3, abs=0.03)
    assert (before, after) == (12, 12)
    assert column(history, f"SELECT count(*) FROM latencies WHERE case_id = '{TIMED}'") == [48]


def test_a_slower_release_is_named_where_it_followed_another(tmp_path: Path) -> None:
    for day in range(40):
        wobble = 1 + 0.01 * (day * 7 % 5)

        def edit(record: Record, factor: float = (1.2 if day >= 20 else 1.0) * wobble) -> Record:
            return slower(record, factor) if record.case == TIMED else record

        replay(tmp_path / f"day{day:02}", day, edit, paddle={"version": "3.3.1" if day >= 20 else "3.2.2"})
    history = open_history([tmp_path])
    add_changes(history)
    _, rows = history.query("SELECT run, release, differs, runs_before, runs_after FROM changes")
    assert rows == [("day20", "3.3.1", "3.2.2 → 3.3.1", 20, 20)]


def test_what_was_cut_or_is_no_record_is_counted(tmp_path: Path) -> None:
    whole = replay(tmp_path / "whole")
    cut = replay(tmp_path / "cut", 1).folder / "records.jsonl"
    lines = cut.read_bytes().splitlines(keepends=True)
    cut.write_bytes(b"".join(lines[:-2]) + lines[-2][:-40])
    strange = replay(tmp_path / "strange", 2).folder / "records.jsonl"
    newer = b'{"kind":"case","schema":%d,"case":"x","outcome":"pass"}\n' % (SCHEMA_VERSION + 1)
    odd = b'{"kind":"case","schema":1,"case":"odd","outcome":"pass","measures":7,"later":{"x":[1]}}\n\n'
    own = strange.read_bytes().splitlines(keepends=True)
    strange.write_bytes(own[0] + b"\x00\xff\n[1,2]\nword\n" + newer + odd + lines[1])
    for name, text in (("empty", b""), ("headless", lines[1])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "records.jsonl").write_bytes(text)
    history = open_history([tmp_path])
    assert list(history.skipped.sentences()) == [
        "4 lines could not be read (a run that is killed may cut its last)",
        "1 line of a newer harness left out: update the harness",
        "no run header in empty, headless: left out",
    ]
    _, rows = history.query("SELECT run, complete, cases FROM runs ORDER BY run")
    assert rows == [
        ("cut", False, len(whole.records) - 1),
        ("strange", False, 2),
        ("whole", True, len(whole.records)),
    ]


def test_a_run_that_was_copied_counts_once(tmp_path: Path) -> None:
    run = replay(tmp_path / "gate" / "baseline")
    (tmp_path / "later" / "baseline").mkdir(parents=True)
    copy = tmp_path / "later" / "baseline" / "records.jsonl"
    copy.write_bytes((run.folder / "records.jsonl").read_bytes())
    history = open_history([tmp_path])
    assert column(history, "SELECT run FROM runs") == ["gate/baseline"]
    assert list(history.skipped.sentences()) == ["1 copy of runs counted once"]


def test_narrowed_to_some_cases(tmp_path: Path) -> None:
    replay(tmp_path / "one")
    for narrowed, expected in (
        (Narrowed(targets=("predictor",)), "target = 'predictor'"),
        (Narrowed(case="first_and"), "contains(case_id, 'first_and')"),
        (Narrowed(case="latency/*-1]"), "case_id LIKE 'latency/%-1]'"),
        (Narrowed(models=("lenet",), releases=("9.9",)), "false"),
    ):
        found = column(open_history([tmp_path], narrowed), "SELECT case_id FROM cases")
        assert found == column(open_history([tmp_path]), f"SELECT case_id FROM cases WHERE {expected}")
        assert bool(found) == (expected != "false")


def test_folders_with_odd_names(tmp_path: Path) -> None:
    folder = tmp_path / "it's [1]*?"
    replay(folder / "one")
    assert column(open_history([folder]), "SELECT run FROM runs") == ["one"]
    assert column(open_history([folder / "one" / "records.jsonl"]), "SELECT count(*) > 0 FROM details") == [
        True
    ]


def test_details_measures_and_gates_are_there(tmp_path: Path) -> None:
    run = replay(tmp_path / "one")
    history = open_history([tmp_path])
    assert column(history, "SELECT count(*) FROM details") == [sum(len(r.details) for r in run.records)]
    assert column(history, "SELECT count(*) FROM measures") == [sum(bool(r.measures) for r in run.records)]
    assert column(history, "SELECT count(*) FROM gates") == [0]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nothing FROM runs", 'Referenced column "nothing" not found'),
        ("FROM chnages", 'Did you mean "changes"'),
        ("SELECT FROM", "syntax error"),
        ("-- nothing", "the query is empty"),
    ],
)
def test_wrong_sql_is_one_sentence(tmp_path: Path, sql: str, words: str) -> None:
    replay(tmp_path / "one")
    with pytest.raises(UsageError) as caught:
        open_history([tmp_path]).query(sql)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_folder_and_no_run_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no"):
        open_history([tmp_path / "missing"])
    with pytest.raises(UsageError, match="no run in"):
        open_history([tmp_path])


def test_without_duckdb_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(HarnessError, match="pip install duckdb ruptures"):
        open_history([REAL])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_a_sentence(tmp_path: Path) -> None:
    file = replay(tmp_path / "one").folder / "records.jsonl"
    file.chmod(0)
    with pytest.raises(HarnessError, match="cannot be read"):
        open_history([tmp_path])
