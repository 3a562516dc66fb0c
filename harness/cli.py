"""The command line: thin over pytest, the records and the worker pool.

Nothing here imports Paddle. A :class:`HarnessError` becomes one sentence on stderr and exit
status 1; a command that is used wrongly ends with 2.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import harness
from harness import doctor as doctor_module
from harness import rerun as again
from harness import targets as targets_module
from harness.errors import HarnessError
from harness.options import default_store
from harness.records import read_run
from harness.report import summary, write_report
from harness.session import claims as all_claims
from harness.targets import LEGACY_IR
from harness.types import BAD_OUTCOMES, OUTCOMES
from harness.workers import ROOT, WorkerFailure, WorkerPool, WorkerSpec

EXIT_OF = {"pass": 0, "fail": 1, "incomplete": 3}
POLL_S = 0.2
PLAIN_EVERY_S = 20.0
"""How often a run says where it is when its output goes to a file."""
OUTCOME_WORD = re.compile(r" (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
ENDING_S = 20.0
"""How long an interrupted pytest may take to close its records."""

app = typer.Typer(
    name="harness",
    help="Conformance and benchmark harness for what Paddle saves, exports and runs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
out = Console(highlight=False, soft_wrap=True)


class Tier(StrEnum):
    quick = "quick"
    full = "full"


class Profile(StrEnum):
    default = "default"
    legacy_ir = "legacy-ir"


class Kind(StrEnum):
    models = "models"
    recipes = "recipes"
    runtimes = "runtimes"
    targets = "targets"
    claims = "claims"
    checks = "checks"


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
    models: Annotated[str, typer.Option(metavar="NAME[,…]", help="Only these reference models.")] = "",
    targets: Annotated[str, typer.Option(metavar="NAME[,…]", help="Only these targets.")] = "",
    claims: Annotated[str, typer.Option(metavar="ID[,…]", help="Only checks of these claims.")] = "",
    dataset: Annotated[str, typer.Option(metavar="auto|packaged|paddle|FOLDER", help="The digits.")] = "auto",
    python: Python = "",
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
) -> None:
    """Run the suites, show where they are, write records and the page."""
    root = again.project_root()
    folder = Path(run_folder).absolute() if run_folder else again.new_folder(root)
    if (folder / "records.jsonl").exists():
        raise HarnessError(f"{folder} already holds a run: name another folder with --run-folder")
    options = {
        "tier": tier.value,
        "models": models,
        "targets": targets,
        "claims": claims,
        "dataset": dataset if dataset in ("auto", "packaged", "paddle") else str(Path(dataset).absolute()),
        "python": _interpreter(python),
        "profile": profile.value,
        "run-folder": str(folder),
        "store": str(Path(store).absolute()) if store else "",
        "deadline": f"{deadline:g}",
        "benchmark-json": str(Path(benchmark_json).absolute()) if benchmark_json else "",
    }
    arguments = [f"--{name}={value}" for name, value in options.items() if value]
    arguments += [f"--targets-file={Path(file).absolute()}" for file in targets_file or ()]
    raise typer.Exit(_run(root, folder, [*_paths(extra or [], root), *arguments]))


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


class Follower:
    """Reads a growing ``records.jsonl`` and pytest's log beside it."""

    def __init__(self, folder: Path) -> None:
        self.records = folder / "records.jsonl"
        self.log = folder / "pytest.log"
        self.selected = 0
        self.counts: Counter[str] = Counter()
        self.read = 0

    def news(self) -> Iterator[dict[str, Any]]:
        """Cases finished since the last call."""
        try:
            with self.records.open("rb") as file:
                file.seek(self.read)
                data = file.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self.read += len(whole)
        for text in whole.splitlines():
            line = msgspec.json.decode(text)
            if line["kind"] == "run":
                self.selected = int(line.get("selected", 0))
            elif line["kind"] == "case":
                self.counts[line["outcome"]] += 1
                yield line

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    @property
    def text(self) -> str:
        return ", ".join(f"{self.counts[o]} {o}" for o in OUTCOMES if self.counts[o]) or "starting"

    def current(self) -> str:
        """The case pytest has started and not finished: the log's last line names it."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 2000))
                last = file.read().decode("utf-8", "replace").rpartition("\n")[2]
        except OSError:
            return ""
        # "suites/test_area.py::test_check[a-b] ", and no outcome behind it yet.
        if "::" not in last or OUTCOME_WORD.search(last):
            return ""
        return last.partition("::")[0].rpartition("/")[2] + "::" + last.partition("::")[2].strip()


def _run(root: Path, folder: Path, arguments: list[str]) -> int:
    """pytest as a child, followed to its end; its exit status."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log = (folder / "pytest.log").open("wb")
    except OSError as error:
        raise HarnessError(
            f"the run folder {folder} cannot be made ({error.strerror}): name another with --run-folder"
        ) from error
    follower = Follower(folder)
    # -v writes a case's name before it runs, which is how the live line knows the current one.
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--color=no", *arguments]
    # A session of its own: Ctrl-C then reaches this process alone, which passes it on to pytest
    # but not to its workers, so that pytest can close them and its records in order.
    with log:
        child = subprocess.Popen(
            command, cwd=root, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    interrupted = False
    with _signals_interrupt():
        try:
            _follow(child, follower)
        except KeyboardInterrupt:
            interrupted = True
            _end(child)
        except BaseException:
            _end(child)
            raise
    for _ in follower.news():
        pass
    return _conclude(folder, follower, child.returncode, interrupted)


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end the child too, the way Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(child: subprocess.Popen[bytes], follower: Follower) -> None:
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[counts]}"),
        TextColumn("[dim]{task.fields[current]}"),
    )
    # Wrapped, the live line would leave its old self behind at every redraw.
    console = Console(highlight=False)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("run", total=None, counts="starting", current="")
        said = time.monotonic()
        while True:
            ended = child.poll() is not None
            for record in follower.news():
                if _unexpected(record):
                    progress.console.print(escape(_line(record)), soft_wrap=True)
            if console.is_terminal:
                progress.update(
                    task,
                    total=follower.selected or None,
                    completed=follower.done,
                    counts=follower.text,
                    current=escape(follower.current()),
                )
            elif time.monotonic() - said > PLAIN_EVERY_S and not ended:
                said = time.monotonic()
                out.print(escape(f"{follower.done} of {follower.selected} cases: {follower.text}"))
            if ended:
                return
            time.sleep(POLL_S)


def _unexpected(record: dict[str, Any]) -> bool:
    return bool(record.get("surprise")) or (record["outcome"] in BAD_OUTCOMES and not record.get("known"))


def _line(record: dict[str, Any]) -> str:
    return f"{record['outcome']:>8}  {record['case']}: {record.get('surprise') or record.get('reason', '')}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask pytest to end; kill it and its workers if it takes long or the user asks again."""
    try:
        child.send_signal(signal.SIGINT)
        child.wait(ENDING_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _conclude(folder: Path, follower: Follower, status: int, interrupted: bool) -> int:
    if not (folder / "records.jsonl").exists():
        text = again.last_error(follower.log.read_text(errors="replace"))
        # Nothing of a run in it: only what this command and pytest put there themselves.
        for path in (follower.log, folder / "junit.xml"):
            path.unlink(missing_ok=True)
        shutil.rmtree(folder / "logs", ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()
        if interrupted:
            text = "interrupted before the first case"
        print(text, file=sys.stderr)
        return status if status > 0 else 1
    if interrupted:
        so_far = f"interrupted after {follower.done} of {follower.selected} cases"
        print(f"{so_far}; see them with: harness report {folder}", file=sys.stderr)
        return 128 + signal.SIGINT if status <= 0 else status
    if status < 0:
        name = signal.Signals(-status).name
        print(
            f"pytest was killed by {name}; see what it found with: harness report {folder}", file=sys.stderr
        )
        return 128 - status
    page = folder / "index.html"
    out.print(escape(summary.verdict(read_run(folder)).sentence))
    out.print(escape(f"page: {page}" if page.exists() else f"log: {follower.log}"))
    return status


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
    """Models, recipes, runtimes, targets, claims or checks, and what is missing here."""
    if kind in (Kind.claims, Kind.checks):
        rows = _claims_or_checks(kind)
    else:
        rows = _from_worker(kind, _interpreter(python), profile, [Path(file) for file in targets_file or ()])
    if missing:
        rows = [row for row in rows if row["missing"]]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        out.print(f"no {kind.value} are missing here" if missing else f"there are no {kind.value}")
        return
    columns = [name for name in rows[0] if any(row[name] not in (None, "", []) for row in rows)]
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(escape(_cell(row[name])) for name in columns))
    # A table needs the console's width, and a file has none to keep to.
    Console(highlight=False, width=None if out.is_terminal else 200).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _from_worker(kind: Kind, python: str, profile: Profile, files: list[Path]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as logs:
        pool = WorkerPool(Path(logs), python, 120.0)
        if profile is Profile.legacy_ir:
            pool.default = WorkerSpec(python).with_env(LEGACY_IR)
        try:
            if kind is Kind.targets:
                return _targets(pool, files)
            found = pool.call(f"{kind.value}.catalog")
        except WorkerFailure as error:
            raise HarnessError(
                f"Paddle does not work in {python} ({error}): `harness doctor` tells more"
            ) from error
        finally:
            pool.close()
    if kind is Kind.models:
        return [
            {
                "name": model["name"],
                "tier": model["tier"],
                "role": model["role"],
                "inputs": [f"{name} {dtype}{['?' if n is None else n for n in shape]}".replace("'", "")
                           for name, shape, dtype in model["inputs"]],
                "outputs": model["outputs"],
                "trained": "yes" if model["trained"] else "",
                "document": model["document"],
                "summary": model["summary"],
                "missing": None,
            }
            for model in found
        ]  # fmt: skip
    return [{"missing": None, **row} for row in found]


def _targets(pool: WorkerPool, files: list[Path]) -> list[dict[str, Any]]:
    legacy = pool.call("environment.describe")["profile"] == "legacy-ir"
    rows = []
    for target in targets_module.load((targets_module.BUILT_IN, *files)).values():
        reason = pool.call("runtimes.available", runtime=target.runtime, options=target.options)
        if target.profile == "legacy-ir" and legacy:
            reason = "this environment runs in legacy-IR mode already: the plain target is this one"
        options = [f"{name}={value}" for name, value in target.options.items()]
        rows.append(
            {
                "name": target.name,
                "runtime": target.runtime,
                "options": options,
                "profile": target.profile,
                "tier": target.tier,
                "missing": reason,
            }
        )
    return rows


def _claims_or_checks(kind: Kind) -> list[dict[str, Any]]:
    checks = list(_checks(again.project_root()))
    if kind is Kind.checks:
        return checks
    rows = []
    for claim, sentence in all_claims().items():
        names = [check["name"] for check in checks if claim in check["claims"]]
        reason = None if names else "no check decides it"
        rows.append({"claim": claim, "sentence": sentence, "checks": names, "missing": reason})
    return rows


def _checks(root: Path) -> Iterator[dict[str, Any]]:
    """Every test function of ``suites/``, which are near-side modules and can simply be imported."""
    import pytest

    for path in (str(root), str(ROOT)):
        if path not in sys.path:
            sys.path.insert(0, path)
    for file in sorted((root / "suites").rglob("test_*.py")):
        name = ".".join(file.relative_to(root).with_suffix("").parts)
        try:
            module = importlib.import_module(name)
        except (Exception, pytest.skip.Exception) as error:
            raise HarnessError(f"{file} cannot be imported ({type(error).__name__}: {error})") from error
        shared = getattr(module, "pytestmark", [])
        for attribute, function in vars(module).items():
            if not attribute.startswith("test_") or getattr(function, "__module__", "") != name:
                continue
            marks = [
                *getattr(function, "pytestmark", []),
                *(shared if isinstance(shared, list) else [shared]),
            ]
            decided = [claim for mark in marks if mark.name == "claims" for claim in mark.args]
            yield {
                "name": f"{file.stem.removeprefix('test_')}/{attribute.removeprefix('test_')}",
                "claims": list(dict.fromkeys(decided)),
                "tier": "full" if any(mark.name == "full" for mark in marks) else "quick",
                "title": ((function.__doc__ or "").strip().splitlines() or [""])[0],
                "missing": None,
            }


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
    found = again.open_run(run, _root_or_here())
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
    root = again.project_root()
    found = again.open_run(run, root)
    record = again.find_case(found, case)
    if script:
        path = again.write_script(found, record, root, Path(output).absolute() if output else None)
        out.print(escape(f"written: {path}"))
        out.print(escape(f"run it: {again.options_of(found).python} {path}"))
        return
    out.print(escape(f"then: {record.outcome}{_because(record.reason)}"))
    status, new = again.run_again(found, record, root)
    if new is None:
        raise HarnessError(f"{record.case} is no longer a case of {record.nodeid}")
    out.print(escape(f"now:  {new.outcome}{_because(new.surprise or new.reason)}"))
    raise typer.Exit(status)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _root_or_here() -> Path:
    """Reports can be read anywhere; only their short names need a project."""
    try:
        return again.project_root()
    except HarnessError:
        return Path.cwd()


@app.command()
def doctor(python: Python = "", store: Annotated[str, typer.Option(metavar="PATH")] = "") -> None:
    """What in an environment will not work, and what to install. Status 0: `harness run` can start."""
    rows = doctor_module.examine(_interpreter(python), Path(store or default_store()))
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False, header_style="bold")
    style = {"ok": "green", "warn": "yellow", "missing": "red"}
    for row in rows:
        table.add_row(f"[{style[row.status]}]{row.status}", *map(escape, (row.what, row.found, row.do)))
    Console(highlight=False, width=None if out.is_terminal else 200).print(table)
    good = doctor_module.can_run(rows)
    out.print("the main job can run" if good else "the main job cannot run: see the rows marked missing")
    raise typer.Exit(0 if good else 1)


def main() -> None:
    """Entry point of the ``harness`` command."""
    try:
        app()
    except HarnessError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
