"""Run pytest as a child process: start it, show its progress, end it in order, sum it up.

The progress is read from the records and the log that pytest writes in the run's folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from harness.core.files import made_folder
from harness.jobs.rerun import last_error, pytest_command
from harness.jobs.watch import Follower, Watch
from harness.models.first_run import OWN_TOTAL
from harness.records.files import read_run
from harness.report import summary

POLL_S = 0.2
ENDING_S = 20.0
"""Seconds that an interrupted pytest may take to close its records."""

out = Console(highlight=False, soft_wrap=True)


def start_pytest(
    root: Path, folder: Path, arguments: list[str], variables: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], Follower]:
    """Start pytest as a child that writes its log into the run's folder; return it and its follower.

    Args:
        variables: environment variables in addition to this process's.

    Raises:
        HarnessError: the folder cannot be made.
    """
    log = made_folder(folder, "the run folder") / "pytest.log"
    # -v writes a case's name before it runs, which is how the live line knows the current one.
    command = pytest_command(root, "-v", *arguments)
    return start(command, root, log, variables or {}), Follower(folder)


def start(
    command: Sequence[str], root: Path, log: Path, variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a process that prints into ``log``, with ``variables`` in addition to this process's.

    It has a session of its own: Ctrl-C then reaches this process alone, which passes it on to pytest but not
    to its workers, so that pytest can close them and its records in order.
    """
    with log.open("wb") as printed:
        return subprocess.Popen(
            command,
            cwd=root,
            env={**os.environ, **variables},
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def run_pytest(root: Path, folder: Path, arguments: list[str]) -> int:
    """Run pytest as a child, show its progress, and return its exit status."""
    child, follower = start_pytest(root, folder, arguments)
    interrupted = False
    with signals_interrupt():
        try:
            _follow(child, follower)
        except KeyboardInterrupt:
            interrupted = True
            end_pytest(child)
        except BaseException:
            end_pytest(child)
            raise
    for _ in follower.news():
        pass
    return _conclude(folder, follower, child.returncode, interrupted)


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the child, as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(child: subprocess.Popen[bytes], follower: Follower) -> None:
    # A live line that wraps would leave a copy behind at every redraw.
    with Watch(Console(highlight=False), alone=True) as watch:
        watch.follow("", follower)
        while True:
            ended = child.poll() is not None
            watch.tick()
            if ended:
                return
            time.sleep(POLL_S)


def end_pytest(child: subprocess.Popen[bytes]) -> None:
    """Ask pytest to end; kill it and its workers if it takes long or the user asks again."""
    try:
        child.send_signal(signal.SIGINT)
        child.wait(ENDING_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _conclude(folder: Path, follower: Follower, status: int, interrupted: bool) -> int:
    if not (folder / "records.jsonl").exists():
        text = last_error(follower.log.read_text(errors="replace"))
        # The folder holds no run: remove what this command and pytest put there, and nothing else.
        for path in (follower.log, folder / "junit.xml"):
            path.unlink(missing_ok=True)
        shutil.rmtree(folder / "logs", ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
        if interrupted:
            text = "interrupted before the first case"
        print(text, file=sys.stderr)
        return status if status > 0 else 1
    if interrupted:
        so_far = f"interrupted after {follower.done} of {follower.selected} cases"
        print(f"{so_far}; see them with: harness report {folder}", file=sys.stderr)
        return 128 + signal.SIGINT if status <= 0 else status
    if status < 0:
        name = signal.Signals(-status).name
        print(
            f"pytest was killed by {name}; see what it found with: harness report {folder}", file=sys.stderr
        )
        return 128 - status
    page = folder / "index.html"
    run = read_run(folder)
    out.print(escape(summary.verdict(run).sentence))
    if run.footer is not None and OWN_TOTAL in run.footer.load:
        out.print(escape(run.footer.load[OWN_TOTAL]))
    out.print(escape(f"page: {page}" if page.exists() else f"log: {follower.log}"))
    return status
