"""Time two releases in turns for a gate, and turn the outcome into rows and changes of its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.options import Options
from harness.environments import Environment
from harness.execution.executor import Executor
from harness.gate.result import AATest, Change, Detected, PairedSpeed, Verdict
from harness.plugin.options import choose
from harness.plugin.session import RunSession
from harness.speed import aa, operators, session
from harness.speed.decide import Answer
from harness.speed.measure import Quantity, Side, Workload
from harness.speed.session import UNITS, Outcome, Result, Rules, Tell

AREA = "speed"
TARGETS = ("dygraph", "predictor", "predictor-no-onednn")
ESTIMATED = ("change", "low", "high", "detectable", "pairs")
"""What is kept of an estimate."""
IN_MEMORY: dict[Answer, Verdict] = {"slower": "more memory", "faster": "less memory"}
TITLES: dict[Quantity, str] = {
    "run": "A run takes as long as before, in pairs of processes that take turns.",
    "load": "Loading takes as long as before, in pairs of processes that take turns.",
    "memory": "A process with the model needs as much memory as before.",
}
BATCHES = (1, 64)
"""Batch sizes: of an online service, and of a batch job (predictor only)."""


def timed(
    environments: Sequence[Environment],
    rules: Rules,
    minutes: float,
    options: Options,
    root: Path,
    tell: Tell,
) -> Outcome:
    """Time the chosen models on the chosen targets, baseline against candidate.

    Where no model is named: the trained reference models of the tier, and user models. Where no target is
    named: :data:`TARGETS`.

    Raises:
        HarnessError: no Paddle in one of the environments, a model or target is unknown, none of them can be
            timed under both, or the store cannot be written.
    """
    first, second = environments
    options = msgspec.structs.replace(options, python=first.python, paddle_profile=first.profile)
    run = RunSession(options, root, root / "suites")
    executors = [run.executor, run.open_executor(second.python, second.profile, "logs/candidate")]
    try:
        works = list(works_of(run, executors))
        if not works:
            raise HarnessError(
                "none of the chosen models can be timed on one of the chosen targets under both"
            )
        sides = [Side(one.name, executor) for one, executor in zip(environments, executors, strict=True)]
        return session.compare(sides, works, rules, 60 * minutes, tell)
    finally:
        for executor in executors:
            executor.pool.close()


def works_of(run: RunSession, executors: Sequence[Executor]) -> Iterator[Workload]:
    """Yield what is timed: every chosen model on every chosen target that both environments have."""
    known = executors[0].targets
    for model in dict.fromkeys((*run.models(trained=not run.options.models), *run.models(role="user"))):
        own = run.executor.models[model].form
        for name in choose("target", run.options.targets, list(known)) if run.options.targets else TARGETS:
            target = known[name]
            if (uses := run.uses(model)) and not {target.runtime, name} & set(uses):
                continue
            if any(executor.not_applicable(target) for executor in executors):
                continue
            if own == "deployed" and target.runtime == "dygraph":
                continue  # it has no code
            if own:  # as many rows as its inputs have, or one where it is refused and says so
                batches = run.executor.builder.usable(model).batches or BATCHES[:1]
            else:
                batches = BATCHES if target.runtime == "predictor" and "onednn" not in name else BATCHES[:1]
            yield from (Workload(model, batch, (target, target)) for batch in batches)


def rows(outcome: Outcome) -> Iterator[PairedSpeed]:
    """Yield the measurements as rows of a gate's result."""
    for result in outcome.results:
        found = result.estimate
        yield PairedSpeed(
            case=_case(result),
            model=result.model,
            target=result.targets[1],
            batch=result.batch,
            quantity=result.quantity,
            unit=UNITS[result.quantity],
            answer=_verdict(result) or result.answer,
            before=result.medians[0],
            after=result.medians[1],
            sessions=outcome.plan.sessions,
            again=result.again.change if result.again else None,
            again_pairs=result.again.pairs if result.again else 0,
            disturbed=result.disturbed,
            confirmed=result.confirmed,
            why=result.why,
            operators=result.operators,
            **({name: getattr(found, name) for name in ESTIMATED} if found else {}),
        )


def _verdict(result: Result) -> Verdict | None:
    """The gate's verdict; None where there were not enough data."""
    if result.answer == "not enough data":
        return None
    return IN_MEMORY.get(result.answer, result.answer) if result.quantity == "memory" else result.answer


def aa_test(root: Path) -> AATest | None:
    """Return how often the rule was wrong in this machine's newest A/A test, all models together."""
    found = aa.latest(root)
    if found is None:
        return None
    return AATest(
        started=found.started,
        name=found.name,
        works=len(found.median_us),
        pairs=found.pairs,
        sessions=found.sessions,
        rows=tuple(_detected(row) for row in aa.totals(found.rows)),
    )


def _detected(row: aa.Row) -> Detected:
    share = row.detected
    return Detected(row.quantity, row.extra, share.hits, share.of, *share.interval, row.stored.hits)


def changes(outcome: Outcome) -> Iterator[Change]:
    """Yield decided measurements as cases of the gate; undecided ones are shown only in the rows."""
    for result in outcome.results:
        found, (before, after) = result.estimate, result.medians
        verdict = _verdict(result)
        if found is None or verdict is None:
            continue
        unit, digits = UNITS[result.quantity], 0 if result.quantity == "run" else 1
        text = (
            f"{100 * found.change:+.1f} % ({100 * found.low:+.1f} to {100 * found.high:+.1f}) over "
            f"{found.pairs} pairs of processes{_again(result)}: {before:.{digits}f} {unit} before, "
            f"{after:.{digits}f} {unit} now"
        )
        yield Change(
            case=_case(result),
            verdict=verdict,
            area=AREA,
            model=result.model,
            target=result.targets[1],
            title=TITLES[result.quantity],
            text=text + _where(result),
        )


def _where(result: Result) -> str:
    """Say which operators changed the run, or that it is not theirs."""
    found = operators.explained(result.operators, result.medians[1] - result.medians[0])
    return f"; {'; '.join(found)}" if found else ""


def _again(result: Result) -> str:
    second = result.again
    return f", {100 * second.change:+.1f} % over {second.pairs} others" if second else ""


def _case(result: Result) -> str:
    return f"{AREA}/{result.quantity}[{result.work}]"
