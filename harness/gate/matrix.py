"""Load every release's files in every release: one run for each loading release, one grid for all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
from rich.console import Console

import harness
from harness.core.clock import now
from harness.core.options import Options
from harness.core.paths import slug
from harness.gate import outputs
from harness.gate.judge import faults, grid
from harness.gate.matrix_page import render_matrix
from harness.gate.result import MatrixResult
from harness.jobs.backend import Settings
from harness.jobs.job import Job, JobResult
from harness.jobs.journal import new_folder
from harness.jobs.merge import AREA, merged
from harness.jobs.named import Named, named
from harness.jobs.runner import Runner
from harness.jobs.suites import Suite
from harness.records.files import Run
from harness.report.layout import write_page
from harness.report.summary import standing

SUITE = "test_upgrade.py"
PARTS = "parts"
"""Folder of the jobs' runs."""


class Request(msgspec.Struct, frozen=True):
    """What was asked for; ``arguments`` go to every run's pytest, beside the options."""

    releases: tuple[str, ...]
    options: Options = Options()
    """Where models are named, each release has jobs of its own for each of them."""
    arguments: tuple[str, ...] = ()
    jobs: Settings = Settings()
    command: str = ""


def matrix(request: Request, root: Path, console: Console) -> tuple[MatrixResult, Path]:
    """Make and run all environments, write ``matrix.html`` and ``matrix.json``; return result and page.

    Raises:
        UsageError: a release is not known, or the folder already holds a matrix.
        HarnessError: an environment or the folder cannot be made, or a run did not start.
    """
    started, clock = now(), time.monotonic()
    environments = named(request.releases, request.jobs.backend)
    folder = new_folder(request.options.folder, root, "matrices", "")
    jobs = jobs_of(environments, request)
    with Runner(request.jobs, root, folder, request.options.store_folder, console) as runner:
        ends = runner.run([job for parts in jobs.values() for job in parts])
        runs = [
            merged([(ends[job.name], folder / job.folder, job.name) for job in parts], folder / slug(name))
            for name, parts in jobs.items()
        ]
    names = tuple(jobs)
    result = MatrixResult(
        releases=names,
        cells=tuple(grid(runs, names)),
        started=started,
        duration_s=time.monotonic() - clock,
        command=request.command,
        harness=harness.__version__,
        problems=tuple(_problems(runs, names)),
        notes=(*_notes(runs, environments), *_places(ends.values())),
    )
    outputs.write_json(result, folder / "matrix.json")
    return result, write_page(render_matrix(result), folder / "matrix.html")


def jobs_of(environments: Sequence[Named], request: Request) -> dict[str, list[Job]]:
    """Return each loading release's jobs: first those on its own files, then those on other releases' files.

    The jobs on a release's own files make its artifacts; the jobs that load them elsewhere come after.
    Where models are named, each model has separate jobs.
    """
    found: dict[str, list[Job]] = {one.name: [] for one in environments}
    arguments = (f"suites/{SUITE}", *request.arguments)
    for model in dict.fromkeys(request.options.models or ("",)):
        label = f" {model}" if model else ""
        options = msgspec.structs.replace(request.options, models=(model,) if model else (), folder="")
        own = [f"{one.name}{label}, own files" for one in environments]
        for one, name in zip(environments, own, strict=True):
            folder = f"{PARTS}/{slug(one.name + label)}-own"
            found[one.name].append(
                request.jobs.job(name, Suite(one.text, options, arguments, (one.text,)), folder)
            )
        for one in environments:
            others = tuple(other.text for other in environments if other is not one)
            folder = f"{PARTS}/{slug(one.name + label)}"
            if others:
                work = Suite(one.text, options, arguments, others)
                found[one.name].append(request.jobs.job(f"{one.name}{label}", work, folder, tuple(own)))
    return found


def _problems(runs: list[Run], names: tuple[str, ...]) -> Iterator[str]:
    for run, name in zip(runs, names, strict=True):
        yield from faults(run, name)
        for record in run.records:
            if record.area == AREA:
                yield f"{record.case.removeprefix('jobs/')}: {record.outcome}, {record.reason}"
        if not any(record.comparisons for record in run.records):
            yield f"nothing was compared in {name}"


def _notes(runs: list[Run], environments: Sequence[Named]) -> Iterator[str]:
    models = dict.fromkeys(record.model for run in runs for record in run.records if record.model)
    yield f"models: {', '.join(models)}"
    for environment in environments:
        if environment.note:
            yield f"{environment.name}: {environment.note}"
    odd = sum(standing(record) in ("unexpected", "departed") for run in runs for record in run.records)
    if odd:
        yield f"{odd} cases end differently from what suites/known_failures.toml says"


def _places(ends: Iterable[JobResult]) -> Iterator[str]:
    """Yield how many jobs each machine ran, where there are several."""
    counts = Counter(end.where for end in ends if end.where)
    if len(counts) > 1:
        yield f"jobs: {', '.join(f'{count} on {where}' for where, count in sorted(counts.items()))}"


def told(result: MatrixResult) -> Iterator[str]:
    """Yield the lines to print: for each pair of releases, how many cases pass."""
    pairs: dict[tuple[str, str], list[int]] = {}
    for cell in result.cells:
        counts = pairs.setdefault(cell.pair, [0, 0])
        if cell.outcome != "not-run":
            counts[0] += cell.passed
            counts[1] += cell.cases
    for (producer, consumer), (passed, cases) in pairs.items():
        if passed < cases:
            yield f"files of {producer} in {consumer}: {passed} of {cases} cases pass"
    whole = sum(passed == cases for passed, cases in pairs.values())
    yield f"{len(result.releases)} releases, {whole} of {len(pairs)} pairs load everything."
    yield from (f"note: {text}" for text in (*result.problems, *result.notes))
