"""The local backend and what drives it: order, company, second tries, and ends that are records."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.jobs.drive import Drive
from harness.jobs.job import Job, NodeLost, NotStarted, TaskResult
from harness.jobs.journal import Journal
from harness.jobs.local import Local
from harness.jobs.watch import SAID, Watch
from jobs.conftest import run
from jobs.works import Refused, Shell, noted


def test_a_job_runs_after_those_it_needs(log: Path, folder: Path, backend: Local) -> None:
    last = Job("last", noted(log, "last"), "last", after=("one", "two"))
    first = [Job(name, noted(log, name, 0.1), name) for name in ("one", "two")]
    ends = run([last, *first], backend, folder)
    assert {end.status for end in ends.values()} == {"done"}
    lines = log.read_text().splitlines()
    assert lines[-2:] == ["begin last", "end last"]
    assert set(lines[:2]) == {"begin one", "begin two"}, "what may share the machine does"


def test_a_timing_job_has_the_machine_for_itself(log: Path, folder: Path, backend: Local) -> None:
    jobs = [Job(f"shared{i}", noted(log, f"shared{i}", 0.05), f"{i}") for i in range(6)]
    timing = [Job(f"timing{i}", noted(log, f"timing{i}", 0.05), f"t{i}", timing=True) for i in range(2)]
    run([*jobs[:3], *timing, *jobs[3:]], backend, folder)
    lines = log.read_text().splitlines()
    assert len(lines) == 16
    for name in ("timing0", "timing1"):
        begun = lines.index(f"begin {name}")
        assert lines[begun + 1] == f"end {name}"
        others = [line.split()[1] for line in lines[:begun]]
        assert all(others.count(other) == 2 for other in others), "nothing else was running"


def test_what_fails_once_is_tried_again(folder: Path, backend: Local) -> None:
    marker = folder.parent / "marker"
    work = Shell(f"echo tried > attempt; test -e {marker} || {{ touch {marker}; kill -9 $$; }}")
    ends = run([Job("job", work, "part/job")], backend, folder)
    assert (ends["job"].status, ends["job"].attempts) == ("done", 2)
    assert (folder / "part/job/attempt").exists()
    assert (folder / "attempts/job.1/attempt").exists(), "what the first attempt left is kept"


def test_what_fails_twice_is_a_record_and_the_others_go_on(log: Path, folder: Path, backend: Local) -> None:
    jobs = [
        Job("killed", Shell(f"echo tried >> {log}; kill -9 $$"), "killed"),
        Job("refused", Refused("no such environment"), "refused"),
        Job("after", noted(log, "after"), "after", after=("killed",)),
    ]
    ends = run(jobs, backend, folder)
    assert ends["killed"].sentence == "killed failed twice: killed by SIGKILL"
    assert ends["refused"].sentence == "refused failed twice: no such environment"
    assert ends["after"].status == "done"
    assert log.read_text().splitlines() == ["tried", "tried", "begin after", "end after"]


def test_what_the_machine_has_not_is_not_run(folder: Path, backend: Local, log: Path) -> None:
    jobs = [
        Job("far", noted(log, "far"), "far", resources={"kunlun": 1}, labels={"room": "quiet"}),
        Job("near", noted(log, "near"), "near", resources={"CPU": 1}),
    ]
    ends = run(jobs, backend, folder)
    assert ends["far"].sentence.startswith("far was not run: this machine has no kunlun, label room=quiet")
    assert ends["near"].status == "done"
    assert "far" not in log.read_text()


def test_what_cannot_be_meant_ends_everything(folder: Path, backend: Local) -> None:
    jobs = [Job(name, Refused("no model named x", begun=False), name) for name in ("one", "two")]
    with pytest.raises(NotStarted, match="did not start: no model named x"):
        run(jobs, backend, folder)


class Losing(Local):
    """Loses the machine under a job so many times."""

    def __init__(self, root: Path, times: int) -> None:
        super().__init__(root, 1)
        self.times = times

    def _run(self, job: Job, folder: Path) -> TaskResult:
        self.times -= 1
        if self.times >= 0:
            raise NodeLost("its node is gone")
        return super()._run(job, folder)


@pytest.mark.parametrize(("times", "status"), [(3, "done"), (20, "failed")])
def test_a_lost_machine_is_no_fault_of_the_job(
    tmp_path: Path, folder: Path, log: Path, times: int, status: str
) -> None:
    backend = Losing(tmp_path, times)
    ends = run([Job("job", noted(log, "job"), "job")], backend, folder)
    backend.close()
    assert ends["job"].status == status
    assert ends["job"].attempts <= 1


def test_told_to_end_it_ends(tmp_path: Path, folder: Path, log: Path) -> None:
    """As on Ctrl-C: what runs is ended, what waits is not begun, and nothing counts as done."""
    backend = Local(tmp_path, 1)
    jobs = [Job(name, noted(log, name, 60), name) for name in ("one", "two")]

    class Interrupting(Journal):
        def begun(self, job: str, attempt: int) -> None:
            super().begun(job, attempt)
            if job == "two":
                raise KeyboardInterrupt

    journal = Interrupting(folder)
    with pytest.raises(KeyboardInterrupt), Watch(Console(file=io.StringIO())) as watch:
        Drive(jobs, backend, folder, journal, watch).run()
    backend.close()
    assert journal.ends == {}
    assert "end" not in log.read_text()


def test_what_a_job_says_is_shown_once(folder: Path) -> None:
    shown = io.StringIO()
    watch = Watch(Console(file=shown, width=200))
    job = Job("timing", noted(folder / "log", "timing"), "timing")
    watch.begin([job], 0)
    watch.started(job, folder / "timing")
    (folder / "timing").mkdir()
    for text in ("4 pairs\n", "8 pairs\n"):
        with (folder / "timing" / SAID).open("a") as file:
            file.write(text)
        watch.tick()
    assert shown.getvalue() == "4 pairs\n8 pairs\n"
