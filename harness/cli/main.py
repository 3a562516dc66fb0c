"""The command line: its commands and options, thin over the rooms that do the work.

Nothing here imports Paddle. Commands import their rooms when they are called: some take half a second, and
`harness query` should not wait for them. A :class:`HarnessError` becomes one sentence on stderr and exit
status 1; a command that is used wrongly ends with 2.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import harness
from harness.cli.lazy_commands import LazyGroup
from harness.core.choices import Kind, Limits, Tier, default_store
from harness.core.errors import HarnessError, UsageError
from harness.jobs.backend import Settings
from harness.jobs.options import Address, Labels, MaybeBackend, Resources, settings_of

EXIT_OF = {"pass": 0, "fail": 1, "incomplete": 3}


class Commands(LazyGroup):
    """The commands that live in rooms of their own, each imported when it is called."""

    lazy: ClassVar = {
        "env": "harness.cli.env:app",
        "bisect": "harness.cli.bisect:bisect",
        "compare": "harness.cli.compare:compare",
        "query": "harness.cli.history:query",
        "history": "harness.cli.history:history",
        "merge": "harness.cli.history:merge",
        "gate": "harness.cli.gate:gate",
        "matrix": "harness.cli.gate:matrix",
        "calibrate": "harness.cli.speed:calibrate",
        "hunt": "harness.cli.fuzz:hunt",
    }


app = typer.Typer(
    name="harness",
    cls=Commands,
    help="Conformance and benchmark harness for what Paddle saves, exports and runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
out = Console(highlight=False, soft_wrap=True)


class Profile(StrEnum):
    default = "default"
    legacy_ir = "legacy-ir"


Python = Annotated[
    str,
    typer.Option(
        "--python", metavar="PATH", help="Interpreter of the environment under test (default: this one)."
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"harness {harness.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    pass


# run


@app.command()
def run(
    extra: Annotated[
        list[str] | None, typer.Argument(metavar="[-- PYTEST ARGUMENTS]", show_default=False)
    ] = None,
    tier: Annotated[Tier, typer.Option(help="How much to run.")] = Tier.quick,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="A model of your own (again for more): docs/your-own-models.md."),
    ] = None,
    models: Annotated[
        str, typer.Option(metavar="NAME[,…]", help="Only these models; none: only your own.")
    ] = "",
    model_timeout: Annotated[
        float, typer.Option(min=0.001, metavar="SECONDS", help="Per first run of a model of your own.")
    ] = Limits().seconds,
    model_memory: Annotated[
        float, typer.Option(min=0.001, metavar="GIB", help="Memory that a model of your own may take.")
    ] = Limits().gib,
    targets: Annotated[str, typer.Option(metavar="NAME[,…]", help="Only these targets.")] = "",
    methods: Annotated[
        str, typer.Option(metavar="NAME[,…]", help="Only these ways to compress a model.")
    ] = "",
    claims: Annotated[str, typer.Option(metavar="ID[,…]", help="Only checks of these claims.")] = "",
    accuracy_bound: Annotated[
        float, typer.Option(min=0.001, metavar="POINTS", help="Accuracy a compressed model may lose.")
    ] = 1.0,
    images: Annotated[
        int, typer.Option(min=0, metavar="N", help="Test images accuracy is compared on; 0: all.")
    ] = 0,
    dataset: Annotated[str, typer.Option(metavar="auto|packaged|paddle|FOLDER", help="The digits.")] = "auto",
    python: Python = "",
    paddle: Annotated[
        str,
        typer.Option(
            metavar="RELEASE", help="Instead of --python: a release, whose environment is made now."
        ),
    ] = "",
    profile: Annotated[
        Profile, typer.Option(help="legacy-ir: Paddle 3.x without its new intermediate representation.")
    ] = Profile.default,
    run_folder: Annotated[
        str, typer.Option(metavar="PATH", help="Where to write (default: in reports/).")
    ] = "",
    store: Annotated[str, typer.Option(metavar="PATH", help="Where artifacts are kept.")] = "",
    targets_file: Annotated[list[str] | None, typer.Option(metavar="TOML", help="More targets.")] = None,
    deadline: Annotated[
        float, typer.Option(min=0.001, metavar="SECONDS", help="Per call into Paddle.")
    ] = 120.0,
    benchmark_json: Annotated[
        str, typer.Option(metavar="PATH", help="pytest-benchmark's JSON, enriched.")
    ] = "",
    backend: MaybeBackend = None,
    address: Address = "",
    resources: Resources = "",
    labels: Labels = "",
) -> None:
    """Run the suites, show where they are, write records and the page. --engine: each target a job."""
    from harness.core.paths import new_folder, project_root
    from harness.jobs.progress import run_pytest
    from harness.models import specification

    root = project_root()
    settings = settings_of(backend, address, resources, labels, own=model or ())
    python = _with_paddle(python, paddle)
    folder = Path(run_folder).absolute() if run_folder else new_folder(root)
    if backend is None and (folder / "records.jsonl").exists():
        raise HarnessError(f"{folder} already holds a run: name another folder with --run-folder")
    options = {
        "tier": tier.value,
        "models": models,
        "model-timeout": f"{model_timeout:g}",
        "model-memory": f"{model_memory:g}",
        "targets": targets,
        "methods": methods,
        "claims": claims,
        "accuracy-bound": f"{accuracy_bound:g}",
        "images": str(images),
        "dataset": dataset if dataset in ("auto", "packaged", "paddle") else str(Path(dataset).absolute()),
        "store": str(Path(store).absolute()) if store else "",
        "deadline": f"{deadline:g}",
        "benchmark-json": str(Path(benchmark_json).absolute()) if benchmark_json else "",
    }
    arguments = [f"--{name}={value}" for name, value in options.items() if value]
    arguments += [f"--targets-file={Path(file).absolute()}" for file in targets_file or ()]
    arguments += [f"--model={specification.absolute(text)}" for text in model or ()]
    arguments = [*_paths(extra or [], root), *arguments]
    if backend is not None:
        _run_by_target(python, profile, arguments, settings, run_folder, store)
    arguments += [f"--python={_interpreter(python)}", f"--profile={profile.value}", f"--run-folder={folder}"]
    raise typer.Exit(run_pytest(root, folder, arguments))


def _run_by_target(
    python: str, profile: Profile, arguments: list[str], settings: Settings, run_folder: str, store: str
) -> NoReturn:
    from harness.core.paths import project_root
    from harness.jobs import by_target  # jobs need more than a run does

    here = _interpreter(python)
    text = here if not python or Path(here).exists() else python
    text += "@legacy-ir" * (profile is Profile.legacy_ir)
    root, kept = project_root(), Path(store or default_store())
    found, folder = by_target.run(text, arguments, settings, root, run_folder, kept)
    for sentence in by_target.sentences(found):
        out.print(escape(sentence))
    out.print(escape(f"side by side: harness compare {folder}"))
    raise typer.Exit(EXIT_OF[by_target.status(found)])


def _with_paddle(python: str, paddle: str) -> str:
    """The interpreter under test: the one that was named, or of a release's environment, or this one.

    Raises:
        UsageError: both were named.
        HarnessError: none was, and there is no Paddle here; or the environment cannot be made.
    """
    if python and paddle:
        raise UsageError("--python and --paddle both name the environment under test: give one of them")
    if paddle:
        from harness.environments import resolve_one

        found = resolve_one(paddle, say=lambda text: out.print(escape(text)))
        if found.profile != "default":
            raise UsageError(f"--paddle takes a release: give --profile {found.profile} beside it")
        return found.python
    if not python and importlib.util.find_spec("paddle") is None:
        from harness.environments import known_releases

        newest = known_releases()[-1]
        raise HarnessError(
            f"there is no Paddle beside the harness: `harness run --paddle {newest}` makes an environment "
            "with it (0.9 GB on disk), and --python PATH takes one that is there"
        )
    return python


def _interpreter(python: str) -> str:
    """An absolute path; a bare name is looked up on PATH. Links stay: a venv's python is one."""
    if not python:
        return sys.executable
    return str(Path((shutil.which(python) if os.sep not in python else None) or python).absolute())


def _paths(extra: list[str], root: Path) -> list[str]:
    """Extra pytest arguments with absolute paths; the whole of ``suites/`` if they name no file."""
    found, named = [], False
    for argument in extra:
        path, mark, rest = argument.partition("::")
        if path and not path.startswith("-") and Path(path).exists():
            argument, named = f"{Path(path).absolute()}{mark}{rest}", True
        found.append(argument)
    return found if named else [str(root / "suites"), *found]


# list


@app.command("list")
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")] = Kind.models,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only what is not available here, and why.")
    ] = False,
    python: Python = "",
    profile: Annotated[Profile, typer.Option(help="As for run.")] = Profile.default,
    targets_file: Annotated[list[str] | None, typer.Option(metavar="TOML", help="More targets.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Models, recipes, methods, runtimes, targets, claims or checks, and what is missing here."""
    from harness.cli import listing

    files = [Path(file) for file in targets_file or ()]
    rows = listing.find(kind, _interpreter(python), profile.value, files)
    if missing:
        rows = [row for row in rows if row["missing"]]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        out.print(f"no {kind.value} are missing here" if missing else f"there are no {kind.value}")
        return
    _print_table(listing.table_of(rows))


def _print_table(table: Table) -> None:
    # A table needs the console's width, and a file has none to keep to.
    Console(highlight=False, width=None if out.is_terminal else 200).print(table)


# report, rerun, doctor

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder, or its name in reports/ (latest).")
]


@app.command()
def report(
    run: RunName,
    output: Annotated[str, typer.Option(metavar="FILE", help="Default: index.html in the run.")] = "",
) -> None:
    """Write the page again, of an unfinished run too. Status: 0 pass, 1 fail, 3 incomplete."""
    from harness.records.finding import open_run
    from harness.report import summary, write_report

    found = open_run(run, _root_or_here())
    page = write_report(found, Path(output) if output else found.folder / "index.html")
    verdict = summary.verdict(found)
    out.print(escape(verdict.sentence))
    out.print(escape(f"page: {page}"))
    raise typer.Exit(EXIT_OF[verdict.status])


@app.command()
def rerun(
    run: RunName,
    case: Annotated[str, typer.Argument(metavar="CASE", help="A case id, or a part only it has.")],
    script: Annotated[
        bool, typer.Option("--script", help="Write plain Paddle calls instead of running.")
    ] = False,
    output: Annotated[
        str, typer.Option(metavar="FOLDER", help="Where the script goes; it is made anew.")
    ] = "",
) -> None:
    """Run one recorded case again, or write it as a script of plain Paddle calls."""
    from harness.core.paths import project_root
    from harness.jobs import rerun as again
    from harness.records.finding import find_case, open_run

    root = project_root()
    found = open_run(run, root)
    record = find_case(found, case)
    if script:
        from harness.cli.script import write_script  # networks and hypothesis: half a second

        path = write_script(found, record, root, Path(output).absolute() if output else None)
        out.print(escape(f"written: {path}"))
        out.print(escape(f"run it: {again.options_of(found).python} {path}"))
        return
    out.print(escape(f"then: {record.outcome}{_because(record.reason)}"))
    status, new = again.run_again(found, record, root)
    if new is None:
        raise HarnessError(f"{record.case} is no longer a case of {record.nodeid}")
    out.print(escape(f"now:  {new.outcome}{_because(new.unexpected or new.reason)}"))
    raise typer.Exit(status)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _root_or_here() -> Path:
    """Reports can be read anywhere; only their short names need a project."""
    from harness.core.paths import project_root

    try:
        return project_root()
    except HarnessError:
        return Path.cwd()


@app.command()
def doctor(python: Python = "", store: Annotated[str, typer.Option(metavar="PATH")] = "") -> None:
    """What in an environment will not work, and what to install. Status 0: `harness run` can start."""
    from harness.cli import doctor as doctor_module

    rows = doctor_module.examine(_interpreter(python), Path(store or default_store()))
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False, header_style="bold")
    style = {"ok": "green", "warn": "yellow", "missing": "red"}
    for row in rows:
        table.add_row(f"[{style[row.status]}]{row.status}", *map(escape, (row.what, row.found, row.do)))
    _print_table(table)
    good = doctor_module.can_run(rows)
    out.print("the main job can run" if good else "the main job cannot run: see the rows marked missing")
    raise typer.Exit(0 if good else 1)


def main() -> None:
    """Entry point of the ``harness`` command."""
    try:
        app()
    except HarnessError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
