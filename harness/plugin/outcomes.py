"""Turning what a test raised into an outcome and a record."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.checks.case import Case
from harness.checks.expected_failures import ExpectedFailure
from harness.core.clock import now
from harness.core.extensions import name_of
from harness.core.types import Outcome, Record, RemoteFailure
from harness.pool.workers import WorkerFailure


def classify(error: BaseException | None) -> Outcome:
    """Return the outcome: pass, fail (wrong answer), error (raised), crash, timeout, or not-run."""
    if error is None:
        return "pass"
    if isinstance(error, WorkerFailure):
        return error.outcome
    if isinstance(error, pytest.skip.Exception):
        return "not-run"
    if isinstance(error, AssertionError):
        return "fail"
    return "error"


def area_of(item: Any) -> str:
    """The area that a test is of: the name of its module."""
    return Path(item.path).stem.removeprefix("test_")


def case_id(item: Any) -> str:
    """``area/check[parameters]``: the same in every run, whatever the checkout's path."""
    return f"{area_of(item)}/{item.name.removeprefix('test_')}"


def _nodeid(item: Any) -> str:
    """pytest's name of a test; that of an extension's begins with its package, wherever that lies."""
    if Path(item.path).is_relative_to(item.config.rootpath):
        return str(item.nodeid)
    return f"{name_of(Path(item.path))}::{item.nodeid.partition('::')[2]}"


def record_of(
    item: Any,
    report: pytest.TestReport,
    error: BaseException | None,
    outcome: Outcome,
    case: Case | None,
    claims: tuple[str, ...],
    out_of_scope: bool = False,
    warnings: tuple[str, ...] = (),
) -> Record:
    """Make the record of a finished test."""
    case = case or Case()
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    target = parameters.get("target")
    title = (item.function.__doc__ or "").strip().splitlines()
    return Record(
        case=case_id(item),
        nodeid=_nodeid(item),
        area=area_of(item),
        title=title[0] if title else "",
        claims=claims,
        model=str(parameters.get("model", "")),
        target=str(getattr(target, "name", target or "")),
        method=str(getattr(parameters.get("method"), "id", "")),
        producer=str(getattr(parameters.get("producer"), "name", "")),
        out_of_scope=out_of_scope,
        outcome=outcome,
        reason=_reason(error),
        reason_kind=getattr(error.__cause__, "kind", "") if error is not None else "",
        comparisons=len(case.comparisons),
        elements=case.elements,
        budget_used=case.budget_used,
        numeric_budget_used=case.numeric_budget_used,
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


def message_of(error: BaseException | None) -> str:
    """Return all that a failure said, with the log: an expected failure's ``match`` must occur in it."""
    if isinstance(error, WorkerFailure):
        return f"{error.failure.type}: {error.failure.message}\n{error.failure.log_tail}"
    return str(error)


def with_known(record: Record, known: ExpectedFailure, departure: str) -> Record:
    """Add to the record what its expected failure says, and how it departed from that."""
    return msgspec.structs.replace(
        record,
        expected_failure=known.reason,
        issue=known.issue,
        workaround=known.workaround,
        unexpected=departure,
    )


def worker_text(error: WorkerFailure) -> str:
    """Return a worker's failure as pytest prints it."""
    parts = [str(error), error.failure.traceback]
    if error.outcome != "error":
        parts.append("last lines of the worker's log:\n" + error.failure.log_tail)
    return "\n".join(part for part in parts if part)
