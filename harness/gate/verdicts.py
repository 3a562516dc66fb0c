"""Compare two runs' records case by case and give verdicts: pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeGuard

from harness.core.containers import grouped
from harness.core.types import BAD_OUTCOMES, Record
from harness.gate.drift import drifts, tame
from harness.gate.policy import Numerics
from harness.gate.result import Change, Direction, Side, Verdict
from harness.records.files import Run
from harness.report.summary import cause


class Pair(NamedTuple):
    """A case's record on each side."""

    case: str
    direction: Direction
    before: Record | None
    after: Record | None


def base_case(record: Record) -> str:
    """Return the case id without the producer of the files it loads."""
    mark = f"from-{record.producer}"
    head, bracket, rest = record.case.partition("[")
    if not record.producer or not bracket:
        return record.case
    # Parameters are joined by dashes, and a producer's name may contain dashes.
    parts = rest.removesuffix("]")
    for found, put in ((f"-{mark}-", "-"), (f"-{mark}", ""), (f"{mark}-", ""), (mark, "")):
        if found in parts:
            parts = parts.replace(found, put, 1)
            break
    return f"{head}[{parts}]" if parts else head


def pairs(baseline: Run, candidate: Run, names: tuple[str, str]) -> Iterator[Pair]:
    """Yield every case of either run with its record in the other.

    Args:
        names: producer names of baseline and candidate in case ids.
    """
    old = {record.case: record for record in baseline.records if not record.producer}
    new = {record.case: record for record in candidate.records if not record.producer}
    for case in dict.fromkeys([*old, *new]):
        yield Pair(case, "", old.get(case), new.get(case))
    yield from _crossed(_by_producer(baseline), _by_producer(candidate), names)


def _by_producer(run: Run) -> dict[str, dict[str, Record]]:
    crossed = grouped((record for record in run.records if record.producer), base_case)
    return {case: {record.producer: record for record in group} for case, group in crossed.items()}


KEPT = ("outcome", "case", "reason", "reason_kind", "expected_failure", "issue")
"""Fields of a record that a gate keeps as they are."""

Crossings = Mapping[str, Mapping[str, Record]]


def _crossed(old: Crossings, new: Crossings, names: tuple[str, str]) -> Iterator[Pair]:
    """Yield pairs of files that crossed, each compared with the baseline loading its own files."""
    first, second = names
    for case in dict.fromkeys([*old, *new]):
        here, there = old.get(case, {}), new.get(case, {})
        before = here.get(first)
        yield Pair(case, "old files", before, there.get(first))
        if second != first and (second in here or second in there):
            yield Pair(case, "new files", before, there.get(second))
            yield Pair(case, "rollback", before, here.get(second))


def ran(record: Record | None) -> TypeGuard[Record]:
    """Whether the record exists and its case was run."""
    return record is not None and record.outcome != "not-run"


def judge(pair: Pair, numerics: Numerics, complete: tuple[bool, bool] = (True, True)) -> Change | None:
    """Return the verdict of one case; None where neither side ran it.

    ``complete``: whether each run came to its end; only then is a missing record a missing case.
    """
    before, after = pair.before, pair.after
    if not ran(before) and not ran(after):
        return None
    verdict, text = _verdict(before, after, numerics, complete)
    seen = after or before
    assert seen is not None
    known = after if after is not None and after.outcome in BAD_OUTCOMES else before
    moved = tuple(drifts(before, after)) if ran(before) and ran(after) else ()
    identical = ran(before) and ran(after) and bool(before.digest) and before.digest == after.digest
    return Change(
        case=pair.case,
        verdict=verdict,
        direction=pair.direction,
        area=seen.area,
        model=seen.model,
        target=seen.target,
        title=seen.title,
        before=side(before, "baseline"),
        after=side(after, "baseline" if pair.direction == "rollback" else "candidate"),
        text=text,
        identical=identical,
        drifts=moved,
        workaround=known.workaround if known is not None else "",
    )


def _verdict(
    before: Record | None, after: Record | None, numerics: Numerics, complete: tuple[bool, bool]
) -> tuple[Verdict, str]:
    if not ran(before):
        assert after is not None
        why = f"not run before ({before.reason})" if before is not None else "not in the baseline"
        if before is None and not complete[0]:
            return "inconclusive", "the baseline's run ended before it came to this case"
        end = "passes" if after.outcome == "pass" else f"ends as {_ended(after)}"
        return "new", f"{why}; now it {end}"
    assert before is not None
    if not ran(after):
        if after is None and not complete[1]:
            return "inconclusive", "the candidate's run ended before it came to this case"
        what = f"not run any more: {after.reason}" if after is not None else "no longer there"
        return "missing", f"{before.outcome} before, {what}"
    assert after is not None
    if before.outcome == "pass" and after.outcome == "pass":
        return _numerically(before, after, numerics)
    if before.outcome == "pass":
        return "broken", _ended(after)
    if after.outcome == "pass":
        return "fixed", f"was {_ended(before)}"
    if after.outcome == before.outcome:
        return "same", _ended(after, " under both")
    # A wrong answer is worse than an error, because nobody notices it; else it works under neither.
    return "broken" if after.outcome == "fail" else "same", f"was {before.outcome}, now {_ended(after)}"


def _ended(record: Record, where: str = "") -> str:
    """Say how a record ended that did not pass, and why."""
    return f"{record.outcome}{where}: {tame(record.expected_failure or cause(record))}"


def _numerically(before: Record, after: Record, numerics: Numerics) -> tuple[Verdict, str]:
    old, new = before.numeric_budget_used, after.numeric_budget_used
    if old is None or new is None:
        return "same", ""
    text = f"largest error {old:.3g} of the allowed one before, {new:.3g} now"
    if new > numerics.floor and new > numerics.factor * old:
        return "numerically worse", text
    if old > numerics.floor and old > numerics.factor * new:
        return "numerically better", text
    return "same", ""


def side(record: Record | None, run: str) -> Side | None:
    """Return what a gate keeps of a record."""
    if record is None:
        return None
    decisive = next((item for item in record.details if item.rule == "tolerance"), None)
    return Side(
        run=run,
        budget_used=record.numeric_budget_used,
        error=decisive.error if decisive is not None else None,
        allowed=decisive.allowed if decisive is not None else None,
        **{name: getattr(record, name) for name in KEPT},
    )
