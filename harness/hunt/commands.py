"""`harness hunt`: its options, its live line, and what it leaves behind."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from harness.environments import Environment, resolve_one
from harness.errors import HarnessError, UsageError
from harness.hunt import script
from harness.hunt.findings import Finding, Notebook, default_folder
from harness.hunt.hunter import Hunter
from harness.progress import signals_interrupt
from harness.targets import LEGACY_IR
from harness.workers import WorkerFailure, WorkerPool

DEADLINE_S = 60.0
APART = 1_000_000
"""Between the seeds of two processes that hunt in one release."""
SAID_EVERY_S = 20.0

out = Console(highlight=False, soft_wrap=True)


class Focus(StrEnum):
    """Which stages are looked at."""

    all = "all"
    jit = "jit"
    predictor = "predictor"


def hunt(
    minutes: Annotated[float, typer.Option(help="How long to search; shrinking counts.")] = 5.0,
    paddle: Annotated[
        list[str] | None,
        typer.Option("--paddle", metavar="SPEC", help="A release or interpreter (default: 3.3.1)."),
    ] = None,
    focus: Annotated[Focus, typer.Option(help="Which stages.")] = Focus.all,
    seed: Annotated[int, typer.Option(help="Where to begin (default: behind all seeds used so far).")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes for each release.")] = 1,
    folder: Annotated[
        str, typer.Option(metavar="PATH", help="Where seeds and findings are kept (default: user's cache).")
    ] = "",
) -> None:
    """Search for networks that Paddle gets wrong. Status: 0 nothing new, 1 new findings, 130 interrupted."""
    if minutes <= 0:
        raise UsageError("--minutes must be more than 0")
    root = Path(folder) if folder else default_folder()
    environments = [resolve_one(text) for text in paddle or ["3.3.1"]]
    stop = threading.Event()
    parties = [
        _Party(environment, root, "" if focus is Focus.all else focus.value, stop, seed, job)
        for environment in environments
        for job in range(jobs)
    ]
    interrupted = _run(parties, minutes, stop)
    for party in parties:
        out.print(escape(party.sentence()))
    new = sum(len(party.new) for party in parties)
    out.print(escape(f"{new} new findings; kept in {root}"))
    raise typer.Exit(130 if interrupted else int(new > 0))


class _Party:
    """One release, with one worker."""

    def __init__(
        self, environment: Environment, root: Path, focus: str, stop: threading.Event, seed: int, job: int
    ) -> None:
        self.name = environment.name + (f"-{job + 1}" if job else "")
        self.notebook = Notebook(root / self.name)
        self.pool = WorkerPool(self.notebook.folder / "logs", environment.python, DEADLINE_S)
        if environment.profile == "legacy-ir":
            self.pool.default = self.pool.default.with_env(LEGACY_IR)
        begun = max(self.notebook.seeds, default=job * APART)
        self.seed = seed + job * APART if seed else begun + 1
        self.new: list[Finding] = []
        self.hunter = Hunter(environment.name, self.pool, self.notebook, focus, stop, self._found)

    def _found(self, finding: Finding) -> None:
        self.new.append(finding)
        place = self.notebook.folder / f"{finding.name}.py"
        try:
            place.write_text(script.write(self.pool, finding))
        except (OSError, WorkerFailure) as error:
            out.print(escape(f"{place} could not be written: {error}"))
        where = f" at {finding.operator}" if finding.operator else ""
        out.print(
            escape(
                f"{self.name}: {finding.failure.outcome} in {finding.failure.stage}{where}: "
                f"{finding.failure.message}\n  {place}"
            )
        )

    def hunt(self, minutes: float) -> None:
        try:
            self.hunter.hunt(minutes, self.seed)
        finally:
            self.pool.close()

    def sentence(self) -> str:
        """What was tried."""
        tally = self.hunter.tally
        return (
            f"{self.name}: {tally.networks} networks ({tally.per_minute:.0f} a minute), "
            f"{len(tally.operators)} operators, {tally.compared} elements compared; "
            f"{tally.meaningless} numerically meaningless, {sum(tally.refused.values())} refused by the "
            f"oracle, "
            f"{tally.again} with a known finding, {len(self.new)} new"
        )


def _run(parties: list[_Party], minutes: float, stop: threading.Event) -> bool:
    """All parties to their end; whether they were interrupted."""
    interrupted = False
    executor = ThreadPoolExecutor(len(parties))
    futures = [executor.submit(party.hunt, minutes) for party in parties]
    with signals_interrupt():
        try:
            _follow(parties, futures)
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
            out.print("stopping: the networks under way are finished first")
        finally:
            stop.set()
            executor.shutdown(wait=True)
    for future in futures:
        error = future.exception()
        if isinstance(error, HarnessError):
            raise error
        if error is not None and not isinstance(error, KeyboardInterrupt):
            raise error
    return interrupted


def _follow(parties: list[_Party], futures: list[Future[None]]) -> None:
    console = Console(highlight=False)
    said = time.monotonic()
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        while any(not future.done() for future in futures):
            if console.is_terminal:
                table = Table(box=None, show_header=False)
                for party in parties:
                    table.add_row(escape(party.sentence()))
                live.update(table)
            elif time.monotonic() - said > SAID_EVERY_S:
                said = time.monotonic()
                for party in parties:
                    out.print(escape(party.sentence()))
            time.sleep(0.25)
