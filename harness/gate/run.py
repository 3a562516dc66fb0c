"""Run a gate: make environments, run both sides, judge, write the result's files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from itertools import zip_longest
from pathlib import Path

import msgspec
from rich.console import Console

from harness.core.clock import now
from harness.core.errors import HarnessError, UsageError
from harness.core.files import write_whole
from harness.core.options import Options
from harness.core.paths import names_tests, slug
from harness.gate import outputs, reuse, speed
from harness.gate.causes import causes
from harness.gate.judge import Asked, result_of
from harness.gate.page import render
from harness.gate.policy import Policy
from harness.gate.result import GateResult
from harness.gate.sides import Subject, job_of, jobs_of, run_of, subject_of
from harness.gate.timing import Timing, outcome_in
from harness.jobs.backend import BackendName, Settings
from harness.jobs.drive import set_aside
from harness.jobs.journal import new_folder
from harness.jobs.runner import Runner
from harness.jobs.shares import sent
from harness.jobs.suites import producer_of, text_of
from harness.records.files import Run
from harness.report.layout import write_page
from harness.speed.session import Outcome

MOST_CONFIRMED = 40
"""Most blocking cases that are run once more before they block."""


class Request(msgspec.Struct, frozen=True):
    """Arguments of the command; ``arguments`` go to both runs' pytest, ``narrowed``: they leave cases out."""

    baseline: str
    candidate: str
    options: Options = Options()
    arguments: tuple[str, ...] = ()
    narrowed: bool = False
    command: str = ""
    confirm: bool = True
    fresh: bool = False
    """Whether the baseline runs although an earlier gate ran the same."""
    jobs: Settings = Settings()
    """How jobs run the two sides."""
    speed_minutes: float = 0.0
    """Minutes for timing the two releases in turns; 0: not timed."""


def gate(request: Request, policy: Policy, root: Path, console: Console) -> tuple[GateResult, Path]:
    """Run both sides, judge, write ``gate.html``, ``gate.json``, ``junit.xml`` and ``summary.md``.

    Returns:
        The result, and the folder it was written into.

    Raises:
        UsageError: a side names no environment and no run.
        HarnessError: a run could not start, or the folder cannot be written.
    """
    started, clock = now(), time.monotonic()
    sides = (subject_of(request.baseline, root), subject_of(request.candidate, root))
    if request.speed_minutes and any(side.environment is None for side in sides):
        raise UsageError("--speed times two environments in turns: name releases, not an earlier run")
    names = "-to-".join(slug(side.name) for side in sides)
    folder = new_folder(request.options.folder, root, "gates", names)
    with Runner(request.jobs, root, folder, request.options.store_folder, console) as runner:
        return _gate(request, policy, sides, runner, started, clock), folder


def _gate(
    request: Request,
    policy: Policy,
    sides: tuple[Subject, Subject],
    runner: Runner,
    started: str,
    clock: float,
) -> GateResult:
    root, folder, console = runner.root, runner.folder, runner.console
    for side in sides:
        if side.environment is not None:
            note = f" ({side.environment.note})" if side.environment.note else ""
            console.print(f"{side.name}: {side.environment.python}{note}", soft_wrap=True)
    known = _key(sides, request, root)
    if not request.fresh and f"baseline {sides[0].name}" not in runner.journal.ends:
        set_aside(folder / "baseline", folder)  # of the same command, killed
        earlier = reuse.find(request.options.store_folder, known, folder / "baseline")
        if earlier is not None:
            console.print(
                f"{sides[0].name}: using the records of {earlier.header.started} again, as nothing that "
                "decides them has changed (--fresh runs it anew)",
                soft_wrap=True,
            )
            sides = (msgspec.structs.replace(sides[0], run=earlier), sides[1])
    baseline, candidate = _runs(sides, request, runner)
    reuse.remember(request.options.store_folder, known, baseline)
    asked = Asked(
        baseline=sides[0].name,
        candidate=sides[1].name,
        command=request.command,
        started=started,
        reused=(sides[0].run is not None, sides[1].run is not None),
        whole=not request.narrowed,
        folder=str(folder),
        # It describes this machine: of no use where another one did the timing.
        aa_test=speed.aa_test(root) if request.jobs.backend is BackendName.local else None,
    )
    result = result_of(baseline, candidate, policy, asked, date.today())
    doubtful = _doubtful(result, candidate) if request.confirm and sides[1].environment else []
    if doubtful:
        flaky = _run_again(doubtful, sides, request, runner)
        asked = msgspec.structs.replace(asked, flaky=tuple(flaky))
        result = result_of(baseline, candidate, policy, asked, date.today())
    if request.speed_minutes:
        write(result, folder)  # so that a failing timing loses nothing
        asked = msgspec.structs.replace(asked, speed=_timed(sides, policy, request, runner))
        result = result_of(baseline, candidate, policy, asked, date.today())
    result = msgspec.structs.replace(result, duration_s=time.monotonic() - clock)
    write(result, folder)
    return result


def _timed(sides: Sequence[Subject], policy: Policy, request: Request, runner: Runner) -> Outcome:
    first, second = (text_of(side.environment) for side in sides if side.environment is not None)
    local = request.jobs.backend is BackendName.local
    options, files = (request.options, ()) if local else sent(request.options)
    work = Timing((first, second), policy.speed.rules, request.speed_minutes, options, files)
    job = msgspec.structs.replace(request.jobs.job("speed", work, "speed"), timing=True)
    end = runner.run([job])[job.name]
    if end.status != "done":
        raise HarnessError(end.sentence)
    return outcome_in(runner.folder / job.folder)


def write(result: GateResult, folder: Path) -> None:
    """Write every file of a gate.

    Raises:
        HarnessError: the folder is unwritable, or the disk is full.
    """
    outputs.write_json(result, folder / "gate.json")
    write_whole(folder / "junit.xml", outputs.junit_xml(result), "the JUnit file")
    summary = outputs.summary_markdown(result).encode("utf-8", errors="replace")
    write_whole(folder / "summary.md", summary, "the summary")
    write_page(render(result, folder), folder / "gate.html")


def _key(sides: Sequence[Subject], request: Request, root: Path) -> str:
    environments = [side.environment for side in sides if side.environment is not None]
    if len(environments) < len(sides) or request.jobs.backend is not BackendName.local:
        return ""  # another machine might do otherwise
    producers = tuple(map(producer_of, environments))
    options = msgspec.structs.replace(request.options, folder="", producers=producers)
    return reuse.key(environments, options, _arguments(request, root), root)


def _arguments(request: Request, root: Path) -> tuple[str, ...]:
    """pytest's arguments beside the options: all suites, unless some are named."""
    named = any(names_tests(argument, root) for argument in request.arguments)
    return request.arguments if named else ("suites", *request.arguments)


def _runs(sides: Sequence[Subject], request: Request, runner: Runner) -> tuple[Run, Run]:
    """Both runs: those that exist already as they are, the others made now, together."""
    jobs = {
        label: jobs_of(label, side, request.options, _arguments(request, runner.root), sides, request.jobs)
        for label, side in zip(("baseline", "candidate"), sides, strict=True)
        if side.run is None
    }
    ends = runner.run([job for parts in jobs.values() for _, job in parts])
    made = {label: run_of(label, parts, ends, runner.folder) for label, parts in jobs.items()}
    first, second = (
        side.run or made[label] for label, side in zip(("baseline", "candidate"), sides, strict=True)
    )
    return first, second


def _doubtful(result: GateResult, candidate: Run) -> list[str]:
    """List test ids of blocking cases that are not expected to fail: they must fail twice to block."""
    nodes = {record.case: record.nodeid for record in candidate.records}
    unexpected = [
        change
        for change in result.blocking
        if change.after is not None and change.after.run == "candidate" and not change.after.expected_failure
    ]
    # Of many, those of every cause in turn: where a cause's cases fail twice, so would the rest.
    turns = zip_longest(*(cause.changes for cause in causes(unexpected)))
    in_turn = (change.after for turn in turns for change in turn if change is not None)
    found = dict.fromkeys(nodes[side.case] for side in in_turn if side is not None)
    return list(found)[:MOST_CONFIRMED]


def _run_again(nodes: list[str], sides: Sequence[Subject], request: Request, runner: Runner) -> list[str]:
    """Run the cases once more in the candidate; return those that pass now."""
    environment = sides[1].environment
    assert environment is not None
    arguments = (*nodes, *(argument for argument in request.arguments if argument.startswith("-")))
    options = msgspec.structs.replace(request.options, retry_failed=True)
    name = f"once more in {sides[1].name}"
    job = job_of(name, "confirm", environment, options, arguments, sides, request.jobs)
    run = run_of("confirm", [("", job)], runner.run([job]), runner.folder)
    return [record.case for record in run.records if record.outcome == "pass"]
