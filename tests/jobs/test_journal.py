"""What has ended is not run again: not after a cut line, a killed driver, or with other jobs beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.paths import ROOT
from harness.jobs.job import Job, JobResult
from harness.jobs.journal import JOURNAL, Journal, digest_of, is_open, new_folder
from harness.jobs.local import Local
from jobs.conftest import run
from jobs.works import Shell, noted


def test_only_what_has_not_ended_is_run(log: Path, folder: Path, backend: Local) -> None:
    mended = folder.parent / "mended"
    jobs = [
        Job("good", noted(log, "good"), "good"),
        Job("bad", Shell(f"echo bad >> {log}; test -e {mended}"), "bad"),
        Job("last", noted(log, "last"), "last", after=("good", "bad")),
    ]
    assert run(jobs, backend, folder)["bad"].status == "failed"
    with (folder / JOURNAL).open("ab") as file:
        file.write(b'{"kind":"ended","end":{"job":"la')  # a line that a kill has cut
    mended.touch()
    assert {end.status for end in run(jobs, backend, folder).values()} == {"done"}
    assert log.read_text().split().count("good") == 2, "begin and end, once"
    assert log.read_text().split().count("bad") == 3
    assert log.read_text().split().count("last") == 2
    assert Journal(folder).ends["bad"].status == "done", "and what was written behind the cut line is read"


def test_another_job_of_the_same_name_is_run(log: Path, folder: Path, backend: Local) -> None:
    run([Job("job", noted(log, "old"), "job")], backend, folder)
    run([Job("job", noted(log, "new"), "job")], backend, folder)
    assert log.read_text().splitlines()[-1] == "end new"
    assert (folder / "attempts/job.1").is_dir()


def test_changed_records_do_not_count(folder: Path) -> None:
    journal = Journal(folder)
    job = Job("job", Shell("true"), "job")
    (folder / "job").mkdir()
    records = folder / "job/records.jsonl"
    records.write_text("{}\n")
    journal.ended(JobResult("job", job.digest, "done", records=digest_of(records)))
    assert Journal(folder).finished(job, folder / "job") is not None
    records.write_text("")
    assert Journal(folder).finished(job, folder / "job") is None


def test_a_folder_is_gone_on_with_until_its_command_has_ended(folder: Path) -> None:
    assert new_folder(str(folder), folder, "gates", "") == folder
    journal = Journal(folder)
    journal.begun("job", 1)
    (folder / "baseline").mkdir()
    (folder / "baseline/records.jsonl").touch()
    assert is_open(folder)
    assert new_folder(str(folder), folder, "gates", "") == folder
    journal.close(whole=True)
    with pytest.raises(UsageError, match="already holds runs"):
        new_folder(str(folder), folder, "gates", "")


DRIVER = """
import io, pathlib, sys
from rich.console import Console
from harness.jobs.backend import Settings
from harness.jobs.job import Job
from harness.jobs.runner import Runner
from jobs.works import noted
folder = pathlib.Path(sys.argv[1])
seconds = (0, 60 if sys.argv[2] == "first" else 0, 0)
log = folder / "log"
names = ("one", "two", "three")
jobs = [Job(n, noted(log, n, 0), n, names[:i]) for i, n in enumerate(names)]
if sys.argv[2] == "first":
    # The second waits for a file that nobody writes before this process is killed.
    jobs[1] = Job("two", jobs[1].work, "two", ("one",))
    real = type(jobs[1].work).perform
    import jobs.works as works, time
    def slow(self, place):
        if "begin two" in self.script:
            (folder / "waiting").touch()
            time.sleep(60)
        return real(self, place)
    works.Shell.perform = slow
with Runner(Settings(), folder, folder, folder, Console(file=io.StringIO())) as runner:
    ends = runner.run(jobs)
print(*(end.status for end in ends.values()))
"""


def test_a_killed_driver_is_started_again(folder: Path) -> None:
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", DRIVER, str(folder)]
    first = subprocess.Popen([*command, "first"], env=variables)
    while not (folder / "waiting").exists():
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = subprocess.run([*command, "second"], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["done"] * 3
    lines = [line for line in (folder / "log").read_text().splitlines() if line.startswith("end")]
    assert lines == ["end one", "end two", "end three"], "what had ended was not run twice"


ENDLESS = """
import time

def test_endless():
    open({started!r}, "w").close()
    time.sleep(60)
"""

STARTER = """
import os, sys
from pathlib import Path
from harness.jobs import lifeline
from harness.jobs.progress import start_pytest
folder = Path(sys.argv[1])
arguments = ["-p", lifeline.__name__, "test_endless.py"]
child, _ = start_pytest(folder, folder, arguments, {lifeline.PARENT: str(os.getpid())})
print(child.pid, flush=True)
child.wait()
"""


def test_a_run_does_not_outlive_who_started_it(folder: Path) -> None:
    started = folder / "started"
    (folder / "test_endless.py").write_text(ENDLESS.format(started=str(started)))
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder)], env=variables, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    child = int(starter.stdout.readline())
    while not started.exists():
        assert starter.poll() is None, (folder / "pytest.log").read_text()
        time.sleep(0.05)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    end = time.monotonic() + 20
    while _runs(child):
        assert time.monotonic() < end, "it still runs"
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
