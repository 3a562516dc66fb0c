"""Every release's files loaded by every release: one run for each loading release, one grid for all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console

import harness
from harness.environments import Environment, resolve
from harness.gate import outputs
from harness.gate.judge import grid
from harness.gate.result import MatrixResult
from harness.gate.runs import Job, faults, new_folder, run_all, slug
from harness.records import Run
from harness.report.matrix import write_matrix
from harness.report.summary import standing
from harness.session import now

SUITE = "test_upgrade.py"


class Request(msgspec.Struct, frozen=True):
    """What was asked for; ``arguments`` go to every run's pytest."""

    releases: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    folder: str = ""
    command: str = ""


def matrix(request: Request, root: Path, console: Console) -> tuple[MatrixResult, Path]:
    """Make the environments, run them all, write ``matrix.html`` and ``matrix.json``; result and page.

    Raises:
        UsageError: a release is not known, or the folder already holds a matrix.
        HarnessError: an environment or the folder cannot be made, or a run did not start.
    """
    started, clock = now(), time.monotonic()
    environments = _environments(request.releases)
    folder = new_folder(request.folder, root, "matrices", "")
    producers = [
        f"--from={e.name}={e.python}" + ("" if e.profile == "default" else f"@{e.profile}")
        for e in environments
    ]
    suite = str(root / "suites" / SUITE)
    jobs = [
        Job(e.name, folder / slug(e.name), e, (suite, *request.arguments, *producers)) for e in environments
    ]
    runs = run_all(root, jobs, console)
    names = tuple(environment.name for environment in environments)
    result = MatrixResult(
        releases=names,
        cells=tuple(grid(runs, names)),
        started=started,
        duration_s=time.monotonic() - clock,
        command=request.command,
        harness=harness.__version__,
        problems=tuple(_problems(runs, names)),
        notes=tuple(_notes(runs, environments)),
    )
    outputs.write_matrix_json(result, folder / "matrix.json")
    return result, write_matrix(result, folder / "matrix.html")


def _environments(specs: tuple[str, ...]) -> list[Environment]:
    found = {environment.name: environment for spec in specs for environment in resolve(spec)}
    return list(found.values())


def _problems(runs: list[Run], names: tuple[str, ...]) -> Iterator[str]:
    for run, name in zip(runs, names, strict=True):
        yield from faults(run, name)
        if not any(record.comparisons for record in run.records):
            yield f"nothing was compared in {name}"


def _notes(runs: list[Run], environments: list[Environment]) -> Iterator[str]:
    models = dict.fromkeys(record.model for run in runs for record in run.records if record.model)
    yield f"models: {', '.join(models)}"
    for environment in environments:
        if environment.note:
            yield f"{environment.name}: {environment.note}"
    odd = sum(standing(record) in ("unexpected", "surprise") for run in runs for record in run.records)
    if odd:
        yield f"{odd} cases behave otherwise than suites/known_failures.toml says"


def told(result: MatrixResult) -> Iterator[str]:
    """What is printed: for each pair of releases, how many cases pass."""
    pairs: dict[tuple[str, str], list[int]] = {}
    for cell in result.cells:
        counts = pairs.setdefault((cell.producer, cell.consumer), [0, 0])
        if cell.outcome != "not-run":
            counts[0] += cell.passed
            counts[1] += cell.cases
    for (producer, consumer), (passed, cases) in pairs.items():
        if passed < cases:
            yield f"files of {producer} in {consumer}: {passed} of {cases} cases pass"
    whole = sum(passed == cases for passed, cases in pairs.values())
    yield f"{len(result.releases)} releases, {whole} of {len(pairs)} pairs load everything."
    yield from (f"note: {text}" for text in (*result.problems, *result.notes))
