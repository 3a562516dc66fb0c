"""Compare two runs' records case by case and give verdicts: pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from harness.core.types import BAD_OUTCOMES, Record
from harness.gate.drift import drifts, tame
from harness.gate.policy import Numerics
from harness.gate.result import Change, Direction, Side, Verdict
from harness.records.files import Run
from harness.report.summary import SEVERITY, cause


class Pair(NamedTuple):
    """A case's record on each side; ``same_files``: both loaded the same artifact with the same feeds."""

    case: str
    direction: Direction
    before: Record | None
    after: Record | None
    same_files: bool = False


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
    found: dict[str, dict[str, Record]] = {}
    for record in run.records:
        if record.producer:
            found.setdefault(base_case(record), {})[record.producer] = record
    return found


Crossings = Mapping[str, Mapping[str, Record]]


def _crossed(old: Crossings, new: Crossings, names: tuple[str, str]) -> Iterator[Pair]:
    """Yield pairs of files that crossed, each compared with the baseline loading its own files."""
    first, second = names
    for case in dict.fromkeys([*old, *new]):
        here, there = old.get(case, {}), new.get(case, {})
        before = here.get(first)
        yield Pair(case, "old files", before, there.get(first), same_files=True)
        if second != first:
            yield Pair(case, "new files", before, there.get(second))
            yield Pair(case, "rollback", before, here.get(second))


def ran(record: Record | None) -> bool:
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
    seen = after if after is not None else before
    assert seen is not None
    both = before is not None and after is not None and ran(before) and ran(after)
    known = after if after is not None and after.outcome in BAD_OUTCOMES else before
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
        identical=bool(both and before and after and before.digest and before.digest == after.digest),
        drifts=tuple(drifts(before, after)) if both and before and after else (),
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
        end = (
            "passes"
            if after.outcome == "pass"
            else f"ends as {after.outcome}: {tame(after.expected_failure or cause(after))}"
        )
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
        return "broken", f"{after.outcome}: {tame(after.expected_failure or cause(after))}"
    if after.outcome == "pass":
        return "fixed", f"was {before.outcome}: {tame(before.expected_failure or cause(before))}"
    if SEVERITY.index(after.outcome) < SEVERITY.index(before.outcome):
        # A wrong answer is worse than an error, because nobody notices it.
        return (
            "broken",
            f"was {before.outcome}, now {after.outcome}: {tame(after.expected_failure or cause(after))}",
        )
    return "same", f"{after.outcome} under both: {tame(after.expected_failure or cause(after))}"


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
        outcome=record.outcome,
        run=run,
        case=record.case,
        reason=record.reason,
        reason_kind=record.reason_kind,
        budget_used=record.numeric_budget_used,
        error=decisive.error if decisive is not None else None,
        allowed=decisive.allowed if decisive is not None else None,
        expected_failure=record.expected_failure,
        issue=record.issue,
    )
