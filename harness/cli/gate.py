"""`harness gate` and `harness matrix`: their options, and what they print."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from harness.core.choices import Tier, default_store
from harness.core.errors import HarnessError, Undecided, UsageError
from harness.core.paths import project_root
from harness.gate import matrix as matrices
from harness.gate import outputs, policy, run
from harness.gate.causes import causes
from harness.gate.policy import Policy
from harness.gate.result import GateResult
from harness.jobs.backend import AT_ONCE, BackendName
from harness.jobs.options import Address, AtOnce, BackendOption, Labels, Resources, settings_of
from harness.models import specification

POLICY_FILE = "gate.toml"
MOST_PRINTED = 12
"""Causes of a block that are printed; the page has all."""

out = Console(highlight=False, soft_wrap=True)
live = Console(highlight=False)

Extra = Annotated[list[str] | None, typer.Argument(metavar="[-- PYTEST ARGUMENTS]", show_default=False)]
Models = Annotated[str, typer.Option("--models", metavar="NAME[,…]", help="Only these reference models.")]
Own = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="SPEC", help="A model of your own (may be given again)."),
]
Folder = Annotated[
    str, typer.Option("--folder", metavar="PATH", help="Where to write (default: in reports/).")
]
Store = Annotated[str, typer.Option("--store", metavar="PATH", help="Where artifacts are kept.")]


def gate(
    baseline: Annotated[
        str, typer.Argument(metavar="BASELINE", help="A release, wheel, index, interpreter or run.")
    ],
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The same, to be judged against it.")],
    extra: Extra = None,
    tier: Annotated[Tier, typer.Option(help="How much to run.")] = Tier.quick,
    models: Models = "",
    model: Own = None,
    claims: Annotated[str, typer.Option(metavar="ID[,…]", help="Only checks of these claims.")] = "",
    targets: Annotated[str, typer.Option(metavar="NAME[,…]", help="Only these targets.")] = "",
    policy_file: Annotated[
        str,
        typer.Option("--policy", metavar="TOML", help="What blocks (default: gate.toml, if it is there)."),
    ] = "",
    folder: Folder = "",
    store: Store = "",
    confirm: Annotated[
        bool, typer.Option(help="Run unknown blocking cases once more before they block.")
    ] = True,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run the baseline although an earlier gate ran the same.")
    ] = False,
    speed: Annotated[
        float,
        typer.Option(
            min=0, metavar="MINUTES", help="Time both in turns, at most so long (default: not at all)."
        ),
    ] = 0.0,
    backend: BackendOption = BackendName.local,
    address: Address = "",
    jobs: AtOnce = AT_ONCE,
    resources: Resources = "",
    labels: Labels = "",
) -> None:
    """May we upgrade? Status: 0 pass, 1 blocked, 2 usage, 3 inconclusive or not comparable."""
    root = project_root()
    settings = settings_of(backend, address, resources, labels, jobs, model or ())
    rules = _policy(policy_file, root)
    options = {
        "tier": tier.value,
        "models": models,
        "claims": claims,
        "targets": targets,
        "store": _absolute(store),
    }
    request = run.Request(
        baseline=baseline,
        candidate=candidate,
        arguments=(*(extra or ()), *_flags(options), *_own(model, rules)),
        narrowed=bool(extra or models or claims or targets),
        folder=folder,
        command=shlex.join(["harness", *sys.argv[1:]]),
        confirm=confirm,
        fresh=fresh,
        store=Path(store or default_store()),
        named_store=_absolute(store),
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


def matrix(
    releases: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RELEASE…] [-- PYTEST ARGUMENTS]", help="Releases or ranges (default: all known)."
        ),
    ] = None,
    models: Models = "",
    model: Own = None,
    folder: Folder = "",
    store: Store = "",
    backend: BackendOption = BackendName.local,
    address: Address = "",
    jobs: AtOnce = AT_ONCE,
    resources: Resources = "",
    labels: Labels = "",
) -> None:
    """Every release's files loaded by every release: a grid producer × consumer for each format."""
    root = project_root()
    settings = settings_of(backend, address, resources, labels, jobs, model or ())
    named = [text for text in releases or () if not text.startswith("-")]
    extra = [text for text in releases or () if text.startswith("-")]
    request = matrices.Request(
        releases=tuple(named or ("all",)),
        arguments=(*extra, *_flags({"store": _absolute(store)}), *_own(model, Policy())),
        models=tuple(dict.fromkeys(filter(None, map(str.strip, models.split(","))))),
        jobs=settings,
        store=Path(store or default_store()),
        folder=folder,
        command=shlex.join(["harness", *sys.argv[1:]]),
    )
    result, page = matrices.matrix(request, root, live)
    for line in matrices.told(result):
        out.print(escape(line))
    out.print(escape(f"page: {page}"))


def _flags(options: dict[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items() if value]


def _own(given: list[str] | None, rules: Policy) -> list[str]:
    """The user's own models, of the command line and of the policy, as pytest options."""
    try:
        for text in given or ():
            specification.parse(text)
        specs = [*map(specification.absolute, given or ()), *map(specification.table_text, rules.model)]
    except HarnessError as error:
        raise UsageError(str(error)) from error
    return [f"--model={spec}" for spec in specs]


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ""


def _policy(given: str, root: Path) -> Policy:
    if given:
        return policy.load(Path(given))
    for path in (Path(POLICY_FILE), root / POLICY_FILE):
        if path.exists():
            return policy.load(path)
    return Policy()


def _say(result: GateResult, folder: Path) -> None:
    found = causes(result.blocking)
    for cause in found[:MOST_PRINTED]:
        where_to = f" ({cause.direction})" if cause.direction else ""
        out.print(escape(f"{len(cause.changes):>4} {cause.verdict}{where_to}: {cause.text}"))
    if len(found) > MOST_PRINTED:
        out.print(f"     and {len(found) - MOST_PRINTED} more causes")
    note = outputs.append_step_summary(result)
    if note:
        print(note, file=sys.stderr)
    out.print(escape(result.sentence))
    out.print(escape(f"page: {folder / 'gate.html'}"))
