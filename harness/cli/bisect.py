"""`harness bisect`: options and output."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import harness
from harness.cli.options import Extra, completed, takes_options
from harness.cli.output import command, say, show, table_of
from harness.core.clock import now
from harness.core.errors import UsageError
from harness.core.files import made_folder, write_json
from harness.core.options import Options
from harness.core.paths import new_folder, project_root
from harness.core.types import Comparison, Record
from harness.environments.specs import parse
from harness.fuzz import releases
from harness.fuzz.findings import FINDINGS, Notebook
from harness.gate import bisect as bisecting
from harness.gate.bisect import Bisection, Result, Step

MOST_COMPARISONS = 3
FILE = "bisect.json"
ASSUMES = "A binary search assumes one change: good up to it, bad from it on."


@takes_options
def bisect(
    case: Annotated[
        str,
        typer.Argument(
            metavar="CASE",
            help="A case id, as a run's page and its records show it; or a finding's script, which is run in "
            "every release.",
        ),
    ],
    extra: Extra = None,
    good: Annotated[
        str,
        typer.Option(metavar="SPEC", help="An environment where it passes (default: the oldest release)."),
    ] = "",
    bad: Annotated[
        str, typer.Option(metavar="SPEC", help="A later one where it does not (default: the newest release).")
    ] = "",
    between: Annotated[
        str, typer.Option("--releases", metavar="SPEC", help="Releases to search (default: all known ones).")
    ] = "",
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--producer",
            metavar="SPEC",
            help="The environment whose files the case loads; where its id names a release, that one. "
            "With from-self in the id, each release loads its own files.",
        ),
    ] = None,
    options: Options = Options(),
) -> None:
    """Find the first release in which a case is bad. Status: 0 found, 2 usage, 3 inconclusive."""
    if case.endswith(".py"):
        raise typer.Exit(_script(Path(case), between))
    root = project_root()
    where = Path(options.folder or new_folder(root, "bisect"))
    if (where / FILE).exists():
        raise UsageError(f"{where} already holds a bisection: name another folder with --folder")
    specs = bisecting.candidates(good, bad, between)
    bisecting.nodeid(case, root)
    options, rest = completed(options, extra)
    started, clock = now(), time.monotonic()
    producers = bisecting.producers(case, given or ())
    names = [spec.asked for spec in specs]
    say(f"{case} in {names[0]} … {names[-1]}: {len(names)} releases")
    search = Bisection(case, specs, options, rest, producers, root, where, say)
    status, sentence, found = search.run()
    tried = {step.release for step in search.steps}
    result = Result(
        case=case,
        exit_status=status,
        sentence=sentence,
        releases=tuple(names),
        first_bad=names[found.first_bad] if found else "",
        last_good=names[found.last_good] if found else "",
        undecided=tuple(names[each] for each in found.skipped) if found else (),
        untried=tuple(name for name in names if name not in tried) if found else (),
        steps=tuple(search.steps),
        started=started,
        duration_s=round(time.monotonic() - clock, 1),
        command=command(),
        harness=harness.__version__,
    )
    write_json(made_folder(where, "the folder") / FILE, result, "the bisection")
    for line in told(result):
        show(line) if isinstance(line, Table) else say(line)
    say(f"written: {where / FILE}")
    raise typer.Exit(status)


def _script(script: Path, between: str) -> int:
    """Print the releases in which a finding's script fails, and store them in a notebook next to it."""
    if not script.is_file():
        raise UsageError(f"there is no script {script}: name one of findings/, or of a hunt's folder")
    specs = parse(between or "all")
    tried = releases.run(
        script,
        specs,
        lambda one: say(f"{one.release:<10} {one.verdict:<8} {one.said} ({one.seconds:.0f} s)"),
    )
    sentence = releases.sentence(tried)
    say(sentence)
    for older, newer in releases.changes(tried):
        say(f"it changes between {older} and {newer}")
    if (script.parent / FINDINGS).exists():
        Notebook(script.parent).tried(script.stem, sentence)
    return bisecting.FOUND if releases.changes(tried) else bisecting.INCONCLUSIVE


def told(result: Result) -> Iterator[str | Table]:
    """Yield the output at the end: the neighbours side by side, the answer, and its assumptions."""
    good, bad = result.step(result.last_good), result.step(result.first_bad)
    if good is not None and bad is not None:
        yield side_by_side(good, bad)
    skipped = [step.release for step in result.steps if step.verdict == "skipped"]
    if skipped:
        yield f"skipped: {', '.join(skipped)}"
    yield result.sentence
    alike = {(step.outcome, _kind(step.record)) for step in result.steps if step.verdict == "bad"}
    if len(alike) > 1:
        each = (
            f"{step.release} {step.outcome}{_kind(step.record)}"
            for step in result.steps
            if step.verdict == "bad"
        )
        yield f"The bad ones fail differently, so there may be more than one change: {', '.join(each)}."
    if result.untried:
        yield f"{ASSUMES} Not tried: {', '.join(result.untried)}."
    elif result.first_bad:
        yield ASSUMES


def _kind(record: Record | None) -> str:
    return f" ({record.failure.type})" if record is not None and record.failure is not None else ""


def side_by_side(good: Step, bad: Step) -> Table:
    """Return a table of two neighbours' records, with a row for each difference."""
    rows = (row for row in _rows(good.record, bad.record) if any(row[1:]))
    return table_of(("", escape(good.release), escape(bad.release)), rows)


def _rows(good: Record | None, bad: Record | None) -> Iterator[tuple[str, str, str]]:
    def row(what: str, text: Callable[[Record], str]) -> tuple[str, str, str]:
        return what, text(good) if good else "", text(bad) if bad else ""

    yield row("outcome", lambda side: side.outcome)
    yield row("reason", lambda side: side.reason)
    yield row("comparisons", lambda side: f"{side.comparisons} ({side.elements:,} elements)")
    for what in _worst(good, bad):
        yield row(what, functools.partial(_detail, what))
    yield row("failure", lambda side: side.failure.type if side.failure else "")
    yield row("last line", _last_line)


def _worst(good: Record | None, bad: Record | None) -> list[str]:
    """Name the most important comparisons: the worst of the bad side, then the worst of the good one."""
    names = [each.what for side in (bad, good) if side for each in side.details]
    return list(dict.fromkeys(names))[:MOST_COMPARISONS]


def _detail(what: str, record: Record) -> str:
    found = next((each for each in record.details if each.what == what), None)
    return "\n".join(_lines(found)) if found else ""


def _lines(comparison: Comparison) -> Iterator[str]:
    yield "agrees" if comparison.ok else comparison.message or "differs"
    if comparison.got or comparison.expected:
        yield f"got {comparison.got}, expected {comparison.expected}"
    if comparison.allowed is not None and comparison.error is not None:
        yield f"error {comparison.error:.3g}, allowed {comparison.allowed:.3g}"
    if comparison.worst and not comparison.ok:
        yield f"worst at {comparison.worst}"


def _last_line(record: Record) -> str:
    message = record.failure.message if record.failure else ""
    return next((line.strip() for line in reversed(message.splitlines()) if line.strip(" -")), "")
