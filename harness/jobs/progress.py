"""Run pytest as a child process: start it, show its progress, end it in order, sum it up.

The progress is read from the records and the log that pytest writes in the run's folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.core.files import made_folder
from harness.core.types import BAD_OUTCOMES, OUTCOMES
from harness.jobs.rerun import last_error, project_options
from harness.models.first_run import OWN_TOTAL
from harness.plugin.recording import RUNNING
from harness.records.files import read_run
from harness.report import summary

POLL_S = 0.2
PLAIN_EVERY_S = 20.0
"""Seconds between two lines of progress when the output goes to a file."""
OUTCOME_WORD = re.compile(r" (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
ENDING_S = 20.0
"""Seconds that an interrupted pytest may take to close its records."""

out = Console(highlight=False, soft_wrap=True)


class Follower:
    """Reads a growing ``records.jsonl`` and the pytest log next to it."""

    def __init__(self, folder: Path) -> None:
        self.records = folder / "records.jsonl"
        self.log = folder / "pytest.log"
        self.selected = 0
        self.counts: Counter[str] = Counter()
        self.read = 0

    def news(self) -> Iterator[dict[str, Any]]:
        """Yield the cases finished since the last call."""
        try:
            with self.records.open("rb") as file:
                file.seek(self.read)
                data = file.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self.read += len(whole)
        for text in whole.splitlines():
            line = msgspec.json.decode(text)
            if line["kind"] == "run":
                self.selected = int(line.get("selected", 0))
            elif line["kind"] == "case":
                self.counts[line["outcome"]] += 1
                yield line

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    @property
    def text(self) -> str:
        return ", ".join(f"{self.counts[o]} {o}" for o in OUTCOMES if self.counts[o]) or "starting"

    def current(self) -> str:
        """Name of the case that pytest has started and not finished, from the log's last line."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 2000))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        if RUNNING in text:  # in lanes; a line every few seconds
            return text.rpartition(RUNNING)[2].partition("\n")[0]
        last = text.rpartition("\n")[2]
        # "suites/test_area.py::test_check[a-b] ", and no outcome behind it yet.
        if "::" not in last or OUTCOME_WORD.search(last):
            return ""
        return last.partition("::")[0].rpartition("/")[2] + "::" + last.partition("::")[2].strip()


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
    command = [sys.executable, "-m", "pytest", "-v", "-p", "harness.plugin", "-p", "no:cacheprovider"]
    command += ["--color=no", *project_options(root), *arguments]
    # A session of its own: Ctrl-C then reaches this process alone, which passes it on to pytest
    # but not to its workers, so that pytest can close them and its records in order.
    with log.open("wb") as printed:
        child = subprocess.Popen(
            command,
            cwd=root,
            env={**os.environ, **(variables or {})},
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return child, Follower(folder)


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
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[counts]}"),
        TextColumn("[dim]{task.fields[current]}"),
    )
    # A live line that wraps would leave a copy behind at every redraw.
    console = Console(highlight=False)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("run", total=None, counts="starting", current="")
        said = time.monotonic()
        while True:
            ended = child.poll() is not None
            for record in follower.news():
                if _unexpected(record):
                    progress.console.print(escape(_line(record)), soft_wrap=True)
            if console.is_terminal:
                progress.update(
                    task,
                    total=follower.selected or None,
                    completed=follower.done,
                    counts=follower.text,
                    current=escape(follower.current()),
                )
            elif time.monotonic() - said > PLAIN_EVERY_S and not ended:
                said = time.monotonic()
                out.print(escape(f"{follower.done} of {follower.selected} cases: {follower.text}"))
            if ended:
                return
            time.sleep(POLL_S)


def _unexpected(record: dict[str, Any]) -> bool:
    return bool(record.get("unexpected")) or (
        record["outcome"] in BAD_OUTCOMES and not record.get("expected_failure")
    )


def _line(record: dict[str, Any]) -> str:
    return f"{record['outcome']:>8}  {record['case']}: {record.get('unexpected') or record.get('reason', '')}"


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
