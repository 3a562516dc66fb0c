"""Fuzz as jobs: each fuzzes one release with different seeds, and their findings are merged.

An hour of fuzzing is several rounds of jobs, so that losing a job costs only minutes and every job knows
what the others have found. Each job leaves a notebook. Notebooks that a killed command left are merged by
the next one.
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
"""Subfolder of the jobs."""
ROUND_MIN = 10.0
"""Most minutes of a job."""
LEAST_MIN = 0.05
APART = 1_000_000
"""Distance between the first seeds of two jobs: more than the rounds of Hypothesis in one job."""
TRIED = " networks ("
DIFFERED = "judged differently: "
"""Marks of the lines that a fuzzing run prints: what was tried, and what was judged differently."""


class Request(msgspec.Struct, frozen=True):
    """Arguments of the command."""

    sides: tuple[tuple[Named, ...], ...]
    """Environments to fuzz; of a pair, the second reads what the first writes."""
    minutes: float
    lanes: int = 1
    """Jobs at the same time for each side."""
    focus: str = ""
    seed: int = 0
    """First seed; 0: after all that were used."""
    twice: bool = False


class Hunted(msgspec.Struct, frozen=True):
    """Result: new findings with the paths of their scripts, lines that jobs printed, failed jobs."""

    new: tuple[tuple[Finding, Path], ...]
    said: tuple[str, ...]
    lost: tuple[str, ...]
    interrupted: bool


def hunt(
    request: Request, settings: Settings, root: Path, folder: Path, store: Path, console: Console
) -> Hunted:
    """Fuzz, and merge what was found into the notebooks in ``folder``, even after Ctrl-C.

    Raises:
        HarnessError: another fuzzing run with jobs uses the folder, or no backend answers.
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
        finally:  # also keep what stopped jobs found
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
    """Yield the jobs of each round, until the time is up; a round starts when the last one has ended."""
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
    """Return one round's jobs of one side. Each starts with the known findings, with their counts at zero."""
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
    """Return the subfolder for one release's notebook, the same in the main folder and in a job's."""
    return release.replace(" ", "-")


def gather(folder: Path) -> list[tuple[Finding, Path]]:
    """Merge the shards' notebooks into the main ones and remove them; return new findings and their scripts.

    The smallest network comes first, because a finding explains those that contain its operators.
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
            with contextlib.suppress(OSError):  # the worker could not write it; the finding is complete
                shutil.copy(script, here.folder)
            new.append((finding, here.folder / script.name))
    for notebook in notebooks:
        here = own[notebook.folder.name]
        here.used(*notebook.seeds)
        shutil.copytree(notebook.folder / "examples", here.folder / "examples", dirs_exist_ok=True)
        shutil.rmtree(notebook.folder)
    return new


def _sentences(shards: Path) -> Iterator[str]:
    """Yield the lines about what jobs tried, of jobs whose notebooks are not merged yet."""
    for path in sorted(shards.glob(f"*/*/{FINDINGS}")):
        with contextlib.suppress(OSError):
            lines = (path.parent.parent / SAYS).read_text(errors="replace").splitlines()
            yield from [line for line in lines if TRIED in line][-1:]
            yield from (line for line in lines if line.startswith(DIFFERED))
