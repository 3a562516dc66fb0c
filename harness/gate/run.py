"""A gate from its command to its result: environments, two runs, verdicts, and the files it leaves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec
from rich.console import Console

from harness.environments import Environment, resolve_one
from harness.errors import UsageError
from harness.gate import outputs, reuse, speed
from harness.gate.judge import Asked, result_of
from harness.gate.policy import Policy
from harness.gate.result import GateResult
from harness.gate.runs import new_folder, run_all, slug
from harness.jobs.drive import set_aside
from harness.jobs.engine import Settings
from harness.jobs.job import Job
from harness.jobs.runner import Runner
from harness.jobs.suites import Suite, text_of
from harness.records import Run, read_run
from harness.report.gate import write_gate
from harness.rerun import RUNS
from harness.session import now
from harness.speed.session import Outcome

MOST_CONFIRMED = 40
"""Blocking cases that are run once more before they block; beyond that many, chance is not the cause."""
LATENCY_BUDGET_S = "0.05"
"""A gate only shows latencies, so it takes less time for each than a run of its own."""


class Request(msgspec.Struct, frozen=True):
    """What was asked for; ``arguments`` go to both runs' pytest, ``narrowed`` says they leave cases out."""

    baseline: str
    candidate: str
    arguments: tuple[str, ...] = ()
    narrowed: bool = False
    folder: str = ""
    command: str = ""
    confirm: bool = True
    fresh: bool = False
    """Whether the baseline runs although an earlier gate ran the same."""
    store: Path = Path()
    """Where earlier baselines are remembered."""
    jobs: Settings = Settings()
    """What runs the sides."""
    speed_minutes: float = 0.0
    """How long the two releases are timed in turns; 0: not at all."""


class _Subject(msgspec.Struct, frozen=True):
    """One side: an environment to run, or the run it left earlier."""

    name: str
    environment: Environment | None = None
    run: Run | None = None


def gate(request: Request, policy: Policy, root: Path, console: Console) -> tuple[GateResult, Path]:
    """Run what is to be run, judge, write ``gate.html``, ``gate.json``, ``junit.xml`` and ``summary.md``.

    Returns:
        The result, and the folder it was written into.

    Raises:
        UsageError: a side names no environment and no run.
        HarnessError: a run could not start, or the folder cannot be written.
    """
    started, clock = now(), time.monotonic()
    sides = (_subject(request.baseline, root), _subject(request.candidate, root))
    if request.speed_minutes and any(side.environment is None for side in sides):
        raise UsageError("--speed times two environments in turns: name releases, not an earlier run")
    names = "-to-".join(slug(side.name) for side in sides)
    folder = new_folder(request.folder, root, "gates", names)
    with Runner(request.jobs, root, folder, request.store, console) as runner:
        return _gate(request, policy, sides, runner, started, clock), folder


def _gate(
    request: Request,
    policy: Policy,
    sides: tuple[_Subject, _Subject],
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
        earlier = reuse.find(request.store, known, folder / "baseline")
        if earlier is not None:
            console.print(
                f"{sides[0].name}: the records of {earlier.header.started} are used again: nothing that "
                "goes into them has changed (--fresh runs it anew)",
                soft_wrap=True,
            )
            sides = (msgspec.structs.replace(sides[0], run=earlier), sides[1])
    baseline, candidate = _runs(sides, request, runner)
    reuse.remember(request.store, known, baseline)
    asked = Asked(
        baseline=sides[0].name,
        candidate=sides[1].name,
        command=request.command,
        started=started,
        reused=(sides[0].run is not None, sides[1].run is not None),
        whole=not request.narrowed,
        folder=str(folder),
    )
    result = result_of(baseline, candidate, policy, asked, date.today())
    doubtful = _doubtful(result, candidate) if request.confirm and sides[1].environment else []
    if doubtful:
        flaky = _run_again(doubtful, sides, request, runner)
        asked = msgspec.structs.replace(asked, flaky=tuple(flaky))
        result = result_of(baseline, candidate, policy, asked, date.today())
    if request.speed_minutes:
        write(result, folder)  # what is known already is not lost with the timing
        asked = msgspec.structs.replace(asked, speed=_timed(sides, policy, request, root, folder, console))
        result = result_of(baseline, candidate, policy, asked, date.today())
    result = msgspec.structs.replace(result, duration_s=time.monotonic() - clock)
    write(result, folder)
    return result


def _timed(
    sides: Sequence[_Subject], policy: Policy, request: Request, root: Path, folder: Path, console: Console
) -> Outcome:
    environments = [side.environment for side in sides if side.environment is not None]
    return speed.timed(
        environments,
        policy.speed.rule,
        request.speed_minutes,
        str(request.store),
        folder / "speed",
        root,
        lambda text: console.print(f"speed, {text}"),
    )


def write(result: GateResult, folder: Path) -> None:
    """Every file a gate leaves.

    Raises:
        HarnessError: the folder is unwritable, or the disk is full.
    """
    outputs.write_gate_json(result, folder / "gate.json")
    outputs.write_junit(result, folder / "junit.xml")
    outputs.write_summary(result, folder / "summary.md")
    write_gate(result, folder / "gate.html")


def _key(sides: Sequence[_Subject], request: Request, root: Path) -> str:
    environments = [side.environment for side in sides if side.environment is not None]
    if len(environments) < len(sides):
        return ""
    return reuse.key(environments, _arguments(request, sides), root)


def _subject(text: str, root: Path) -> _Subject:
    for path in (Path(text), root / RUNS / text):
        if (path / "records.jsonl").exists():
            run = read_run(path.resolve())
            return _Subject(_name_of(run), run=run)
    try:
        environment = resolve_one(text)
    except UsageError as error:
        raise UsageError(f"{error}; or give the folder of an earlier run") from error
    return _Subject(environment.name, environment)


def _name_of(run: Run) -> str:
    """What files of the environment behind a run are called where they crossed, or its release."""
    options = run.header.options
    own = _with_profile(str(options.get("python", "")), str(options.get("profile", "default")))
    for producer in options.get("producers") or ():
        name, _, where = str(producer).partition("=")
        if where == own:
            return name
    paddle = run.header.environment.get("paddle") or {}
    name = str(paddle.get("version", run.header.run))
    return f"{name}@legacy-ir" if options.get("profile") == "legacy-ir" else name


def _runs(sides: Sequence[_Subject], request: Request, runner: Runner) -> tuple[Run, Run]:
    """Both runs: those that exist already as they are, the others made now, together."""
    jobs = [
        _job(f"{label} {side.name}", label, side.environment, _options(request), sides, request)
        for label, side in zip(("baseline", "candidate"), sides, strict=True)
        if side.run is None and side.environment is not None
    ]
    made = iter(run_all(runner, jobs))
    first, second = (side.run if side.run is not None else next(made) for side in sides)
    return first, second


def _job(
    name: str,
    folder: str,
    environment: Environment,
    arguments: tuple[str, ...],
    sides: Sequence[_Subject],
    request: Request,
) -> Job:
    """A run in one of the environments; each is a producer, and an earlier run's if it is still there."""
    here = [text_of(side.environment) for side in sides if side.environment is not None]
    there = [_from(side) for side in sides if side.environment is None]
    work = Suite(text_of(environment), (*arguments, *filter(None, there)), tuple(dict.fromkeys(here)))
    return request.jobs.job(name, work, folder)


def _options(request: Request) -> tuple[str, ...]:
    given = list(request.arguments)
    if not any(not argument.startswith("-") for argument in given):
        given.insert(0, "suites")
    # The full tier is asked for by somebody who has the time.
    brief = () if "--tier=full" in given else ("--brief", f"--latency-budget={LATENCY_BUDGET_S}")
    return (*given, *brief)


def _arguments(request: Request, sides: Sequence[_Subject]) -> tuple[str, ...]:
    """All that decides what a side's run does."""
    return (*_options(request), *dict.fromkeys(filter(None, map(_from, sides))))


def _from(side: _Subject) -> str:
    found = _producer(side)
    return f"--from={found[0]}={found[1]}" if found else ""


def _producer(side: _Subject) -> tuple[str, str] | None:
    """Name and interpreter of the environment whose files cross; an earlier run's if it is still there."""
    if side.environment is not None:
        return side.name, _with_profile(side.environment.python, side.environment.profile)
    assert side.run is not None
    options = side.run.header.options
    python = str(options.get("python", ""))
    if not Path(python).exists():
        return None
    return side.name, _with_profile(python, str(options.get("profile", "default")))


def _with_profile(python: str, profile: str) -> str:
    return python if profile == "default" else f"{python}@{profile}"


def _doubtful(result: GateResult, candidate: Run) -> list[str]:
    """Test ids of blocking cases that nobody knows to fail: they must fail twice to block."""
    nodes = {record.case: record for record in candidate.records}
    found = [
        nodes[change.after.case].nodeid
        for change in result.blocking
        if change.after is not None and change.after.run == "candidate" and not change.after.known
    ]
    found = list(dict.fromkeys(found))
    return found if len(found) <= MOST_CONFIRMED else []


def _run_again(nodes: list[str], sides: Sequence[_Subject], request: Request, runner: Runner) -> list[str]:
    """Run the cases once more in the candidate; those that pass now."""
    environment = sides[1].environment
    assert environment is not None
    options = [argument for argument in _options(request) if argument.startswith("-")]
    arguments = (*nodes, *options, "--again")
    job = _job(f"once more in {sides[1].name}", "confirm", environment, arguments, sides, request)
    (run,) = run_all(runner, [job])
    return [record.case for record in run.records if record.outcome == "pass"]
