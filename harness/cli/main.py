"""The command line: commands and options, a thin layer over the modules that do the work.

Nothing here imports Paddle. Commands import their modules when they are called, because some imports take
half a second and `harness query` should not wait for them. A :class:`HarnessError` becomes one sentence on
stderr and exit status 1; wrong usage ends with status 2.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, NoReturn

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

import harness
from harness.cli.lazy_commands import LazyGroup
from harness.cli.options import AsJson, Extra, Html, completed, settings_of, takes_options
from harness.cli.output import EXIT_OF, conclude, say, show
from harness.core.choices import Kind
from harness.core.errors import HarnessError, UsageError
from harness.core.option_parsing import arguments
from harness.core.options import JobOptions, Options
from harness.jobs.backend import Settings


class Commands(LazyGroup):
    """Commands in separate modules, each imported when it is called."""

    lazy: ClassVar = {
        "env": "harness.cli.env:app",
        "prune": "harness.cli.prune:prune",
        "bisect": "harness.cli.bisect:bisect",
        "compare": "harness.cli.compare:compare",
        "query": "harness.cli.history:query",
        "history": "harness.cli.history:history",
        "merge": "harness.cli.history:merge",
        "gate": "harness.cli.gate:gate",
        "matrix": "harness.cli.gate:matrix",
        "aa-test": "harness.cli.speed:aa_test",
        "fuzz": "harness.cli.fuzz:fuzz",
    }


app = typer.Typer(
    name="harness",
    cls=Commands,
    help="Conformance and benchmark harness for what Paddle saves, exports and runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"harness {harness.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


# run


@app.command()
@takes_options
def run(
    extra: Extra = None,
    options: Options = Options(),
    paddle: Annotated[
        str,
        typer.Option(
            metavar="RELEASE", help="Instead of --python: a release, whose environment is made if missing."
        ),
    ] = "",
    benchmark_json: Annotated[
        str, typer.Option(metavar="PATH", help="Write pytest-benchmark's JSON, with more fields.")
    ] = "",
    jobs: JobOptions = JobOptions(),
) -> None:
    """Run the suites, show where they are, write records and the page. --backend: each target a job."""
    from harness.core.paths import new_folder, project_root
    from harness.jobs.progress import run_pytest

    root = project_root()
    settings = settings_of(jobs, options.add_model)
    options, rest = completed(options, extra)
    python = _with_paddle(options.python, paddle)
    more = [f"--benchmark-json={Path(benchmark_json).absolute()}"] if benchmark_json else []
    more = [*_paths(rest, root), *more]
    if jobs.backend is not None:
        _run_by_target(python, options, more, settings)
    folder = Path(options.folder or new_folder(root))
    if (folder / "records.jsonl").exists():
        raise HarnessError(f"{folder} already holds a run: name another folder with --folder")
    options = msgspec.structs.replace(options, folder=str(folder), python=_interpreter(python))
    raise typer.Exit(run_pytest(root, folder, [*more, *arguments(options)]))


def _run_by_target(python: str, options: Options, more: list[str], settings: Settings) -> NoReturn:
    from harness.core.paths import project_root
    from harness.jobs import by_target  # jobs need more than a run does

    here = _interpreter(python)
    text = here if Path(here).exists() else python
    text += "@legacy-ir" * (options.paddle_profile == "legacy-ir")
    found, folder = by_target.run(text, options, more, settings, project_root())
    for sentence in by_target.sentences(found):
        say(sentence)
    say(f"side by side: harness compare {folder}")
    raise typer.Exit(EXIT_OF[by_target.status(found)])


def _with_paddle(python: str, paddle: str) -> str:
    """Return the interpreter under test: the one named, that of a release's environment, or this one.

    Raises:
        UsageError: both an interpreter and a release were named.
        HarnessError: none was named and this one has no Paddle, or the environment cannot be made.
    """
    if paddle and python != sys.executable:
        raise UsageError("--python and --paddle both name the environment under test: give one of them")
    if paddle:
        from harness.environments import resolve_one

        found = resolve_one(paddle, say=say)
        if found.profile != "default":
            raise UsageError(f"--paddle takes a release: give --paddle-profile {found.profile} with it")
        return found.python
    if python == sys.executable and importlib.util.find_spec("paddle") is None:
        from harness.environments import known_releases

        newest = known_releases()[-1]
        raise HarnessError(
            f"there is no Paddle in the harness's environment: `harness run --paddle {newest}` makes an "
            "environment with it (1.5 GB on disk), and --python PATH uses an existing one"
        )
    return python


def _interpreter(python: str) -> str:
    """An absolute path; a bare name is looked up on PATH. Links stay: a venv's python is one."""
    return str(Path((shutil.which(python) if os.sep not in python else None) or python).absolute())


def _paths(extra: Sequence[str], root: Path) -> list[str]:
    """Extra pytest arguments with absolute paths; the whole of ``suites/`` if they name no file."""
    from harness.core.paths import names_tests

    found, named = [], False
    for argument in extra:
        home = next((folder for folder in (Path(), root) if names_tests(argument, folder)), None)
        if home is not None:
            path, mark, rest = argument.partition("::")
            argument, named = f"{(home / path).absolute()}{mark}{rest}", True
        found.append(argument)
    return found if named else [str(root / "suites"), *found]


# list


@app.command("list")
@takes_options
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")] = "models",
    missing: Annotated[
        bool, typer.Option("--missing", help="Only what is not available here, with the reason.")
    ] = False,
    options: Options = Options(),
    as_json: AsJson = False,
) -> None:
    """List models, recipes, methods, runtimes, targets, claims or checks, and what is missing here."""
    from harness.cli import listing

    files = list(map(Path, options.targets_file))
    rows = listing.find(kind, _interpreter(options.python), options.paddle_profile, files)
    if missing:
        rows = [row for row in rows if row["missing"]]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        say(f"no {kind} are missing here" if missing else f"there are no {kind}")
        return
    show(listing.table_of(rows))


# report, rerun, doctor

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder, or its name in reports/ (latest).")
]


@app.command()
def report(
    run: RunName,
    html: Html = "",
) -> None:
    """Write the page again, of an unfinished run too. Status: 0 pass, 1 fail, 3 incomplete."""
    from harness.core.paths import project_root
    from harness.records.finding import open_run

    found = open_run(run, project_root())
    conclude(found, Path(html) if html else found.folder / "index.html")


@app.command()
def rerun(
    run: RunName,
    case: Annotated[str, typer.Argument(metavar="CASE", help="A case id, or a unique part of one.")],
    script: Annotated[
        bool, typer.Option("--script", help="Write plain Paddle calls instead of running.")
    ] = False,
    folder: Annotated[str, typer.Option(metavar="PATH", help="Where the script goes; it is made anew.")] = "",
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

        path = write_script(found, record, root, Path(folder).absolute() if folder else None)
        say(f"written: {path}")
        say(f"run it: {again.options_of(found).python} {path}")
        return
    say(f"then: {record.outcome}{_because(record.reason)}")
    status, new = again.run_again(found, record, root)
    if new is None:
        raise HarnessError(f"{record.case} is no longer a case of {record.nodeid}")
    say(f"now:  {new.outcome}{_because(new.unexpected or new.reason)}")
    raise typer.Exit(status)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


@app.command()
@takes_options
def doctor(options: Options = Options()) -> None:
    """What in an environment will not work, and what to install. Status 0: `harness run` can start."""
    from harness.cli import doctor as doctor_module

    rows = doctor_module.examine(_interpreter(options.python), options.store_folder)
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False, header_style="bold")
    style = {"ok": "green", "warn": "yellow", "missing": "red"}
    for row in rows:
        table.add_row(f"[{style[row.status]}]{row.status}", *map(escape, (row.what, row.found, row.do)))
    show(table)
    good = doctor_module.can_run(rows)
    say("the main job can run" if good else "the main job cannot run: see the rows marked missing")
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
