"""`harness gate` and `harness matrix`: options and output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from harness.cli.options import Extra, completed, settings_of, takes_options
from harness.cli.output import command, say
from harness.core.errors import HarnessError, Undecided
from harness.core.options import JobOptions, Options
from harness.core.paths import project_root
from harness.gate import matrix as matrices
from harness.gate import outputs, policy, run
from harness.gate.causes import causes
from harness.gate.policy import Policy
from harness.gate.result import GateResult
from harness.models import specification

POLICY_FILE = "gate.toml"
MOST_PRINTED = 12
"""Most blocking causes that are printed; the page has all."""

live = Console(highlight=False)

AS_JOBS = JobOptions(backend="local")


@takes_options
def gate(
    baseline: Annotated[
        str, typer.Argument(metavar="BASELINE", help="A release, wheel, index, interpreter or run.")
    ],
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The same, to judge against it.")],
    extra: Extra = None,
    options: Options = Options(tier="gate"),
    policy_file: Annotated[
        str,
        typer.Option("--policy", metavar="TOML", help="What blocks (default: gate.toml, if it exists)."),
    ] = "",
    confirm: Annotated[
        bool, typer.Option(help="Run unexpected blocking cases once more before they block.")
    ] = True,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run the baseline even if an earlier gate ran the same.")
    ] = False,
    speed: Annotated[
        float,
        typer.Option(
            min=0, metavar="MINUTES", help="Maximum minutes to time both in turns (default: do not time)."
        ),
    ] = 0.0,
    jobs: JobOptions = AS_JOBS,
) -> None:
    """May we upgrade? Status: 0 pass, 1 blocked, 2 usage, 3 inconclusive or not comparable."""
    root = project_root()
    settings = settings_of(jobs, options.add_model)
    rules = _policy(policy_file, root)
    options, rest = completed(options, extra)
    models = tuple(map(specification.table_text, rules.model))
    request = run.Request(
        baseline=baseline,
        candidate=candidate,
        options=msgspec.structs.replace(options, add_model=(*options.add_model, *models)),
        arguments=rest,
        narrowed=bool(extra or options.models or options.claims or options.targets or options.uses),
        command=command(),
        confirm=confirm,
        fresh=fresh,
        speed_minutes=speed,
        jobs=settings,
    )
    try:
        result, where = run.gate(request, rules, root, live)
    except HarnessError as error:
        if error.exit_status != HarnessError.exit_status:
            raise
        raise Undecided(str(error)) from error  # status 1 is a verdict here
    _say(result, where)
    raise typer.Exit(result.exit_status)


@takes_options
def matrix(
    releases: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RELEASE…] [-- PYTEST ARGUMENTS]", help="Releases or ranges (default: all known)."
        ),
    ] = None,
    options: Options = Options(),
    jobs: JobOptions = AS_JOBS,
) -> None:
    """Load every release's files in every release: a grid producer × consumer for each format."""
    root = project_root()
    settings = settings_of(jobs, options.add_model)
    named, extra = _parted(releases or [])
    options, rest = completed(options, extra)
    request = matrices.Request(
        releases=tuple(named or ("all",)),
        options=options,
        arguments=rest,
        jobs=settings,
        command=command(),
    )
    result, page = matrices.matrix(request, root, live)
    for line in matrices.told(result):
        say(line)
    say(f"page: {page}")


def _parted(given: list[str]) -> tuple[list[str], list[str]]:
    """Releases, and the pytest arguments behind them: from the first option on, whose value has no dash."""
    first = next((number for number, text in enumerate(given) if text.startswith("-")), len(given))
    return given[:first], given[first:]


def _policy(given: str, root: Path) -> Policy:
    usual = (path for path in (Path(POLICY_FILE), root / POLICY_FILE) if path.exists())
    path = Path(given) if given else next(usual, None)
    return policy.load(path) if path else Policy()


def _say(result: GateResult, folder: Path) -> None:
    found = causes(result.blocking)
    for cause in found[:MOST_PRINTED]:
        where_to = f" ({cause.where})" if cause.where else ""
        say(f"{len(cause.changes):>4} {cause.verdict}{where_to}: {cause.text}")
    if len(found) > MOST_PRINTED:
        say(f"     and {len(found) - MOST_PRINTED} more causes")
    for model in result.own[:MOST_PRINTED]:
        say(f"{model.model}: {model.words}")
    if len(result.own) > MOST_PRINTED:
        say(f"and {len(result.own) - MOST_PRINTED} more models of your own")
    note = outputs.append_step_summary(result)
    if note:
        print(note, file=sys.stderr)
    if sentence := outputs.detectable(result.paired):
        say(sentence)
    say(result.sentence)
    say(f"page: {folder / 'gate.html'}")
