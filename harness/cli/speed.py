"""`harness aa-test`: its options, and what it prints."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.cli.options import settings_of, takes_options
from harness.cli.output import out, say
from harness.core.clock import now
from harness.core.errors import HarnessError, UsageError
from harness.core.files import write_json
from harness.core.options import JobOptions, Options
from harness.core.paths import project_root
from harness.environments import resolve_one
from harness.jobs.backend import Settings
from harness.jobs.journal import new_folder
from harness.plugin.options import choose
from harness.plugin.session import RunSession
from harness.speed import aa, added, jobs, machine, pairs
from harness.speed.aa import EVALUATION, Evaluation, Sessions, Share, totals
from harness.speed.added import Added
from harness.speed.measure import Plan, Side, Workload
from harness.speed.session import Rules

DEFAULT_WORKS = "lenet:1,lenet:64,conv_bn:8,resnet_vd_small:1"

ADDED = "added.json"

live = Console(highlight=False, stderr=True)


def works_of(text: str, session: RunSession, target: str, against: str = "") -> list[Workload]:
    """Parse workloads from ``MODEL:BATCH,…``; the baseline runs on the target ``against``, if given.

    Raises:
        UsageError: an entry is not MODEL:BATCH, or a target cannot run here.
        HarnessError: a model or target is unknown.
    """
    executor = session.executor
    targets = []
    for name in (against or target, target):
        choose("target", (name,), list(executor.targets))
        targets.append(executor.targets[name])
        if reason := executor.not_applicable(targets[-1]):
            raise UsageError(f"{name} cannot run here: {reason}")
    if targets[0].env != targets[1].env or any(one.interpreter for one in targets):
        raise UsageError(
            f"{against} and {target} do not run in the same environment here: choose two that do"
        )
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        model, _, batch = entry.partition(":")
        choose("model", (model,), list(executor.models))
        if not (batch or "1").isdigit() or int(batch or 1) < 1:
            raise UsageError(f"{entry} is not a workload: write MODEL:BATCH, such as lenet:1")
        found.append(Workload(model, int(batch or 1), (targets[0], targets[1])))
    if not found:
        raise UsageError("no workload is named: write MODEL:BATCH, such as lenet:1")
    return found


@takes_options
def aa_test(
    environments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ENVIRONMENT…]", help="A release, wheel or interpreter, or several (default: this one)."
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes to measure.")] = 30.0,
    works: Annotated[
        str, typer.Option("--works", metavar="MODEL:BATCH[,…]", help="Models and batch sizes to time.")
    ] = DEFAULT_WORKS,
    target: Annotated[str, typer.Option(help="Target to time.")] = "predictor",
    against: Annotated[
        str,
        typer.Option(
            metavar="TARGET",
            help="Instead, measure the time that --target adds to TARGET, such as Python to predictor-cpp.",
        ),
    ] = "",
    sessions: Annotated[
        int,
        typer.Option(min=1, max=64, help="Sessions of each model per pair of processes; 8 show the best."),
    ] = Plan().sessions,
    comparisons: Annotated[
        int, typer.Option(min=1, help="Comparisons drawn from the measured pairs.")
    ] = 1000,
    options: Options = Options(),
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--add", metavar="FOLDER", help="Use the pairs of earlier A/A tests; measure none."),
    ] = None,
    as_jobs: JobOptions = JobOptions(),
) -> None:
    """Measure how often the speed rule is wrong here: a release against itself, and slowed down."""
    root = project_root(Path.cwd())
    started, clock, before = now(), time.monotonic(), machine.conditions()
    if earlier:
        name, pool = pairs.pooled(earlier)
        found = aa.summarize(name, pool, Rules(), comparisons, started, 0.0, before)
        _finish(found, new_folder(options.folder, root, aa.FOLDER, ""))
        return
    named = environments or [sys.executable]
    settings = settings_of(as_jobs)
    if as_jobs.backend is not None or len(named) > 1:
        given = {
            "minutes": f"{minutes:g}",
            "works": works,
            "target": target,
            "against": against,
            "comparisons": str(comparisons),
            "sessions": str(sessions),
            "store": options.store,
        }
        same = [f"--{name}={value}" for name, value in given.items() if value]
        same += [f"--add-model={model}" for model in options.add_model]
        folder = new_folder(options.folder, root, aa.FOLDER, "")
        _as_jobs(named, same, settings, folder, options.store_folder)
        return
    made = resolve_one(named[0])
    options = msgspec.structs.replace(
        options,
        python=made.python,
        paddle_profile=made.profile,
        folder=str(new_folder(options.folder, root, aa.FOLDER, "")),
    )
    session = RunSession(options, root, root / "suites")
    executors = [session.executor, session.open_executor(made.python, made.profile, "logs/candidate")]
    try:
        sides = [Side(made.name, executor) for executor in executors]
        chosen = works_of(works, session, target, against)
        extras, plan = (0.0,) if against else pairs.EXTRAS, Plan(sessions)
        pool = pairs.collect(
            sides,
            chosen,
            60 * minutes,
            lambda text: live.print(text),
            session.folder / pairs.PAIRS,
            extras,
            plan=plan,
        )
        if against:
            more = Added(
                made.name,
                target,
                against,
                added.rows(pool),
                time.monotonic() - clock,
                started,
                machine.placement(),
                before,
                machine.conditions(),
            )
            path = write_json(session.folder / ADDED, more, "what the harness adds")
            show_added(more, out)
            say(f"written: {path}")
            return
        found = aa.summarize(
            made.name, pool, Rules(), comparisons, started, time.monotonic() - clock, before, plan
        )
    finally:
        for executor in executors:
            executor.pool.close()
    _finish(found, session.folder)


def _as_jobs(named: list[str], same: list[str], settings: Settings, folder: Path, store: Path) -> None:
    """Each environment a job. Raises a HarnessError, at the end, if one came to nothing."""
    ends = jobs.aa_tests(named, same, settings, project_root(Path.cwd()), folder, store, live)
    for where in (where for end, where in ends if end.status == "done"):
        if (file := where / EVALUATION).exists():
            show(msgspec.json.decode(file.read_bytes(), type=Evaluation), out)
        elif (file := where / ADDED).exists():
            show_added(msgspec.json.decode(file.read_bytes(), type=Added), out)
        say(f"written: {file}")
    if lost := sum(end.status != "done" for end, _ in ends):
        raise HarnessError(f"{lost} of {len(ends)} A/A tests failed; their files are in {folder}")


def _finish(found: Evaluation, folder: Path) -> None:
    path = write_json(folder / EVALUATION, found, "the A/A test")
    show(found, out)
    say(f"written: {path}")


def show(found: Evaluation, console: Console) -> None:
    """Print the table."""
    console.print(
        f"{escape(found.name)}: {found.pairs} pairs of processes each, {found.sessions} sessions in a pair, "
        f"{found.comparisons} comparisons drawn from them, {_pinned(found)}"
    )
    table = Table(
        "work", "µs", "spread", "bias", "of", "more", "detected", "without confirming", "stored medians 5 %"
    )
    for row in (*found.rows, *totals(found.rows)):
        head = ["", "", "", ""]
        if row.extra == 0 and row.quantity == "run" and row.work in found.median_us:
            spread, bias = 100 * found.spread[row.work], 100 * found.bias[row.work]
            head = [row.work, f"{found.median_us[row.work]:.0f}", f"{spread:.2f} %", f"{bias:+.2f} %"]
        elif row.extra == 0 and row.quantity == "run":
            head = ["all", "", "", ""]
        shares = (_share(share) for share in (row.detected, row.first, row.stored))
        table.add_row(*head, row.quantity if row.extra == 0 else "", f"{100 * row.extra:.0f} %", *shares)
    console.print(table)
    console.print(_levels(found))
    console.print(_by_sessions(found))


def _levels(found: Evaluation) -> Table:
    """Make a table of the sources of the spread."""
    table = Table("work", "spread of a session in a pair", "of a pair in addition")
    for work, one in found.levels.items():
        alone = found.plan.sessions < 2
        table.add_row(
            work,
            "—" if alone else f"{100 * one.session:.2f} %",
            f"{100 * one.pair:.2f} %{', both' if alone else ''}",
        )
    return table


def _by_sessions(found: Evaluation) -> Table:
    """Make a table of what other numbers of sessions would detect, over all workloads."""
    own = Sessions(found.sessions, found.spread, totals(found.rows))
    detected = (f"detected of {100 * row.extra:.0f} %" for row in own.rows if row.quantity == "run")
    table = Table("sessions", "spread of a pair", *detected)
    for one in sorted((own, *found.by_sessions), key=lambda one: one.sessions):
        span = f"{100 * min(one.spread.values()):.2f} to {100 * max(one.spread.values()):.2f} %"
        table.add_row(
            str(one.sessions), span, *(_share(row.detected) for row in one.rows if row.quantity == "run")
        )
    return table


def show_added(found: Added, console: Console) -> None:
    """Print the time that one target adds to another."""
    console.print(f"{escape(found.name)}: time that {found.target} adds to {found.against}, {_pinned(found)}")
    table = Table("work", "pairs", f"{found.against}, µs", f"{found.target}, µs", "added, µs", "added (99 %)")
    for row in found.rows:
        added_us = "{:+.1f} ({:+.1f} to {:+.1f})".format(*row.added_us)
        shares = "{:+.2f} % ({:+.2f} to {:+.2f})".format(*(100 * v for v in (row.added, row.low, row.high)))
        table.add_row(
            row.work, str(row.pairs), f"{row.plain_us:.1f}", f"{row.measured_us:.1f}", added_us, shares
        )
    # A table is cut to the console's width; a file needs no such limit.
    (console if console.is_terminal else Console(highlight=False, width=160, file=console.file)).print(table)


def _pinned(found: Evaluation | Added) -> str:
    why = f" ({found.place.why})" if found.place.why else ""
    return ("one processor for both" if found.place.measured else "not pinned") + why


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{100 * share.share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
