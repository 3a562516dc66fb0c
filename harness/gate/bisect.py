"""Find the release that broke a case: a binary search that runs the case alone in one release at a time.

The search itself (:func:`search`) knows nothing of releases; :class:`Bisection` makes environments and
runs the case; the :class:`Result` is written as ``bisect.json``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from packaging.version import Version

from harness import environments
from harness.core.errors import HarnessError, UsageError
from harness.core.extensions import added
from harness.core.options import Options
from harness.core.types import BAD_OUTCOMES, Record
from harness.environments import Environment, Spec, known_releases, releases
from harness.environments.specs import LEGACY, parse
from harness.jobs.rerun import run_alone
from harness.jobs.suites import producer_of

BISECT_SCHEMA = 1
"""Version of ``bisect.json``; raised whenever a reader of the old form would misread the new."""

Verdict = Literal["good", "bad", "skipped"]
FOUND, INCONCLUSIVE = 0, 3

SELF = "from-self"
"""Stands in a case id for the files of the release being tried."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One release tried. A ``skipped`` one has a reason: it has no such case, or did not run it."""

    release: str
    verdict: Verdict
    outcome: str = ""
    reason: str = ""
    run: str = ""
    """Folder of the step's run, relative to the bisection's folder."""
    python: str = ""
    profile: str = ""
    seconds: float = 0.0
    record: Record | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``bisect.json``."""

    schema: int = BISECT_SCHEMA
    kind: Literal["bisect"] = "bisect"
    case: str
    exit_status: int
    sentence: str
    releases: tuple[str, ...]
    """All candidates, oldest first."""
    first_bad: str = ""
    last_good: str = ""
    undecided: tuple[str, ...] = ()
    """Skipped releases between the last good and the first bad one: each could be the first bad."""
    untried: tuple[str, ...] = ()
    """Releases not run, taken to behave like their neighbours: a binary search assumes one change."""
    steps: tuple[Step, ...] = ()
    """Releases tried, in the order of the search."""
    started: str
    duration_s: float
    command: str
    harness: str

    def step(self, release: str) -> Step | None:
        return next((step for step in self.steps if step.release == release), None)


# The search


class Found(NamedTuple):
    """Positions of the last good and first bad one; what is between them could not be judged."""

    last_good: int
    first_bad: int
    skipped: tuple[int, ...]


def search(count: int, judge: Callable[[int], Verdict]) -> Found:
    """Find the first bad of ``count`` positions, of which the first is good and the last is bad.

    Where one cannot be judged, its nearest neighbours are tried instead.
    """
    low, high = 0, count - 1
    skipped: set[int] = set()
    while True:
        middle = (low + high) / 2
        left = [each for each in range(low + 1, high) if each not in skipped]
        if not left:
            return Found(low, high, tuple(range(low + 1, high)))
        each = min(left, key=lambda position: (abs(position - middle), position))
        verdict = judge(each)
        if verdict == "good":
            low = each
        elif verdict == "bad":
            high = each
        else:
            skipped.add(each)


# What is searched


def candidates(good: str, bad: str, between: str) -> list[Spec]:
    """List what can be tried, oldest first: the good end, known releases between, the bad end.

    Args:
        good, bad: one environment each, of any kind; empty for the first and last of ``between``.
        between: releases; empty for all known.

    Raises:
        UsageError: an end names several, they are in the wrong order, or their profiles differ.
    """
    ends = {name: _one(name, text) for name, text in (("--good", good), ("--bad", bad)) if text}
    legacy = {spec.asked.endswith(LEGACY) for spec in ends.values() if not _only_legacy(spec)}
    if len(legacy) == 2 and not between:
        raise UsageError(
            f"--good {good} and --bad {bad} differ in profile: name both with {LEGACY}, or neither"
        )
    pool = parse(between or f"all{LEGACY if True in legacy else ''}")
    if any(spec.kind != "release" for spec in pool):
        raise UsageError(f"--releases takes releases, such as {known_releases()[0]}..{known_releases()[-1]}")
    first, last = ends.get("--good", pool[0]), ends.get("--bad", pool[-1])
    low, high = _version(first), _version(last)
    if first == last or (low and high and low > high):
        raise UsageError(
            f"the good end {first.asked} is not before the bad end {last.asked}: name an older one"
        )
    inside = [
        spec
        for spec in pool
        if spec not in (first, last)
        and (not low or low < Version(spec.version))
        and (not high or Version(spec.version) < high)
    ]
    return [first, *inside, last]


def _one(option: str, text: str) -> Spec:
    specs = parse(text)
    if len(specs) != 1:
        raise UsageError(f"{option} {text} names {len(specs)} environments: give one of them")
    return specs[0]


def _only_legacy(spec: Spec) -> bool:
    return spec.kind == "release" and releases()[Version(spec.version)].only_legacy


def _version(spec: Spec) -> Version | None:
    found = Version(spec.version) if spec.version else None
    return None if found == Version("0.0.0") else found


def nodeid(case: str, root: Path) -> str:
    """Turn a case id, ``area/check[parameters]``, into pytest's node id.

    Raises:
        UsageError: there is no such area or check.
    """
    area, slash, rest = case.partition("/")
    files = [file for suites in (root / "suites", *added("suites")) for file in suites.glob("test_*.py")]
    areas = {file.stem.removeprefix("test_"): file for file in sorted(files)}
    if not slash or area not in areas:
        raise UsageError(
            f"{case} is not a case id: give area/check[parameters], as a run's page shows it; the areas are "
            f"{', '.join(areas)}"
        )
    file = areas[area]
    name = file.relative_to(root) if file.is_relative_to(root) else file
    check = rest.partition("[")[0]
    if not re.search(rf"^def test_{re.escape(check)}\(", file.read_text(), re.MULTILINE):
        raise UsageError(f"{name} has no check {check}: `harness list checks` shows them")
    return f"{name}::test_{rest}"


def producers(case: str, given: Sequence[str]) -> list[Environment]:
    """Return the environments whose files the case loads: those given, else the release in its id.

    Raises:
        UsageError: the case loads another environment's files, and none is named.
        HarnessError: one of them cannot be made.
    """
    texts = list(given)
    if not texts and SELF not in case:
        names = [version + suffix for version in known_releases() for suffix in (LEGACY, "")]
        texts = [name for name in names if re.search(rf"\bfrom-{re.escape(name)}(?=[-\]])", case)][:1]
        if not texts and re.search(r"\bfrom-\S", case):
            raise UsageError(f"{case} loads another environment's files: name it with --producer")
    return [environments.resolve_one(text) for text in texts]


# Running


class Bisection(msgspec.Struct):
    """Runs one case in one environment after another."""

    case: str
    """Case id; ``from-self`` in it stands for the files of the release being tried."""
    specs: Sequence[Spec]
    """From :func:`candidates`."""
    options: Options
    """Options of every run."""
    more: Sequence[str]
    """pytest's other arguments."""
    given: Sequence[Environment]
    root: Path
    folder: Path
    """Where the runs are written, each below its release's name."""
    say: Callable[[str], None]
    """Told a line about each release tried."""
    steps: list[Step] = []
    nodeid: str = ""

    def __post_init__(self) -> None:
        self.nodeid = nodeid(self.case, self.root)

    def run(self) -> tuple[int, str, Found | None]:
        """Return exit status, answer in a sentence, and the two neighbours if the ends were good and bad."""
        names = [spec.asked for spec in self.specs]
        with ThreadPoolExecutor(2, "bisect") as pool:
            ends = list(pool.map(self._try, (self.specs[0], self.specs[-1])))
        for step in ends:
            self._tell(step)
        for step, expected in zip(ends, ("good", "bad"), strict=True):
            if step.verdict != expected:
                return INCONCLUSIVE, _wrong_end(step, expected), None
        found = search(len(self.specs), self._judge)
        last_good, first_bad = names[found.last_good], names[found.first_bad]
        if found.skipped:
            could = ", ".join(names[each] for each in (*found.skipped, found.first_bad))
            sentence = (
                f"the first bad release is one of {could}, the last good one is {last_good}: those between "
                "could not be judged"
            )
            return INCONCLUSIVE, sentence, found
        return FOUND, f"the first bad release is {first_bad}, the last good one is {last_good}", found

    def _judge(self, position: int) -> Verdict:
        step = self._try(self.specs[position])
        self._tell(step)
        return step.verdict

    def _tell(self, step: Step) -> None:
        self.steps.append(step)
        because = f": {step.reason}" if step.reason else ""
        self.say(f"{step.release:<10} {step.verdict:<8} {step.outcome}{because} ({step.seconds:.0f} s)")

    def _try(self, spec: Spec) -> Step:
        started = time.monotonic()
        try:
            environment = environments.make([spec])[0]
            case, node = (text.replace(SELF, f"from-{environment.name}") for text in (self.case, self.nodeid))
            folder = self.folder / environment.name
            producers = [*self.given, *([environment] if SELF in self.case else [])]
            options = msgspec.structs.replace(
                self.options,
                folder=str(folder),
                python=environment.python,
                paddle_profile=environment.profile,
                producers=tuple(map(producer_of, producers)),
            )
            record = run_alone(node, case, options, self.root, self.more)[1]
        except HarnessError as error:
            return Step(spec.asked, "skipped", reason=str(error), seconds=time.monotonic() - started)
        outcome = record.outcome if record is not None else ""
        verdict: Verdict = "good" if outcome == "pass" else "bad" if outcome in BAD_OUTCOMES else "skipped"
        return Step(
            release=spec.asked,
            verdict=verdict,
            outcome=outcome,
            reason=record.reason if record is not None else "it left no record",
            run=folder.name,
            python=environment.python,
            profile=environment.profile,
            seconds=round(time.monotonic() - started, 1),
            record=record,
        )


def _wrong_end(step: Step, expected: str) -> str:
    if step.verdict == "skipped":
        return f"{step.release} cannot be judged, so there is nothing to search: {step.reason}"
    other = "--good" if expected == "good" else "--bad"
    wrong = f"{step.release} is {step.verdict}, not {expected}"
    return f"{wrong}, so there is nothing to search: name another {other}"
