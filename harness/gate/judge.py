"""Judge two runs under a policy: a :class:`GateResult`; pure but for today's date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

import harness
from harness.core.containers import count
from harness.core.types import Record
from harness.gate import differences, models, policy
from harness.gate import speed as timings
from harness.gate.causes import causes
from harness.gate.drift import curve_pairs, speed
from harness.gate.policy import UNDECIDED, Policy
from harness.gate.result import (
    EXIT_OF,
    VERDICTS,
    AATest,
    Change,
    Difference,
    GateResult,
    GridCell,
    Numerics,
    Status,
    Subject,
)
from harness.gate.verdicts import base_case, judge, pairs, ran
from harness.records.files import Run
from harness.report.summary import SEVERITY, paddle_of
from harness.speed.session import Outcome


class Asked(msgspec.Struct, frozen=True):
    """What only the caller of the gate knows."""

    baseline: str
    candidate: str
    command: str
    started: str
    reused: tuple[bool, bool] = (False, False)
    """Whether each side's records are of an earlier run."""
    whole: bool = True
    """Whether every case of the tier was selected."""
    folder: str = ""
    """The gate's folder: runs inside it are named relative to it."""
    flaky: tuple[str, ...] = ()
    """Cases that were run once more in the candidate and did not end as before."""
    speed: Outcome | None = None
    """Result of timing the two releases in turns, where that was asked for."""
    aa_test: AATest | None = None
    """How reliable that timing is on this machine, where there was an A/A test."""


def result_of(baseline: Run, candidate: Run, rules: Policy, asked: Asked, today: date) -> GateResult:
    """Return every verdict, whether the policy lets it block, and the gate's status."""
    found = tuple(differences.between(baseline.header, candidate.header))
    names = (asked.baseline, asked.candidate)
    paired = tuple(pairs(baseline, candidate, names))
    complete = (baseline.complete, candidate.complete)
    judged = (judge(pair, rules.numerics, complete) for pair in paired)
    places = {
        label: {record.case: index for index, record in enumerate(run.records)}
        for label, run in (("baseline", baseline), ("candidate", candidate))
    }
    changes = [
        _placed(_settled(change, found, asked.flaky), places) for change in judged if change is not None
    ]
    changes = models.marked(changes, paired, (baseline, candidate), names)
    if asked.speed is not None:
        changes += timings.changes(asked.speed)
    versions = (paddle_of(baseline.header), paddle_of(candidate.header))
    decided, faults = policy.apply(rules, changes, *versions, today, asked.whole)
    both = [(p.before, p.after, p.direction) for p in paired if ran(p.before) and ran(p.after)]
    measured = sum(bool(before.comparisons and after.comparisons) for before, after, _ in both)
    problems = (*_problems((baseline, candidate), names, measured), *faults)
    totals = tuple(models.totals(decided, (baseline, candidate)))
    status, sentence = _status(decided, problems, faults, measured, versions)
    if said := models.sentence(totals):
        sentence = f"{sentence.removesuffix('.')}; {said}."
    crossed = [change for change in decided if change.direction == "old files" and _both_pass(change)]
    return GateResult(
        status=status,
        exit_status=EXIT_OF[status],
        sentence=sentence,
        rules=tuple(dict.fromkeys(change.rule for change in _by_gravity(decided) if change.blocks)),
        started=asked.started,
        duration_s=0.0,
        command=asked.command,
        harness=harness.__version__,
        baseline=_subject(baseline, asked.baseline, asked.reused[0], asked.folder),
        candidate=_subject(candidate, asked.candidate, asked.reused[1], asked.folder),
        counts={verdict: sum(change.verdict == verdict for change in decided) for verdict in VERDICTS},
        comparable=measured,
        identical=sum(change.identical for change in crossed),
        identical_of=len(crossed),
        changes=_by_gravity(decided),
        grid=tuple(grid((baseline, candidate), names)),
        numerics=tuple(_numerics(decided)),
        curves=tuple(c for old, new, way in both if way != "rollback" for c in curve_pairs(old, new)),
        speed=tuple(item for old, new, _ in both if (item := speed(old, new)) is not None),
        paired=tuple(timings.rows(asked.speed)) if asked.speed is not None else (),
        aa_test=asked.aa_test,
        warnings=_warnings(baseline, candidate),
        differences=found,
        models=totals,
        problems=problems,
        policy=msgspec.to_builtins(rules),
    )


def _settled(change: Change, found: tuple[Difference, ...], flaky: tuple[str, ...]) -> Change:
    """Withdraw the verdict on a change that did not repeat or that an unintended difference could explain."""
    if change.after is not None and change.after.case in flaky and change.verdict != "same":
        text = f"{change.verdict} at first, but not when the case was run once more; {change.text}"
        return msgspec.structs.replace(change, verdict="inconclusive", text=text)
    explained = differences.explaining(change, found)
    if not explained or change.verdict in ("same", "new", "fixed", "numerically better", "faster"):
        return msgspec.structs.replace(change, explained_by=explained) if explained else change
    text = f"{change.verdict}, which another {', '.join(explained)} could explain; {change.text}"
    return msgspec.structs.replace(change, verdict="not comparable", text=text, explained_by=explained)


def _placed(change: Change, places: dict[str, dict[str, int]]) -> Change:
    """Give both sides their index in their run, for the page's links."""
    before, after = (
        msgspec.structs.replace(side, place=places[side.run].get(side.case)) if side is not None else None
        for side in (change.before, change.after)
    )
    return msgspec.structs.replace(change, before=before, after=after)


def _by_gravity(changes: Sequence[Change]) -> tuple[Change, ...]:
    def rank(change: Change) -> tuple[bool, int, int]:
        outcome = SEVERITY.index(change.after.outcome) if change.after is not None else len(SEVERITY)
        return (not change.blocks, VERDICTS.index(change.verdict), outcome)

    return tuple(sorted(changes, key=rank))


def _status(
    changes: Sequence[Change],
    problems: tuple[str, ...],
    faults: tuple[str, ...],
    measured: int,
    versions: tuple[str, str],
) -> tuple[Status, str]:
    """Return status and sentence. A blocking change outweighs an undecided one."""
    way = f"Paddle {versions[0]} to {versions[1]}"
    blocking = [change for change in changes if change.blocks]
    if blocking:
        kinds = Counter(change.verdict for change in blocking)
        listed = ", ".join(f"{kinds[verdict]} {verdict}" for verdict in VERDICTS if kinds[verdict])
        why = count(len(causes(blocking)), "cause")
        return "blocked", f"{way} is blocked by {why} in {count(len(blocking), 'case')}: {listed}."
    if faults:
        return "blocked", f"{way} is blocked by the policy itself: {faults[0]}."
    if not measured:
        return "inconclusive", f"{way}: nothing was measured under both, so this is not a pass."
    if problems:
        return "inconclusive", f"{way} is undecided: {problems[0]}."
    undecided = [
        c for c in changes if c.verdict in UNDECIDED and not c.acknowledged and c.direction != "rollback"
    ]
    if undecided:
        reasons = Counter(
            "not judged" if change.text.startswith(models.NOT_JUDGED) else str(change.verdict)
            for change in undecided
        )
        listed = " and ".join(f"{number} {reason}" for reason, number in reasons.items())
        return "inconclusive", f"{way} is undecided: {listed}."
    differ = [change for change in changes if change.verdict != "same"]
    changed = count(len(differ), "case")
    also = f"; {changed} changed, none of which blocks" if differ else ", and nothing changed"
    return "pass", f"{way} passes: {count(measured, 'case')} measured under both{also}."


def _problems(runs: Sequence[Run], names: Sequence[str], measured: int) -> Iterator[str]:
    for run, name in zip(runs, names, strict=True):
        yield from faults(run, name)
    if not measured:
        yield "no case compared anything under both releases"


def faults(run: Run, name: str) -> Iterator[str]:
    """Yield what is missing in a run's records."""
    if run.footer is None:
        so_far = f"{len(run.records)} of {run.header.selected} cases"
        yield f"the run of {name} did not come to its end ({so_far})"
    if run.damaged:
        yield f"{run.damaged} lines of the run of {name} cannot be read"


def _subject(run: Run, name: str, reused: bool, folder: str) -> Subject:
    environment = run.header.environment
    inside = bool(folder) and run.folder.is_relative_to(folder)
    return Subject(
        name=name,
        paddle=paddle_of(run.header),
        profile=str(environment.get("profile", "")),
        python=str(environment.get("python", "")),
        interpreter=str(environment.get("interpreter", "")),
        run=str(run.folder.relative_to(folder) if inside else run.folder),
        cases=len(run.records),
        comparisons=sum(record.comparisons for record in run.records),
        duration_s=run.footer.duration_s if run.footer is not None else 0.0,
        reused=reused,
    )


def _both_pass(change: Change) -> bool:
    sides = (change.before, change.after)
    return all(side is not None and side.outcome == "pass" for side in sides)


def grid(runs: Sequence[Run], names: Sequence[str]) -> Iterator[GridCell]:
    """Yield a cell for each producer, consumer and route, with all models together."""
    own: dict[tuple[str, str], str] = {}
    cells: dict[tuple[str, str, str], list[Record]] = {}
    for run, consumer in zip(runs, names, strict=True):
        for record in run.records:
            if record.producer:
                cells.setdefault((route_of(record), record.producer, consumer), []).append(record)
                if record.producer == consumer:
                    own[base_case(record), consumer] = record.digest
    for (route, producer, consumer), records in cells.items():
        worst = min(records, key=lambda record: SEVERITY.index(record.outcome))
        used = [record.numeric_budget_used for record in records if record.numeric_budget_used is not None]
        yield GridCell(
            route=route,
            producer=producer,
            consumer=consumer,
            outcome=worst.outcome,
            cases=len(records),
            passed=sum(record.outcome == "pass" for record in records),
            identical=sum(
                record.outcome == "pass" and record.digest == own.get((base_case(record), producer))
                for record in records
            ),
            budget_used=max(used, default=None),
            reason="" if worst.outcome == "pass" else worst.expected_failure or worst.reason,
            workaround=next((record.workaround for record in records if record.workaround), ""),
        )


def route_of(record: Record) -> str:
    """Return format and loader of files that crossed: from the case, or from the compression method."""
    if record.method:
        method = record.method.removesuffix("-legacy-ir")
        return f"{'' if method == record.method else 'legacy_'}{method} → predictor"
    head, _, rest = base_case(record).removeprefix(f"{record.area}/").partition("[")
    parts = rest.removesuffix("]").removeprefix(record.model).strip("-")
    return parts.replace("-", " → ", 1) if parts else head.replace("_", " ")


def _numerics(changes: Sequence[Change]) -> Iterator[Numerics]:
    for change in changes:
        old, new = change.before, change.after
        if old is None or new is None or old.budget_used is None or new.budget_used is None:
            continue
        if change.direction in ("", "old files", "new files") and _both_pass(change):
            yield Numerics(
                change.case, change.direction, change.model, change.target, old.budget_used, new.budget_used
            )


def _warnings(baseline: Run, candidate: Run) -> dict[str, tuple[str, ...]]:
    old, new = ({text for record in run.records for text in record.warnings} for run in (baseline, candidate))
    return {"new": tuple(sorted(new - old)), "gone": tuple(sorted(old - new))}
