"""Time two releases in turns for a gate, and turn the outcome into rows and changes of its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.core.options import Options
from harness.environments import Environment
from harness.gate.result import Calibrated, Change, PairedSpeed, Told
from harness.plugin.session import RunSession
from harness.speed import aa, session
from harness.speed.decide import Rule
from harness.speed.measure import Side, Workload
from harness.speed.session import Outcome, Result, Tell

AREA = "speed"
TARGETS = ("dygraph", "predictor", "predictor-no-onednn")
ESTIMATED = ("change", "low", "high", "detectable", "pairs")
"""What is kept of an estimate; of that of the time to load the first three."""
BATCHES = (1, 64)
"""Batch sizes: of an online service, and of a batch job (predictor only)."""


def timed(
    environments: Sequence[Environment],
    rule: Rule,
    minutes: float,
    store: str,
    folder: Path,
    root: Path,
    tell: Tell,
) -> Outcome:
    """Time every trained reference model of the quick tier on a few targets, baseline against candidate.

    Raises:
        HarnessError: no Paddle in one of the environments, or the store cannot be written.
    """
    first, second = environments
    options = Options(python=first.python, paddle_profile=first.profile, folder=str(folder), store=store)
    run = RunSession(options, root, root / "suites")
    executors = [run.executor, run.open_executor(second.python, second.profile, "logs/candidate")]
    try:
        works = [
            Workload(model, batch, (executors[0].targets[name], executors[0].targets[name]))
            for model in run.models(trained=True)
            for name in TARGETS
            for batch in (BATCHES if name == "predictor" else BATCHES[:1])
        ]
        sides = [Side(one.name, executor) for one, executor in zip(environments, executors, strict=True)]
        return session.compare(sides, works, rule, 60 * minutes, tell)
    finally:
        for executor in executors:
            executor.pool.close()


def rows(outcome: Outcome) -> Iterator[PairedSpeed]:
    """Yield the measurements as rows of a gate's result."""
    for result in outcome.results:
        found, load = result.estimate, result.load
        yield PairedSpeed(
            case=_case(result),
            model=result.model,
            target=result.targets[1],
            batch=result.batch,
            answer=result.answer,
            before_us=result.medians_us[0],
            after_us=result.medians_us[1],
            sessions=outcome.plan.sessions,
            again=result.again.change if result.again else None,
            again_pairs=result.again.pairs if result.again else 0,
            disturbed=result.disturbed,
            confirmed=result.confirmed,
            why=result.why,
            **({name: getattr(found, name) for name in ESTIMATED} if found else {}),
            **({f"load_{name}": getattr(load, name) for name in ESTIMATED[:3]} if load else {}),
        )


def calibrated(root: Path) -> Calibrated | None:
    """Return how often the rule was wrong when this machine was calibrated, all models together."""
    found = aa.latest(root)
    if found is None:
        return None
    return Calibrated(
        started=found.started,
        name=found.name,
        works=len(found.median_us),
        pairs=found.pairs,
        sessions=found.sessions,
        rows=tuple(
            Told(row.extra, row.told.hits, row.told.of, *row.told.interval, row.stored.hits)
            for row in aa.totals(found.rows)
        ),
    )


def changes(outcome: Outcome) -> Iterator[Change]:
    """Yield decided measurements as cases of the gate; undecided ones are shown only in the rows."""
    for result in outcome.results:
        found = result.estimate
        if found is None or result.answer == "not enough data":
            continue
        yield Change(
            case=_case(result),
            verdict=result.answer,
            area=AREA,
            model=result.model,
            target=result.targets[1],
            title="A run takes as long as before, in pairs of processes that take turns.",
            text=f"{100 * found.change:+.1f} % ({100 * found.low:+.1f} to {100 * found.high:+.1f}) over "
            f"{found.pairs} pairs of processes{_again(result)}: {result.medians_us[0]:.0f} µs before, "
            f"{result.medians_us[1]:.0f} µs now",
        )


def _again(result: Result) -> str:
    second = result.again
    return f", {100 * second.change:+.1f} % over {second.pairs} others" if second else ""


def _case(result: Result) -> str:
    return f"{AREA}/run[{result.work}]"
