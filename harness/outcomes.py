"""From what a test raised to an outcome and a record."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.session import now
from harness.types import Outcome, Record, RemoteFailure
from harness.workers import WorkerFailure


def classify(error: BaseException | None) -> Outcome:
    """Pass, fail (wrong answer), error (raised), crash, timeout, or not-run."""
    if error is None:
        return "pass"
    if isinstance(error, WorkerFailure):
        return error.outcome
    if isinstance(error, pytest.skip.Exception):
        return "not-run"
    if isinstance(error, AssertionError):
        return "fail"
    return "error"


def case_id(item: Any) -> str:
    """``area/check[parameters]``: the same in every run, whatever the checkout's path."""
    area = Path(item.path).stem.removeprefix("test_")
    return f"{area}/{item.name.removeprefix('test_')}"


def record_of(
    item: Any,
    report: pytest.TestReport,
    error: BaseException | None,
    outcome: Outcome,
    case: Case | None,
    claims: tuple[str, ...],
    beyond: bool = False,
    warnings: tuple[str, ...] = (),
) -> Record:
    """The record of a finished test."""
    case = case or Case()
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    target = parameters.get("target")
    title = (item.function.__doc__ or "").strip().splitlines()
    return Record(
        case=case_id(item),
        nodeid=item.nodeid,
        area=Path(item.path).stem.removeprefix("test_"),
        title=title[0] if title else "",
        claims=claims,
        model=str(parameters.get("model", "")),
        target=str(getattr(target, "name", target or "")),
        producer=str(getattr(parameters.get("producer"), "name", "")),
        beyond=beyond,
        outcome=outcome,
        reason=_reason(error),
        comparisons=len(case.comparisons),
        elements=case.elements,
        headroom=case.headroom,
        tolerance=case.tolerance,
        digest=case.digest,
        warnings=warnings,
        details=case.details(),
        failure=_failure(error),
        measures=case.measures,
        notes=tuple(case.notes),
        started=now(),
        duration_s=report.duration,
    )


def _reason(error: BaseException | None) -> str:
    if error is None:
        return ""
    if isinstance(error, WorkerFailure):
        return error.sentence
    if isinstance(error, pytest.skip.Exception):
        return str(error.msg)
    text = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return text.splitlines()[0] if text else type(error).__name__


def _failure(error: BaseException | None) -> RemoteFailure | None:
    if isinstance(error, WorkerFailure):
        return error.failure
    if error is None or isinstance(error, AssertionError | pytest.skip.Exception):
        return None
    return RemoteFailure(
        type=type(error).__name__,
        message=str(error),
        traceback="".join(traceback.format_exception(error)),
    )
