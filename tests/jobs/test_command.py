"""Commands as jobs: in a process of their own, ended in order, refused in their own words."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.core.errors import UsageError
from harness.core.options import Options
from harness.core.paths import ROOT
from harness.jobs.backend import Settings
from harness.jobs.by_target import jobs_of
from harness.jobs.command import SAYS, Command
from harness.jobs.job import NotStarted, Stopped, TaskResult, Workspace
from harness.jobs.named import Named
from harness.speed import jobs as aa_tests


def test_a_command_is_done_whatever_it_found(tmp_path: Path) -> None:
    """`env list` takes --folder, as what runs as a job does."""
    done = Command(("env", "list"), (("below/file", "text"),)).perform(Workspace(ROOT, tmp_path / "job"))
    assert done.ok, done.reason
    assert "3.3.1" in (tmp_path / "job" / SAYS).read_text()
    assert (tmp_path / "job/below/file").read_text() == "text"


def test_a_command_that_cannot_go_on_says_why(tmp_path: Path) -> None:
    """One sentence: of what cannot be meant at once, of anything else as how the job ended."""
    with pytest.raises(NotStarted, match="nosuch names no environment"):
        Command(("aa-test", "nosuch")).perform(Workspace(ROOT, tmp_path / "unmeant"))
    (tmp_path / "held/a").mkdir(parents=True)
    (tmp_path / "held/a/records.jsonl").touch()
    done = Command(("aa-test", "--add=/nosuch")).perform(Workspace(ROOT, tmp_path / "unread"))
    assert done == TaskResult(
        False, "cannot read /nosuch/pairs.jsonl: No such file or directory; name the folder of an A/A test"
    )


def test_a_command_ends_when_it_is_told_to(python: str, tmp_path: Path) -> None:
    """A hunt closes its notebook: the seed that it had begun with is in it."""
    stop = threading.Event()
    seeds = tmp_path / "job" / "name" / "seeds.json"

    def watch() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and not any((tmp_path / "job").glob("*/seeds.json")):
            time.sleep(0.05)
        stop.set()

    threading.Thread(target=watch).start()
    work = Command(("fuzz", f"--paddle={python}", "--minutes=5", "--seed=7"))
    with pytest.raises(Stopped):
        work.perform(Workspace(ROOT, tmp_path / "job", stop.is_set))
    (seeds,) = (tmp_path / "job").glob("*/seeds.json")
    assert seeds.read_text().split() == ["[", "7", "]"]
    assert "stopping" in (tmp_path / "job" / SAYS).read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--address", "localhost:6379"), "give --backend ray with it"),
        (("--labels", "machine=quiet"), "choose among machines"),
        (("--backend", "local", "--resources", "GPU=many"), "write NAME=NUMBER, as in GPU=1,kunlun=1"),
    ],
)
@pytest.mark.parametrize("command", ["fuzz", "aa-test", "run"])
def test_mistakes_are_usage(command: str, arguments: tuple[str, ...], words: str) -> None:
    done = CliRunner().invoke(app, [command, *arguments])
    assert isinstance(done.exception, UsageError), done.output
    assert words in str(done.exception)


def test_an_aa_test_has_its_machine_for_itself() -> None:
    settings = Settings(resources={"x86": 1.0})
    found = [Named("3.3.1", "3.3.1"), Named("3.3.1@legacy-ir", "3.3.1@legacy-ir")]
    jobs = aa_tests.jobs_of(found, ["--minutes=1"], settings)
    assert [job.folder for job in jobs] == ["3.3.1", "3.3.1@legacy-ir"]
    assert all(job.timing and job.resources == {"x86": 1.0} for job in jobs)
    assert jobs[0].work.arguments == ("aa-test", "3.3.1", "--minutes=1")


def test_targets_are_jobs_that_mean_the_same_everywhere(tmp_path: Path) -> None:
    named = Named("3.3.1", "3.3.1")
    timed = jobs_of(named, Options(targets=("jit", "static")), [f"{ROOT}/suites"], Settings(), ROOT)
    assert list(timed) == ["jit", "static", "no target"]
    assert timed["jit"].work.arguments == ("suites",)
    assert timed["jit"].work.options == Options(targets=("jit",), only_on=("jit", "machine"))
    assert all(job.timing for job in timed.values())
    untimed = jobs_of(named, Options(targets=("jit",)), ["suites/test_agreement.py"], Settings(), ROOT)
    assert not any(job.timing for job in untimed.values())
    with pytest.raises(UsageError, match="is outside the checkout"):
        jobs_of(named, Options(), [f"{tmp_path}/test_mine.py"], Settings(), ROOT)
