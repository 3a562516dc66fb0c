"""Parts of a run as one run, with and without jobs that came to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.options import Options
from harness.core.types import Record, RunFooter, RunHeader
from harness.gate.matrix import Request, jobs_of
from harness.jobs.backend import Settings, parsed_labels, parsed_resources
from harness.jobs.job import JobResult
from harness.jobs.merge import merged
from harness.jobs.named import Named
from harness.records.files import RecordWriter


def part(folder: Path, producers: list[str], cases: list[str], whole: bool = True) -> Path:
    folder.mkdir(parents=True)
    writer = RecordWriter(folder / "records.jsonl")
    writer.write(
        RunHeader(
            run=folder.name,
            started="2026-01-01T00:00:00Z",
            tier="quick",
            command="pytest",
            selected=2,
            options={"models": ["lenet"], "producers": producers, "python": "/python"},
            environment={"paddle": {"version": "3.3.1"}},
        )
    )
    for case in cases:
        writer.write(Record(case=case, nodeid=case, area="upgrade", outcome="pass", comparisons=1))
    if whole:
        load = {"artifacts made": 2, "store repairs": ["one"], "load1": 0.5}
        writer.write(
            RunFooter(
                finished="2026-01-01T00:01:00Z",
                duration_s=2.0,
                exit_status=0,
                collected=2,
                load=load,
                problems=("stale",),
            )
        )
    writer.close()
    return folder


def end(job: str, status: str = "done", reason: str = "") -> JobResult:
    return JobResult(job, "digest", status, attempts=2, reason=reason)  # type: ignore[arg-type]


def test_parts_are_one_run(tmp_path: Path) -> None:
    parts = [
        (end("own"), part(tmp_path / "a", ["3.3.1=/python"], ["one", "two"]), "own"),
        (end("rest"), part(tmp_path / "b", ["2.6.2=/other"], ["three", "four"]), "rest"),
    ]
    run = merged(parts, tmp_path / "3.3.1")
    assert [record.case for record in run.records] == ["one", "two", "three", "four"]
    assert run.header.selected == 4
    assert run.header.run == "3.3.1"
    assert run.header.options["producers"] == ["3.3.1=/python", "2.6.2=/other"]
    assert run.footer is not None
    assert (run.footer.collected, run.footer.duration_s, run.footer.problems) == (4, 4.0, ("stale",))
    assert run.footer.load == {"artifacts made": 4, "store repairs": ["one", "one"], "load1": 0.5}
    assert (tmp_path / "3.3.1/index.html").exists()
    assert merged(parts, tmp_path / "3.3.1").records == run.records, "a second time gives the same"


def test_a_job_that_failed_leaves_the_run_without_an_end(tmp_path: Path) -> None:
    parts = [
        (end("own"), part(tmp_path / "a", [], ["one", "two"]), "own"),
        (
            end("rest", "failed", "killed by SIGKILL"),
            part(tmp_path / "b", [], ["three"], whole=False),
            "rest",
        ),
    ]
    run = merged(parts, tmp_path / "3.3.1")
    assert run.footer is None
    assert [record.case for record in run.records] == ["one", "two", "three", "jobs/rest"]
    assert (run.records[-1].outcome, run.records[-1].reason) == ("crash", "killed by SIGKILL")


def test_a_job_without_a_machine_is_not_run(tmp_path: Path) -> None:
    run = merged(
        [(end("own", "not-run", "no node has kunlun 1"), tmp_path / "none", "own")], tmp_path / "3.3.1"
    )
    (record,) = run.records
    assert (record.outcome, record.reason) == ("not-run", "no node has kunlun 1")


def test_a_matrix_is_own_files_first_then_what_crosses() -> None:
    settings = Settings(resources={"kunlun": 1.0})
    request = Request(("2.6.2", "3.3.1"), Options(store="/store", models=("lenet", "lstm")), jobs=settings)
    environments = [Named("2.6.2", "2.6.2"), Named("my-venv", "/my/venv/bin/python")]
    jobs = {job.name: job for parts in jobs_of(environments, request).values() for job in parts}
    assert len(jobs) == 8
    crossing = jobs["my-venv lstm"]
    assert crossing.after == ("2.6.2 lstm, own files", "my-venv lstm, own files")
    assert crossing.work.producers == ("2.6.2",)
    assert crossing.work.environment == "/my/venv/bin/python"
    assert crossing.work.arguments == ("suites/test_upgrade.py",)
    assert crossing.work.options == Options(store="/store", models=("lstm",))
    assert all(job.resources == {"kunlun": 1.0} for job in jobs.values())
    assert len({job.folder for job in jobs.values()}) == len({job.digest for job in jobs.values()}) == 8


def test_resources_and_labels_are_read() -> None:
    assert parsed_resources("GPU, kunlun=0.5,") == {"GPU": 1.0, "kunlun": 0.5}
    assert parsed_labels("room=quiet") == {"room": "quiet"}
    for text in ("GPU=many", "GPU=0", "=1"):
        with pytest.raises(UsageError, match="write NAME=NUMBER, as in GPU=1"):
            parsed_resources(text)
    with pytest.raises(UsageError, match="write NAME=VALUE, as in machine=quiet"):
        parsed_labels("quiet")
