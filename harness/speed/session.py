"""Measure many workloads together, in pairs of processes, until all are decided or the time is used."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from harness.core.containers import grouped
from harness.pool.workers import WorkerFailure
from harness.speed import decide, machine
from harness.speed.decide import Answer, Estimate, Rule, Sample
from harness.speed.measure import Measured, Plan, Side, Timed, Workload, pair, visits

FALSE_DISCOVERIES = 0.02
"""Share of reported changes that may be false; with forty unchanged workloads, one in 2,000 is reported."""


class Result(msgspec.Struct, frozen=True):
    """One workload's verdict, with its data.

    ``medians_us``: microseconds per run, baseline and candidate. ``confirmed``: whether a second,
    independent measurement, ``again``, found the change too (None: it was not needed). ``p``: p-value of no
    change from both. ``load``: change of the loading time, if there are enough pairs. ``why``: reason where
    there is no verdict.
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
    again: Estimate | None = None
    p: float = 1.0


class Outcome(msgspec.Struct, frozen=True):
    """All results, with the conditions of the measurement."""

    sides: tuple[str, str]
    results: tuple[Result, ...]
    rule: Rule
    pairs: int
    duration_s: float
    place: machine.Placement
    before: machine.Conditions
    after: machine.Conditions
    plan: Plan = Plan()


Tell = Callable[[str], None]


class _Course(msgspec.Struct):
    """One workload's progress to a verdict: the pairs of its first measurement, then of its second."""

    work: Workload
    rule: Rule
    most: float
    first: list[Measured] = []
    second: list[Measured] = []
    seen: Estimate | None = None
    """Change that the first measurement saw; later pairs belong to the second one."""
    ended: bool = False
    why: str = ""

    def add(self, one: Measured) -> None:
        if self.seen is None:
            self.first.append(one)
            looked = decide.look([one.sample() for one in self.first], self.rule)
            if looked is not None and looked[1] in ("slower", "faster"):
                self.seen = looked[0]
            elif looked is not None:
                self.ended = looked[1] == "same" or len(self.first) >= self.rule.looks[-1]
        else:
            self.second.append(one)
            found = decide.again(self.seen, [one.sample() for one in self.second], self.rule, self.most)
            self.ended = found is not None and found.ends

    def failed(self, why: str) -> None:
        self.why, self.ended = why, True

    def result(self) -> Result:
        found = _result(self.work, self.first, self.why, self.rule)
        return _confirm(found, self.second, self.rule, self.most)


def compare(
    sides: Sequence[Side],
    works: Sequence[Workload],
    rule: Rule,
    budget_s: float,
    tell: Tell,
) -> Outcome:
    """Measure until every workload is decided, for at most ``budget_s`` seconds.

    A workload that looks slower or faster is measured once more, in new pairs, while others are still
    measured for the first time. Workloads of one environment profile share a pair's processes. Each round
    of sessions has a new random order, so that none always follows the same other one.
    """
    started, before, place = time.monotonic(), machine.conditions(), machine.placement()
    plan, rng = Plan(), np.random.default_rng(0)
    courses = [_Course(work, rule, FALSE_DISCOVERIES / len(works)) for work in works]
    _measure(sides, courses, rule, plan, started + budget_s, place, rng, tell)
    results = _counted({course.work.id: course.result() for course in courses})
    return Outcome(
        sides=(sides[0].name, sides[1].name),
        results=tuple(results[work.id] for work in works),
        rule=rule,
        pairs=max((len(course.first) + len(course.second) for course in courses), default=0),
        duration_s=time.monotonic() - started,
        place=place,
        before=before,
        after=machine.conditions(),
        plan=plan,
    )


def _measure(
    sides: Sequence[Side],
    courses: Sequence[_Course],
    rule: Rule,
    plan: Plan,
    until: float,
    place: machine.Placement,
    rng: np.random.Generator,
    tell: Tell,
) -> None:
    """Measure pairs of each workload until it is decided or the time is used."""
    for course in courses:
        try:  # artifacts are made before the clock matters
            for side, target in zip(sides, course.work.targets, strict=True):
                side.executor.builder.files(target, course.work.model)
        except WorkerFailure as failure:
            course.failed(failure.sentence)
    number = 0
    with machine.apart(place):
        while going := [course for course in courses if not course.ended]:
            if number >= rule.looks[0] and time.monotonic() > until:
                break
            again = sum(course.seen is not None for course in going)
            tell(f"pair {number + 1}: {len(going)} of {len(courses)} works, {again} of them once more")
            for group in grouped(going, _alike).values():
                # A work's pairs start after an even number of others, and alternate as these do.
                _one_pair(sides, group, plan, bool(number % 2), place, rng)
            number += 1


def _alike(course: _Course) -> str:
    """Equal for works whose processes start alike."""
    return repr([sorted(target.env.items()) for target in course.work.targets])


def _one_pair(
    sides: Sequence[Side],
    courses: Sequence[_Course],
    plan: Plan,
    swapped: bool,
    place: machine.Placement,
    rng: np.random.Generator,
) -> None:
    waiting = {course.work.id: course for course in courses}
    while waiting:
        works = [course.work for course in waiting.values()]
        sessions: dict[str, list[Timed]] = {name: [] for name in waiting}
        with pair(sides, works[0].targets, swapped, place) as processes:
            for number, work in visits(works, plan.sessions, rng):
                try:
                    one = processes.measure(work, plan.seconds, rng, number=number)
                except WorkerFailure as failure:
                    # The other workloads are measured in new processes.
                    waiting.pop(work.id).failed(failure.sentence)
                    break
                sessions[work.id].append(one)
            else:
                for name, found in sessions.items():
                    waiting.pop(name).add(Measured(swapped, (0.0,), tuple(found)))


def _result(work: Workload, measured: Sequence[Measured], why: str, rule: Rule) -> Result:
    names = (work.targets[0].name, work.targets[1].name)
    plain = Result(work.id, work.model, work.batch, names, "not enough data", why=why)
    if why or len(measured) < rule.looks[0]:
        return plain if why else msgspec.structs.replace(plain, why="too few pairs in the time given")
    estimate, answer = decide.sequential([one.sample() for one in measured], rule)
    medians = np.median([one.medians for one in measured], axis=0) * 1e6
    loads = [Sample(one.load, one.swapped) for one in measured]
    mib = np.median([one.load_mib for one in measured], axis=0)
    return msgspec.structs.replace(
        plain,
        answer=answer,
        estimate=estimate,
        medians_us=(float(medians[0]), float(medians[1])),
        load=decide.estimate(loads, rule.once(len(measured), rule.alpha)),
        load_mib=(float(mib[0]), float(mib[1])),
        disturbed=float(np.mean([one.disturbed for one in measured])),
        unsteady=sum(one.unsteady for one in measured),
        p=estimate.p,
    )


def _confirm(result: Result, again: Sequence[Measured], rule: Rule, most: float) -> Result:
    """Keep slower or faster only if the independent second measurement alone shows it too."""
    if result.answer not in ("slower", "faster") or result.estimate is None:
        return result
    second = decide.again(result.estimate, [one.sample() for one in again], rule, most)
    if second is None:
        return _withdrawn(result, "no time was left to measure it again", p=1.0, confirmed=False)
    result = msgspec.structs.replace(result, again=second.estimate, confirmed=second.holds)
    if second.holds:
        return msgspec.structs.replace(result, p=second.p)
    found = f"a second measurement gave {round(100 * second.estimate.change, 1) + 0.0:+.1f} %"
    return _withdrawn(result, f"{found}{'' if second.ends else ' when the time was spent'}", p=1.0)


def _withdrawn(result: Result, why: str, **more: Any) -> Result:
    return msgspec.structs.replace(result, answer="not enough data", why=why, **more)


def _counted(results: dict[str, Result]) -> dict[str, Result]:
    """Keep the changes that remain significant when all workloads are considered together."""
    estimated = [work for work, result in results.items() if result.estimate is not None]
    counts = decide.discoveries([results[work].p for work in estimated], FALSE_DISCOVERIES)
    for work, stands in zip(estimated, counts, strict=True):
        if results[work].answer in ("slower", "faster") and not stands:
            why = "one of so many workloads may look like this by chance"
            results[work] = _withdrawn(results[work], why)
    return results
