"""A hunt as jobs: each hunts in one release with seeds of its own, and what it found is folded together.

A hunt of an hour is several rounds of jobs, so that one that is lost or cut costs minutes, and that every
job knows what the others have found. What a job leaves is a notebook; what a killed hunt left of them is
folded in by the next one.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout
from rich.console import Console

from harness.core.errors import HarnessError
from harness.core.paths import slug
from harness.fuzz.findings import ACROSS, FINDINGS, Finding, Notebook
from harness.jobs.backend import Settings
from harness.jobs.command import SAYS, Command
from harness.jobs.job import Job, JobResult
from harness.jobs.named import Named
from harness.jobs.runner import Interrupted, Runner

SHARDS = "shards"
"""Folder below the hunt's, of the jobs."""
ROUND_MIN = 10.0
"""Minutes of a job at most."""
LEAST_MIN = 0.05
APART = 1_000_000
"""Between the first seeds of two jobs: more rounds of Hypothesis than one gets through."""
TRIED = " networks ("
DIFFERED = "judged differently: "
"""What a hunt's own lines are known by: what was tried, and what two processes judged differently."""


class Request(msgspec.Struct, frozen=True):
    """What was asked for."""

    sides: tuple[tuple[Named, ...], ...]
    """Each one environment, or two of which the second reads what the first writes."""
    minutes: float
    lanes: int = 1
    """Jobs at the same time for each side."""
    focus: str = ""
    seed: int = 0
    """The first; 0: behind all that were used."""
    twice: bool = False


class Hunted(msgspec.Struct, frozen=True):
    """What came of it: new findings with their scripts' places, what jobs said, and those that failed."""

    new: tuple[tuple[Finding, Path], ...]
    said: tuple[str, ...]
    lost: tuple[str, ...]
    interrupted: bool


def hunt(
    request: Request, settings: Settings, root: Path, folder: Path, store: Path, console: Console
) -> Hunted:
    """Hunt, and fold what was found into the notebooks in ``folder``, Ctrl-C or not.

    Raises:
        HarnessError: another hunt with jobs is at work there, or no engine answers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        new = gather(folder)
        if new:
            console.print(f"{len(new)} new findings of a hunt that was killed are kept")
        said: list[str] = []
        ends: dict[str, JobResult] = {}
        interrupted = False
        shards = folder / SHARDS
        shards.mkdir(exist_ok=True)
        try:
            with Runner(settings, root, shards, store, console) as runner:
                for jobs in _rounds(request, settings, folder):
                    ends |= runner.run(jobs)
                    said += _sentences(shards)
                    new += gather(folder)
                    if all(ends[job.name].status != "done" for job in jobs):
                        break
        except Interrupted:
            interrupted = True
        finally:  # what the jobs left that were told to end
            said += _sentences(shards)
            new += gather(folder)
        lost = tuple(end.sentence for end in ends.values() if end.status != "done")
        if not lost:
            shutil.rmtree(shards, ignore_errors=True)
    return Hunted(tuple(new), tuple(said), lost, interrupted)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        with FileLock(folder / ".shards.lock", timeout=0):
            yield
    except Timeout as error:
        raise HarnessError(
            f"another hunt with --backend is at work in {folder}: name another with --folder"
        ) from error


def _rounds(request: Request, settings: Settings, folder: Path) -> Iterator[list[Job]]:
    """The jobs of each round, until the time is up; a new one when the last has ended."""
    end = time.monotonic() + 60 * request.minutes
    first = request.seed
    while (left := (end - time.monotonic()) / 60) > LEAST_MIN:
        minutes = left / max(1, round(left / ROUND_MIN + 0.4))
        jobs = [
            job
            for side in request.sides
            for job in shards_of(side, request, settings, folder, minutes, first)
        ]
        first += APART * request.lanes if first else 0
        yield jobs


def shards_of(
    side: Sequence[Named], request: Request, settings: Settings, folder: Path, minutes: float, first: int
) -> list[Job]:
    """One round's jobs of one side. Each begins with what is known: seen by none of its networks yet."""
    release = ACROSS.join(one.name for one in side)
    notebook = Notebook(folder / own_folder(release))
    begin = first or max(notebook.seeds, default=0) + 1
    known = [msgspec.structs.replace(one, seen=0) for one in notebook.findings]
    files = ((f"{own_folder(release)}/{FINDINGS}", msgspec.json.encode(known).decode()),)
    options = [*(f"--paddle={one.text}" for one in side), f"--minutes={minutes:.3f}"]
    options += [f"--focus={request.focus}"] if request.focus else []
    options += ["--twice"] if request.twice else []
    jobs = []
    for seed in range(begin, begin + APART * request.lanes, APART):
        work = Command(("fuzz", *options, f"--seed={seed}"), files)
        jobs.append(settings.job(f"{release} from seed {seed}", work, slug(f"{release}-{seed}")))
    return jobs


def own_folder(release: str) -> str:
    """The folder of one release's notebook, in the hunt's and in a shard's."""
    return release.replace(" ", "-")


def gather(folder: Path) -> list[tuple[Finding, Path]]:
    """Fold the shards' notebooks into the hunt's own and remove them; the new findings, and their scripts.

    The smallest network comes first, since a finding explains those that have its operators and more.
    """
    notebooks = [Notebook(path.parent) for path in sorted((folder / SHARDS).rglob(FINDINGS))]
    found = [(finding, notebook) for notebook in notebooks for finding in notebook.findings]
    found.sort(key=lambda one: (len(one[0].operators), len(repr(one[0].network))))
    new: list[tuple[Finding, Path]] = []
    own = {name: Notebook(folder / name) for name in dict.fromkeys(one.folder.name for one in notebooks)}
    for finding, notebook in found:
        here = own[notebook.folder.name]
        if here.fold(finding):
            script = notebook.folder / f"{finding.name}.py"
            with contextlib.suppress(OSError):  # the worker could not write it; the finding says all
                shutil.copy(script, here.folder)
            new.append((finding, here.folder / script.name))
    for notebook in notebooks:
        here = own[notebook.folder.name]
        here.used(*notebook.seeds)
        shutil.copytree(notebook.folder / "examples", here.folder / "examples", dirs_exist_ok=True)
        shutil.rmtree(notebook.folder)
    return new


def _sentences(shards: Path) -> Iterator[str]:
    """What the jobs whose notebooks are not yet gathered have tried, in their own words."""
    for path in sorted(shards.glob(f"*/*/{FINDINGS}")):
        with contextlib.suppress(OSError):
            lines = (path.parent.parent / SAYS).read_text(errors="replace").splitlines()
            yield from [line for line in lines if TRIED in line][-1:]
            yield from (line for line in lines if line.startswith(DIFFERED))
