"""Summarise a run: verdict, claims, grid; pure functions, without text layout or files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, TypeVar, get_args

import msgspec

from harness.core.containers import at, count, grouped
from harness.core.types import BAD_OUTCOMES, OUTCOMES, Outcome, Record, RunHeader
from harness.records.files import Run

Standing = Literal["unexpected", "departed", "empty", "known", "not-run", "pass"]
Status = Literal["pass", "fail", "incomplete"]
T = TypeVar("T")
ClaimVerdict = Literal["holds", "broken", "not run"]

# A wrong answer ranks above a crash, because nobody notices it.
SEVERITY: tuple[Outcome, ...] = ("fail", "crash", "timeout", "error", "pass", "not-run")

NOT_COVERED = "no check covers it in this run"
NOT_REACHED = "no check of it had finished when the run was interrupted"

_PYTEST_INTERRUPTED = 2


class Verdict(msgspec.Struct, frozen=True):
    """The run in one sentence; ``reasons``: clauses that say why it does not pass."""

    status: Status
    sentence: str
    reasons: tuple[str, ...] = ()
    known_findings: int = 0


class Observation(msgspec.Struct, frozen=True):
    """Something that contradicts a claim, with the number of cases and the targets that show it."""

    text: str
    outcome: Outcome
    cases: int
    known: bool
    issue: str = ""
    targets: tuple[str, ...] = ()
    out_of_scope: bool = False
    """Whether it was seen only outside what the claim's document describes."""


class ClaimRow(msgspec.Struct, frozen=True):
    """One claim of the documents, with the records that check it."""

    id: str
    sentence: str
    verdict: ClaimVerdict
    counts: dict[Outcome, int]
    observed: tuple[Observation, ...] = ()
    reasons: tuple[tuple[str, int], ...] = ()
    """Reasons why cases were not run, each with its number of cases, most frequent first."""

    @property
    def cases(self) -> int:
        return sum(self.counts.values())


class Cell(msgspec.Struct, frozen=True):
    """All cases of one model on one target."""

    worst: Outcome
    cases: int
    counts: dict[Outcome, int]
    budget_used: float | None
    """Largest numerical error divided by the allowed one; None where no comparison allows an error."""
    unexpected: int
    known: int
    first_bad: int | None
    """Index into ``run.records`` of the case that decided ``worst``, if that is bad."""
    reason: str = ""
    """Reason, where nothing ran."""


class Grid(msgspec.Struct, frozen=True):
    """Model × target, rows and columns in the order of the run.

    A merged run has a column for each target of each machine.
    """

    models: tuple[str, ...]
    targets: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]
    outside: int
    """Cases without a cell, because they name no model or no target."""


def standing(record: Record) -> Standing:
    """Return how a record counts: pass, unexpected, an expected failure, a departure from one, …

    A pass without any comparison or any element is ``"empty"``, which is never good.
    """
    if record.unexpected:
        return "departed"
    if record.outcome in BAD_OUTCOMES:
        return "known" if record.expected_failure else "unexpected"
    if record.outcome == "not-run":
        return "not-run"
    return "pass" if record.comparisons > 0 and record.elements > 0 else "empty"


def paddle_of(header: RunHeader) -> str:
    """Return the Paddle version of a run's environment; '' where it is not recorded."""
    return str(at(header.environment, ("paddle", "version")) or "")


def outcome_counts(run: Run) -> dict[Outcome, int]:
    """Count cases for each of the six outcomes, zeros included, in the usual order."""
    return with_zeros((record.outcome for record in run.records), OUTCOMES)


def standing_counts(run: Run) -> dict[Standing, int]:
    """Number of cases for each standing, zeros included."""
    return with_zeros(map(standing, run.records), get_args(Standing))


def cause(record: Record) -> str:
    """Return the cause of a bad record in one sentence, never empty."""
    if record.reason:
        return record.reason
    if record.failure is not None:
        end = record.failure
        head = f"{end.type} ({end.signal})" if end.signal else end.type
        return f"{head}: {end.message.strip() or 'no message'}"
    failed = next((item for item in record.details if not item.ok), None)
    if failed is not None:
        return failed.message or f"{failed.what} differs"
    return f"{record.outcome}, no cause recorded"


def verdict(run: Run) -> Verdict:
    """Return a sentence and a status for the run.

    Without a footer it is always ``incomplete``. With a footer, anything wrong is ``fail``; only missing or
    unreadable records are ``incomplete``. A run without cases or comparisons never passes.
    """
    standings = standing_counts(run)
    wrong = _wrong(run, standings)
    missing = _missing(run)
    known = standings["known"]
    tail = [count(known, "known finding")] if known else []
    if standings["not-run"]:
        tail.append(f"{count(standings['not-run'], 'case')} not run")
    also = f", with {_listed(tail)}" if tail else ""
    subject = f"Paddle {paddle_of(run.header)}".strip()
    compared = sum(record.comparisons for record in run.records)
    if run.footer is None:
        so_far = f"; so far {_listed(wrong)}" if wrong else "; nothing unexpected until then"
        text = f"Incomplete: {_listed(missing)}{so_far}{also}."
        return Verdict("incomplete", text, (*missing, *wrong), known)
    if wrong:
        where = f"{subject} does not pass" if run.records else "The run does not pass"
        return Verdict("fail", f"{where}: {_listed([*wrong, *missing])}{also}.", (*wrong, *missing), known)
    if missing:
        return Verdict("incomplete", f"Incomplete: {_listed(missing)}{also}.", tuple(missing), known)
    passed = f"{standings['pass']:,} of {count(len(run.records), 'case')} passed"
    text = f"{subject} passes: {passed} on {count(compared, 'comparison')}{also}."
    return Verdict("pass", text, (), known)


def claim_rows(run: Run) -> tuple[ClaimRow, ...]:
    """Return a verdict for every claim in the header, then for claims that only records name."""
    by_claim: dict[str, list[Record]] = {claim: [] for claim in run.header.claims}
    for record in run.records:
        for claim in dict.fromkeys(record.claims):
            by_claim.setdefault(claim, []).append(record)
    absent = NOT_COVERED if run.complete else NOT_REACHED
    return tuple(
        _claim_row(claim, run.header.claims.get(claim, ""), records, absent)
        for claim, records in by_claim.items()
    )


def claim_counts(rows: Iterable[ClaimRow]) -> dict[ClaimVerdict, int]:
    """Count claims for each verdict, zeros included."""
    return with_zeros((row.verdict for row in rows), ("broken", "holds", "not run"))


def with_zeros(values: Iterable[T], order: Iterable[T]) -> dict[T, int]:
    """Count how often each value of ``order`` occurs, zeros included."""
    counted = Counter(values)
    return {value: counted[value] for value in order}


def grid(run: Run) -> Grid:
    """Return worst outcome, number of cases and largest budget used for every model on every target."""
    placed = [index for index, record in enumerate(run.records) if record.model and record.target]
    members = grouped(placed, lambda index: (run.records[index].model, run.records[index].column))
    return Grid(
        tuple(dict.fromkeys(model for model, _ in members)),
        tuple(dict.fromkeys(target for _, target in members)),
        {key: _cell(run.records, indexes) for key, indexes in members.items()},
        len(run.records) - len(placed),
    )


def _cell(records: tuple[Record, ...], indexes: list[int]) -> Cell:
    def rank(index: int) -> tuple[bool, int]:
        record = records[index]
        # An unexpected failure outweighs an expected one of a graver kind.
        news = record.outcome in BAD_OUTCOMES and standing(record) != "known"
        return (not news, SEVERITY.index(record.outcome))

    decisive = min(indexes, key=rank)
    here = [records[index] for index in indexes]
    standings = Counter(standing(record) for record in here)
    used = [record.numeric_budget_used for record in here if record.numeric_budget_used is not None]
    worst = records[decisive].outcome
    return Cell(
        worst=worst,
        cases=len(here),
        counts=with_zeros((record.outcome for record in here), OUTCOMES),
        budget_used=max(used, default=None),
        unexpected=standings["unexpected"] + standings["departed"] + standings["empty"],
        known=standings["known"],
        first_bad=decisive if worst in BAD_OUTCOMES else None,
        reason=records[decisive].reason if worst == "not-run" else "",
    )


def _claim_row(claim: str, sentence: str, records: list[Record], absent: str) -> ClaimRow:
    """Judge a claim by the cases in scope of its document; by all cases where none is."""
    deciding = [record for record in records if not record.out_of_scope] or records
    seen: dict[tuple[str, Outcome, bool, str], list[Record]] = {}
    skipped: Counter[str] = Counter()
    for record in sorted(records, key=lambda record: record.out_of_scope):
        if record.outcome in BAD_OUTCOMES:
            text = record.expected_failure or cause(record)
            key = (text, record.outcome, bool(record.expected_failure), record.issue)
            seen.setdefault(key, []).append(record)
        elif record.outcome == "not-run":
            skipped[record.reason or "no reason recorded"] += 1
        elif standing(record) == "empty":
            skipped["passed without comparing anything"] += 1
    held = sum(r.outcome == "pass" and r.comparisons > 0 and r.elements > 0 for r in deciding)
    broken = any(r.outcome in BAD_OUTCOMES for r in deciding)
    observed = tuple(
        Observation(
            text,
            outcome,
            len(group),
            known,
            issue,
            tuple(dict.fromkeys(r.target for r in group if r.target)),
            all(r not in deciding for r in group),
        )
        for (text, outcome, known, issue), group in seen.items()
    )
    result: ClaimVerdict = "broken" if broken else "holds" if held else "not run"
    reasons = tuple(skipped.most_common()) if records else ((absent, 0),)
    counts = with_zeros((record.outcome for record in records), OUTCOMES)
    return ClaimRow(claim, sentence, result, counts, observed, reasons)


def _wrong(run: Run, standings: dict[Standing, int]) -> list[str]:
    """Return a clause for everything that makes a run fail, the most important first."""
    clauses: list[str] = []
    unexpected = Counter(r.outcome for r in run.records if standing(r) == "unexpected")
    if unexpected:
        split = ", ".join(f"{unexpected[o]} {o}" for o in SEVERITY if unexpected[o])
        clauses.append(f"{count(unexpected.total(), 'unexpected result')} ({split})")
    if standings["departed"]:
        clauses.append(f"{count(standings['departed'], 'departure')} from known_failures.toml")
    if standings["empty"]:
        clauses.append(f"{count(standings['empty'], 'case')} passed without comparing anything")
    if not run.records:
        clauses.append("no case was recorded")
    elif not any(record.comparisons for record in run.records):
        clauses.append("nothing was compared")
    if run.footer is not None:
        if run.footer.problems:
            clauses.append(count(len(run.footer.problems), "fault") + " of the run itself")
        status = run.footer.exit_status
        explained = any(record.outcome in BAD_OUTCOMES for record in run.records)
        if status not in (0, 1, _PYTEST_INTERRUPTED) or (status == 1 and not (explained or clauses)):
            clauses.append(f"pytest ended with exit status {status}")
    return clauses


def _missing(run: Run) -> list[str]:
    """Return a clause for each kind of missing records."""
    clauses: list[str] = []
    recorded = len(run.records)
    if run.footer is None:
        clauses.append(f"the run was interrupted after {count(recorded, 'case')}")
    elif run.footer.exit_status == _PYTEST_INTERRUPTED:
        clauses.append("pytest was interrupted (exit status 2)")
    distinct = len({record.case for record in run.records})
    if run.footer is not None and distinct < run.footer.collected:
        lost = run.footer.collected - distinct
        clauses.append(f"{lost:,} of {run.footer.collected:,} collected cases left no record")
    if run.damaged:
        clauses.append(f"{count(run.damaged, 'line')} of records.jsonl cannot be read")
    return clauses


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
