"""`harness fuzz`: its options, its live line, and what it leaves behind."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from harness.cli.options import settings_of, takes_options
from harness.cli.output import out, say
from harness.core.choices import default_store
from harness.core.errors import HarnessError, UsageError
from harness.core.options import JobOptions
from harness.core.paths import project_root
from harness.environments import Environment, resolve_one
from harness.fuzz import script, shards
from harness.fuzz.cross_version import CrossVersion
from harness.fuzz.findings import ACROSS, Finding, Notebook, default_folder
from harness.fuzz.fuzzer import Fuzzer
from harness.fuzz.verdict import FOCUS
from harness.jobs.backend import Settings
from harness.jobs.named import named
from harness.jobs.progress import signals_interrupt
from harness.pool.hosts import START_DEADLINE_S
from harness.pool.workers import WorkerFailure, WorkerPool

DEADLINE_S = 60.0
SAID_EVERY_S = 20.0

Side = TypeVar("Side")

live = Console(highlight=False)


Focus = Literal["all", "jit", "predictor", "onnx", "bf16", "gate"]
"""Stages to run."""


@takes_options
def fuzz(
    minutes: Annotated[float, typer.Option(help="How long to search; shrinking counts.")] = 5.0,
    paddle: Annotated[
        list[str] | None,
        typer.Option("--paddle", metavar="SPEC", help="A release or interpreter (default: 3.3.1)."),
    ] = None,
    focus: Annotated[
        Focus,
        typer.Option(help="Which stages; gate: the first --paddle writes the files, the second reads them."),
    ] = "all",
    seed: Annotated[int, typer.Option(help="First seed (default: after all seeds used so far).")] = 0,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes (with --backend: jobs at a time) for each release.")
    ] = 1,
    twice: Annotated[
        bool, typer.Option("--twice", help="Judge every network again in another process, and compare.")
    ] = False,
    folder: Annotated[
        str, typer.Option(metavar="PATH", help="Where seeds and findings are kept (default: user's cache).")
    ] = "",
    as_jobs: JobOptions = JobOptions(),
) -> None:
    """Search for networks that Paddle gets wrong. Status: 0 nothing new, 1 new findings, 130 interrupted."""
    if minutes <= 0:
        raise UsageError("--minutes must be more than 0")
    root = Path(folder) if folder else default_folder()
    settings, stages = settings_of(as_jobs), "" if focus == "all" else focus
    if as_jobs.backend is not None:
        found = named(paddle or ["3.3.1"], settings.backend)
        request = shards.Request(_sides(found, focus), minutes, jobs, stages, seed, twice)
        _on_engine(request, settings, root.absolute())
    environments = [resolve_one(text) for text in paddle or ["3.3.1"]]
    sides = _sides(environments, focus)
    stop = threading.Event()
    parties = [_Party(side, root, stages, stop, seed, job, twice) for side in sides for job in range(jobs)]
    interrupted = _run(parties, minutes, stop)
    for party in parties:
        say(party.sentence())
        for line in party.fuzzer.tally.differed:
            say(f"{shards.DIFFERED}{line}")
    _end(sum(len(party.new) for party in parties), root, interrupted)


def _end(new: int, root: Path, interrupted: bool) -> NoReturn:
    say(f"{new} new findings; kept in {root}")
    raise typer.Exit(130 if interrupted else int(new > 0))


def _sides(environments: Sequence[Side], focus: Focus) -> tuple[tuple[Side, ...], ...]:
    """Group the environments: each alone, or the one that writes with the one that reads."""
    if focus != "gate":
        return tuple((one,) for one in environments)
    if len(environments) != 2:
        raise UsageError("--focus gate takes two --paddle: the release that writes, and the one that reads")
    return (tuple(environments),)


def _on_engine(request: shards.Request, settings: Settings, root: Path) -> NoReturn:
    """Run the fuzzer as jobs.

    Raises:
        HarnessError: a job failed; raised at the end.
    """
    at_once = len(request.sides) * request.lanes
    settings = msgspec.structs.replace(settings, at_once=at_once)
    hunted = shards.hunt(request, settings, project_root(), root, Path(default_store()), live)
    for sentence in hunted.said:
        say(sentence)
    for finding, where in hunted.new:
        say(_told(finding, finding.release, where))
    if hunted.lost:
        say(f"{len(hunted.new)} new findings; kept in {root}")
        raise HarnessError(f"{len(hunted.lost)} jobs failed: {hunted.lost[0]}")
    _end(len(hunted.new), root, hunted.interrupted)


class _Party:
    """One release with one worker, or two of which the second reads what the first writes."""

    def __init__(
        self,
        side: Sequence[Environment],
        root: Path,
        focus: str,
        stop: threading.Event,
        seed: int,
        job: int,
        twice: bool,
    ) -> None:
        release = ACROSS.join(environment.name for environment in side)
        self.name = release + (f"-{job + 1}" if job else "")
        self.notebook = Notebook(root / shards.own_folder(self.name))
        logs = self.notebook.folder / "logs"
        self.pool = _pool(side, logs)
        self.again = _pool(side, logs / "again") if twice else None
        self._needs(focus)
        begun = max(self.notebook.seeds, default=job * shards.APART)
        self.seed = seed + job * shards.APART if seed else begun + 1
        self.new: list[Finding] = []
        self.fuzzer = Fuzzer(release, self.pool, self.notebook, focus, stop, self._found, twice=self.again)

    def _needs(self, focus: str) -> None:
        """Check that the stages of the focus can run in the environment.

        Raises:
            HarnessError: they cannot; says why.
        """
        if focus not in FOCUS:
            return
        try:
            reason = self.pool.call(
                "checks.generated.forms.missing", deadline=START_DEADLINE_S, stages=list(FOCUS[focus])
            )
        except WorkerFailure as failure:
            reason = failure.sentence
        if reason:
            self.pool.close()
            raise HarnessError(f"--focus {focus} in {self.name}: {reason}")

    def _found(self, finding: Finding) -> None:
        self.new.append(finding)
        place = self.notebook.folder / f"{finding.name}.py"
        try:
            place.write_text(script.write(self.pool, finding))
        except (OSError, WorkerFailure) as error:
            say(f"{place} could not be written: {error}")
        say(_told(finding, self.name, place))

    def hunt(self, minutes: float) -> None:
        try:
            self.fuzzer.hunt(minutes, self.seed)
        finally:
            self.pool.close()
            if self.again is not None:
                self.again.close()

    def sentence(self) -> str:
        """Summary of what was tried."""
        tally = self.fuzzer.tally
        unconverted = sum(tally.unconverted.values())
        return (
            f"{self.name}: {tally.networks} networks ({tally.per_minute:.0f} a minute), "
            f"{len(tally.operators)} operators, {tally.compared} elements compared; "
            f"{tally.meaningless} numerically meaningless, {sum(tally.refused.values())} refused by the "
            f"oracle, "
            + (f"{unconverted} refused by paddle2onnx, " if unconverted else "")
            + f"{tally.again} with known findings only{_counts(tally.known)}, {len(self.new)} new"
            + (f"; judged twice, {len(tally.differed)} differently" if self.again else "")
            + (f", and as Paddle's own answers differ{_counts(tally.unsteady)}" if tally.unsteady else "")
        )


def _told(finding: Finding, name: str, place: Path) -> str:
    where = f" at {finding.operator}" if finding.operator else ""
    failure = finding.failure
    return f"{name}: {failure.outcome} in {failure.stage}{where}: {failure.message}\n  {place}"


def _pool(side: Sequence[Environment], logs: Path) -> WorkerPool:
    pools = [WorkerPool(logs / one.name, one.python, DEADLINE_S, one.profile) for one in side]
    return CrossVersion(logs, *pools) if len(pools) == 2 else pools[0]


def _counts(known: Counter[str]) -> str:
    return f" ({', '.join(f'{name} {count}' for name, count in known.most_common())})" if known else ""


def _run(parties: list[_Party], minutes: float, stop: threading.Event) -> bool:
    """Run all parties to their end; return whether they were interrupted."""
    interrupted = False
    executor = ThreadPoolExecutor(len(parties))
    futures = [executor.submit(party.hunt, minutes) for party in parties]
    with signals_interrupt():
        try:
            _follow(parties, futures)
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
            out.print("stopping: finishing the current networks first")
        finally:
            stop.set()
            executor.shutdown(wait=True)
    for future in futures:
        with contextlib.suppress(KeyboardInterrupt):
            future.result()
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
                    say(party.sentence())
            time.sleep(0.25)
