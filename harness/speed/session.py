"""Measure many workloads together, in pairs of processes, until all are decided or the time is used."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from harness.core.containers import grouped
from harness.pool.workers import WorkerFailure
from harness.speed import decide, machine
from harness.speed.decide import Answer, Estimate, Rule, Sample
from harness.speed.measure import Measured, Plan, Quantity, Side, Timed, Workload, pair, visits
from harness.speed.operators import OperatorTime

FALSE_DISCOVERIES = 0.02
"""Share of reported changes that may be false; with forty unchanged workloads, one in 2,000 is reported."""


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When two sides count as equal, for each quantity; loading spreads more than running."""

    run: Rule = Rule()
    load: Rule = Rule(threshold=0.2, floor=0.1)
    memory: Rule = Rule(threshold=0.05, floor=0.025)

    def of(self, quantity: Quantity) -> Rule:
        """Return the rule of a quantity."""
        rule: Rule = getattr(self, quantity)
        return rule


class Result(msgspec.Struct, frozen=True):
    """The verdict on one quantity of one workload, with its data.

    ``medians``: of baseline and candidate, as :data:`UNITS` says. ``confirmed``: whether a second,
    independent measurement, ``again``, found the change too (None: it was not needed). ``p``: p-value of no
    change from both. ``why``: reason where there is no verdict.
    """

    work: str
    model: str
    batch: int
    targets: tuple[str, str]
    quantity: Quantity
    answer: Answer
    estimate: Estimate | None = None
    medians: tuple[float, float] = (0.0, 0.0)
    disturbed: float = 0.0
    unsteady: int = 0
    confirmed: bool | None = None
    why: str = ""
    again: Estimate | None = None
    p: float = 1.0
    operators: tuple[OperatorTime, ...] = ()
    """For a run that became slower or faster: where that comes from."""


UNITS: dict[Quantity, str] = {"run": "µs", "load": "ms", "memory": "MiB"}
"""Units of the medians of a :class:`Result`."""


class Outcome(msgspec.Struct, frozen=True):
    """All results, with the conditions of the measurement."""

    sides: tuple[str, str]
    results: tuple[Result, ...]
    rules: Rules
    pairs: int
    duration_s: float
    place: machine.Placement
    before: machine.Conditions
    after: machine.Conditions
    plan: Plan = Plan()


Tell = Callable[[str], None]


class _Course(msgspec.Struct):
    """One quantity's progress to a verdict: the pairs of its first measurement, then of its second."""

    work: Workload
    quantity: Quantity
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
            looked = decide.look(self.samples(self.first), self.rule)
            if looked is not None and looked[1] in ("slower", "faster"):
                self.seen = looked[0]
            elif looked is not None:
                self.ended = looked[1] == "same" or len(self.first) >= self.rule.looks[-1]
        else:
            self.second.append(one)
            found = decide.again(self.seen, self.samples(self.second), self.rule, self.most)
            self.ended = found is not None and found.ends

    def samples(self, measured: Sequence[Measured]) -> list[Sample]:
        return [one.sample(self.quantity) for one in measured]

    def failed(self, why: str) -> None:
        self.why, self.ended = why, True

    def result(self) -> Result:
        return self._confirmed(self._first_result())

    def _first_result(self) -> Result:
        work, measured = self.work, self.first
        names = (work.targets[0].name, work.targets[1].name)
        plain = Result(work.id, work.model, work.batch, names, self.quantity, "not enough data", why=self.why)
        if self.why or len(measured) < self.rule.looks[0]:
            return _withdrawn(plain, self.why or "too few pairs in the time given")
        estimate, answer = decide.sequential(self.samples(measured), self.rule)
        medians = np.median([one.median(self.quantity) for one in measured], axis=0)
        return msgspec.structs.replace(
            plain,
            answer=answer,
            estimate=estimate,
            medians=(float(medians[0]), float(medians[1])),
            disturbed=float(np.mean([one.disturbed for one in measured])),
            unsteady=sum(one.unsteady for one in measured),
            p=estimate.p,
        )

    def _confirmed(self, result: Result) -> Result:
        """Keep slower or faster only if the independent second measurement alone shows it too."""
        if result.answer not in ("slower", "faster") or result.estimate is None:
            return result
        second = decide.again(result.estimate, self.samples(self.second), self.rule, self.most)
        if second is None:
            return _withdrawn(result, "no time was left to measure it again", p=1.0, confirmed=False)
        result = msgspec.structs.replace(result, again=second.estimate, confirmed=second.holds)
        if second.holds:
            return msgspec.structs.replace(result, p=second.p)
        found = f"a second measurement gave {round(100 * second.estimate.change, 1) + 0.0:+.1f} %"
        return _withdrawn(result, f"{found}{'' if second.ends else ' when the time was spent'}", p=1.0)


def compare(
    sides: Sequence[Side],
    works: Sequence[Workload],
    rules: Rules,
    budget_s: float,
    tell: Tell,
) -> Outcome:
    """Measure until everything is decided, for at most ``budget_s`` seconds.

    Runs are compared for every workload; loading and memory for the smallest batch of a model on a target.
    What looks slower or faster is measured once more, in new pairs, while others are still measured for the
    first time. Workloads of one environment profile share a pair's processes. Each round of sessions has a
    new random order, so that none always follows the same other one.
    """
    started, before, place = time.monotonic(), machine.conditions(), machine.placement()
    plan, rng = Plan(), np.random.default_rng(0)
    asked = [(work, quantity) for work in works for quantity in _quantities(work, works)]
    courses = [
        _Course(work, quantity, rules.of(quantity), FALSE_DISCOVERIES / len(asked))
        for work, quantity in asked
    ]
    _measure(sides, courses, plan, started + budget_s, place, rng, tell)
    results = _counted([course.result() for course in courses])
    return Outcome(
        sides=(sides[0].name, sides[1].name),
        results=_explained(results, sides, works, place, tell),
        rules=rules,
        pairs=max((len(course.first) + len(course.second) for course in courses), default=0),
        duration_s=time.monotonic() - started,
        place=place,
        before=before,
        after=machine.conditions(),
        plan=plan,
    )


def _quantities(work: Workload, works: Sequence[Workload]) -> tuple[Quantity, ...]:
    alike = [one.batch for one in works if (one.model, one.targets) == (work.model, work.targets)]
    return ("run", "load", "memory") if work.batch == min(alike) else ("run",)


def _measure(
    sides: Sequence[Side],
    courses: Sequence[_Course],
    plan: Plan,
    until: float,
    place: machine.Placement,
    rng: np.random.Generator,
    tell: Tell,
) -> None:
    """Measure pairs of each workload until all of it is decided or the time is used."""
    for same in grouped(courses, lambda course: course.work.id).values():
        try:  # artifacts are made before the clock matters
            for side, target in zip(sides, same[0].work.targets, strict=True):
                side.executor.builder.files(target, same[0].work.model)
                side.executor.sample(same[0].work.model, same[0].work.batch)
        except WorkerFailure as failure:
            for course in same:
                course.failed(failure.sentence)
    for side in sides:
        side.executor.pool.rest()  # what it has mapped could not be laid out anew
    number = 0
    with machine.apart(place):
        while going := [course for course in courses if not course.ended]:
            if number >= min(course.rule.looks[0] for course in going) and time.monotonic() > until:
                break
            again = sum(course.seen is not None for course in going)
            tell(f"pair {number + 1}: {len(going)} of {len(courses)} undecided, {again} of them once more")
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
    waiting = grouped(courses, lambda course: course.work.id)
    while waiting:
        works = [same[0].work for same in waiting.values()]
        seconds = {
            name: plan.seconds if any(course.quantity == "run" for course in same) else 0.0
            for name, same in waiting.items()
        }
        sessions: dict[str, list[Timed]] = {name: [] for name in waiting}
        with pair(sides, works[0].targets, swapped, place) as processes:
            for number, work in visits(works, plan.sessions, rng):
                try:
                    one = processes.measure(work, seconds[work.id], rng, number=number)
                except WorkerFailure as failure:
                    # The other workloads are measured in new processes.
                    for course in waiting.pop(work.id):
                        course.failed(failure.sentence)
                    break
                sessions[work.id].append(one)
            else:
                for name, found in sessions.items():
                    one_pair = Measured(swapped, (0.0,), tuple(found), processes.paddle_mib)
                    for course in waiting.pop(name):
                        course.add(one_pair)


def _explained(
    results: Sequence[Result],
    sides: Sequence[Side],
    works: Sequence[Workload],
    place: machine.Placement,
    tell: Tell,
) -> tuple[Result, ...]:
    """Profile the runs that became slower or faster, on both sides by turns."""
    by_id = {work.id: work for work in works}
    changed = [one for one in results if one.quantity == "run" and one.answer in ("slower", "faster")]
    found: dict[str, tuple[OperatorTime, ...]] = {}
    for number, result in enumerate(changed, 1):
        tell(f"profiling operators: {number} of {len(changed)}")
        work = by_id[result.work]
        # A profile has processes of its own: some releases crash in it, which ends nothing else.
        with contextlib.suppress(WorkerFailure), pair(sides, work.targets, False, place) as processes:
            found[work.id] = processes.operators(work)
    return tuple(
        msgspec.structs.replace(one, operators=found.get(one.work, ())) if one in changed else one
        for one in results
    )


def _withdrawn(result: Result, why: str, **more: Any) -> Result:
    return msgspec.structs.replace(result, answer="not enough data", why=why, **more)


def _counted(results: Sequence[Result]) -> tuple[Result, ...]:
    """Keep the changes that remain significant when everything that was measured is considered together."""
    counts = iter(
        decide.discoveries([one.p for one in results if one.estimate is not None], FALSE_DISCOVERIES)
    )
    found = []
    for result in results:
        if result.estimate is not None and not next(counts) and result.answer in ("slower", "faster"):
            result = _withdrawn(result, "one of so many measurements may look like this by chance")
        found.append(result)
    return tuple(found)
