"""Many works at once: pairs of processes until every work is decided or the time is spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from harness.speed import decide, machine
from harness.speed.decide import Answer, Estimate, Rule, Sample
from harness.speed.measure import Measured, Side, Work, pair
from harness.workers import WorkerFailure

PAIR_S = 0.25
"""Seconds of runs of one work on either side of a pair."""

FALSE_DISCOVERIES = 0.01
"""Share of the changes told that may be none."""

CONFIRMED_P = 0.05
"""What a fresh measurement must reach to confirm: with the first one's, one false alarm in thousands."""


class Result(msgspec.Struct, frozen=True):
    """One work's verdict, and what it rests on.

    ``medians_us``: of a run, baseline and candidate, microseconds. ``confirmed``: a second,
    independent measurement said so too (None: there was none to make). ``load``: the change of the
    time that loading takes, if the pairs allow to tell. ``why``: what kept a work from being timed.
    """

    work: str
    model: str
    batch: int
    targets: tuple[str, str]
    answer: Answer
    estimate: Estimate | None = None
    medians_us: tuple[float, float] = (0.0, 0.0)
    load: Estimate | None = None
    load_mib: tuple[float, float] = (0.0, 0.0)
    disturbed: float = 0.0
    unsteady: int = 0
    confirmed: bool | None = None
    why: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """All results, with how they came about."""

    sides: tuple[str, str]
    results: tuple[Result, ...]
    rule: Rule
    pairs: int
    duration_s: float
    place: machine.Placement
    before: machine.Conditions
    after: machine.Conditions


Tell = Callable[[str], None]


def compare(
    sides: Sequence[Side], works: Sequence[Work], rule: Rule, budget_s: float, tell: Tell, seed: int = 0
) -> Outcome:
    """Measure until every work is decided, at most ``budget_s`` seconds, and confirm what got slower.

    Works of one environment profile share a pair's processes; the order of works is drawn anew for each
    pair, so that none always follows the same other one.
    """
    started, before, place = time.monotonic(), machine.conditions(), machine.placement()
    rng = np.random.default_rng(seed)
    measured, failed = _measure(sides, works, rule, started + budget_s, place, rng, tell)
    results = {w.id: _result(w, measured[w.id], failed.get(w.id, ""), rule, len(works)) for w in works}
    results = _counted(results)
    slower = [work for work in works if results[work.id].answer == "slower"]
    if slower:
        tell(f"{len(slower)} slower: measured once more")
        again, _ = _measure(sides, slower, rule, time.monotonic() + budget_s, place, rng, tell, whole=True)
        for work in slower:
            results[work.id] = _confirm(results[work.id], again[work.id], rule)
    return Outcome(
        sides=(sides[0].name, sides[1].name),
        results=tuple(results[work.id] for work in works),
        rule=rule,
        pairs=max((len(found) for found in measured.values()), default=0),
        duration_s=time.monotonic() - started,
        place=place,
        before=before,
        after=machine.conditions(),
    )


def _measure(
    sides: Sequence[Side],
    works: Sequence[Work],
    rule: Rule,
    until: float,
    place: machine.Placement,
    rng: np.random.Generator,
    tell: Tell,
    whole: bool = False,
) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Pairs for each work until it is decided; ``whole``: all that the rule allows."""
    found: dict[str, list[Measured]] = {work.id: [] for work in works}
    failed: dict[str, str] = {}
    for work in works:
        try:  # artifacts are made before the clock matters
            for side, target in zip(sides, work.targets, strict=True):
                side.lab.files(target, work.model)
        except WorkerFailure as failure:
            failed[work.id] = failure.sentence
    # With this p-value a change stands among so many works whatever the others are.
    most = FALSE_DISCOVERIES / len(works)
    with machine.apart(place):
        for number in range(rule.looks[-1]):
            open_works = [
                work
                for work in works
                if work.id not in failed and (whole or not _decided(found[work.id], rule, most))
            ]
            if not open_works or (number >= rule.looks[0] and time.monotonic() > until):
                break
            tell(f"pair {number + 1}: {len(open_works)} of {len(works)} works")
            for group in _groups(open_works):
                _one_pair(sides, group, bool(number % 2), place, rng, found, failed)
    return found, failed


def _groups(works: Sequence[Work]) -> list[list[Work]]:
    """Works whose processes start alike."""
    groups: dict[str, list[Work]] = {}
    for work in works:
        groups.setdefault(repr([sorted(target.env.items()) for target in work.targets]), []).append(work)
    return list(groups.values())


def _one_pair(
    sides: Sequence[Side],
    works: Sequence[Work],
    swapped: bool,
    place: machine.Placement,
    rng: np.random.Generator,
    found: dict[str, list[Measured]],
    failed: dict[str, str],
) -> None:
    waiting = [works[index] for index in rng.permutation(len(works))]
    while waiting:
        with pair(sides, works[0].targets, swapped, place) as processes:
            while waiting:
                work = waiting.pop()
                try:
                    found[work.id].append(processes.measure(work, PAIR_S, rng))
                except WorkerFailure as failure:
                    # The others go on in processes that nothing has happened to.
                    failed[work.id] = failure.sentence
                    break


def _samples(measured: Sequence[Measured], load: bool = False) -> list[Sample]:
    return [Sample(one.load if load else one.ratios[0], one.swapped) for one in measured]


def _decided(measured: Sequence[Measured], rule: Rule, most: float) -> bool:
    looked = decide.look(_samples(measured), rule)
    return looked is not None and decide.ends(looked, most)


def _result(work: Work, measured: Sequence[Measured], why: str, rule: Rule, works: int = 1) -> Result:
    names = (work.targets[0].name, work.targets[1].name)
    plain = Result(work.id, work.model, work.batch, names, "not enough data", why=why)
    if why or len(measured) < rule.looks[0]:
        return plain if why else msgspec.structs.replace(plain, why="too few pairs in the time given")
    estimate, answer = decide.sequential(_samples(measured), rule, FALSE_DISCOVERIES / works)
    medians = np.median([one.medians for one in measured], axis=0) * 1e6
    mib = np.median([one.load_mib for one in measured], axis=0)
    return msgspec.structs.replace(
        plain,
        answer=answer,
        estimate=estimate,
        medians_us=(float(medians[0]), float(medians[1])),
        load=decide.estimate(_samples(measured, load=True), rule.once(len(measured), rule.alpha)),
        load_mib=(float(mib[0]), float(mib[1])),
        disturbed=float(np.mean([one.disturbed for one in measured])),
        unsteady=sum(one.unsteady for one in measured),
    )


def _counted(results: dict[str, Result]) -> dict[str, Result]:
    """Changes that stand when all works are looked at together."""
    told = [work for work, result in results.items() if result.estimate is not None]
    values = [result.estimate.p for result in results.values() if result.estimate is not None]
    for work, counts in zip(told, decide.discoveries(values, FALSE_DISCOVERIES), strict=True):
        if results[work].answer in ("slower", "faster") and not counts:
            results[work] = msgspec.structs.replace(
                results[work],
                answer="not enough data",
                why="one of so many works may look like this by chance",
            )
    return results


def _confirm(result: Result, again: Sequence[Measured], rule: Rule) -> Result:
    """Slower only if a second measurement, which chose nothing, says so by itself."""
    if len(again) < rule.looks[0]:
        return msgspec.structs.replace(result, answer="not enough data", confirmed=False, why="not confirmed")
    second = decide.estimate(_samples(again), rule.once(len(again), 2 * CONFIRMED_P))
    if second.low > 0 and second.change >= rule.floor:
        return msgspec.structs.replace(result, confirmed=True)
    return msgspec.structs.replace(
        result,
        answer="not enough data",
        confirmed=False,
        why=f"a second measurement gave {round(100 * second.change, 1) + 0.0:+.1f} %",
    )
