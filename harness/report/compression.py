"""Make the rows of the table of compressed models from a run, each with its verdict; pure functions.

A row is one model compressed by one method, with the results of all checks of the area.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from harness.core.containers import grouped
from harness.core.types import BAD_OUTCOMES, Record
from harness.records.files import Run
from harness.report import tables
from harness.report.compression_parts import Int8Run, Measured, Parts, facts, measured, parts
from harness.report.summary import cause
from harness.report.tables import Case

AREA = "compression"
LEGACY = "legacy-ir"

Verdict = Literal["trust", "not enough data", "caution", "do not use", "does not work", "not run"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""In the order in which one would rather take them."""

ACCURACY = ("accuracy", "pruned_accuracy")
"""Checks that raise only if the model cannot be run at all."""

_LATER = {
    "run 2": "second run differs",
    "run 10": "tenth run differs",
    "another process": "another process gives other outputs",
    "two threads": "two threads give other outputs",
}
"""Comparison of the check of later runs -> meaning of its failure."""

Fault = tuple[str, bool]
"""What is wrong in a few words, and whether that alone forbids the model."""


class Reason(msgspec.Struct, frozen=True):
    """Why a row has its verdict, in a few words; ``case`` shows it."""

    text: str
    case: Case


class Row(Measured, frozen=True, kw_only=True):
    """One model compressed by one method; a field is None where no check measured it."""

    model: str
    method: str
    """Id of the method, as in case ids."""
    name: str
    """Id of the method without its profile."""
    technique: str
    graph: str
    api: str
    profile: str
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    """Reasons, the gravest first; only the error where the row does not work."""
    workaround: str = ""
    int8: tuple[Int8Run, ...] = ()

    @property
    def anchor(self) -> str:
        """Section of the run's page that explains the verdict."""
        if self.reasons and self.reasons[0].case.is_finding:
            return self.reasons[0].case.anchor
        return "not-run" if self.verdict in ("not run", "not enough data") else "cases"

    @property
    def error(self) -> str:
        """Error if it does not work, else ''."""
        return self.reasons[0].text if self.verdict == "does not work" else ""


def rows(run: Run, found: Iterable[Case]) -> tuple[Row, ...]:
    """A row for every model and method, in the order in which the run met them."""
    mine = (case for case in found if case.record.area == AREA and case.record.method)
    groups = grouped(mine, lambda case: (case.record.model, case.record.method))
    own = own_profile(run, groups)
    every = [_row(model, method, group, own) for (model, method), group in groups.items()]
    ran = {(row.model, row.name, row.profile) for row in every if row.verdict != "not run"}
    # In a run under legacy IR, the methods of legacy IR have their plain names.
    return tuple(r for r in every if r.verdict != "not run" or (r.model, r.name, r.profile) not in ran)


def own_profile(run: Run, groups: Mapping[tuple[str, str], Sequence[Case]]) -> str:
    """Return the profile of methods that name none, from their checks or else from the run's header."""
    plain = (
        case for (_, method), group in groups.items() if not method.endswith(f"-{LEGACY}") for case in group
    )
    said = (facts(case.record).get("profile") for case in plain)
    return str(next(filter(None, said), "") or run.header.environment.get("profile") or "")


def judge(cases: Sequence[Case]) -> tuple[Verdict, tuple[Reason, ...]]:
    """Return the verdict of all checks of one model and method, and its reasons."""
    ran = [case for case in cases if case.record.outcome != "not-run" or measured(case.record)]
    if not ran:
        ((_, group), *_) = tables.not_run(cases)
        return "not run", (Reason(_first_line(group[0].record), group[0]),)
    raised = [case for case in ran if case.record.outcome in ("error", "crash", "timeout")]
    unmade = len(raised) == len(ran) and not any(measured(case.record) for case in ran)
    unusable = [case for case in raised if unmade or check_of(case.record) in ACCURACY]
    if unusable:
        return "does not work", (Reason(_first_line(unusable[0].record), unusable[0]),)
    found: dict[str, tuple[Reason, bool]] = {}
    for case in ran:
        for text, forbids in _faults(case):
            found.setdefault(text, (Reason(text, case), forbids))
    grave = [reason for reason, forbids in found.values() if forbids]
    light = [reason for reason, forbids in found.values() if not forbids]
    undecided = _undecided(cases)
    if grave:
        return "do not use", (*grave, *light)
    if light:
        return "caution", (*light, *undecided)
    return ("not enough data", undecided) if undecided else ("trust", ())


def check_of(record: Record) -> str:
    """Return a record's check: ``later_runs`` for ``compression/later_runs[lenet-qat-slim]``."""
    return record.case.removeprefix(f"{AREA}/").partition("[")[0]


def _row(model: str, method: str, cases: Sequence[Case], own: str) -> Row:
    merged: dict[str, Any] = {}
    for case in cases:
        merged.update(facts(case.record))
    found = parts(merged)
    name = method.removesuffix(f"-{LEGACY}")
    verdict, reasons = judge(cases)
    return Row(
        model=model,
        method=method,
        name=name,
        technique=str(merged.get("technique") or name.partition("-")[0]),
        graph=str(merged.get("graph") or ""),
        api=str(merged.get("api") or ""),
        profile=str(merged.get("profile") or (LEGACY if method != name else own)),
        verdict=verdict,
        reasons=reasons,
        workaround=next((c.record.workaround for c in cases if c.record.workaround), ""),
        **{name: getattr(found, name) for name in Measured.__struct_fields__},
        int8=tuple(run for case in cases if (run := _int8(case.record)).is_measured),
    )


def _int8(record: Record) -> Int8Run:
    found = parts(facts(record))
    return Int8Run(record.target, found.int8, found.int8_accuracy)


def _faults(case: Case) -> list[Fault]:
    """List what one check found wrong."""
    record, check = case.record, check_of(case.record)
    words = check.replace("_", " ")
    if case.standing == "empty":
        return [(f"{words}: compared nothing", False)]
    if record.outcome not in BAD_OUTCOMES:
        loss = parts(facts(record)).accuracy
        if check != "pruned_accuracy" or loss is None or not loss.is_worse:
            return []
        # Accepted, because a network without those filters has it too.
        return [(f"loses at least {loss.least:.2f} points, with or without PaddleSlim", False)]
    if record.outcome != "fail":
        return [(f"{words}: {_ended(record)}", check == "later_runs")]
    if check == "later_runs":
        explained = [
            (_LATER.get(item.what, f"{item.what} differs"), True) for item in record.details if not item.ok
        ]
    else:
        explained = list(_EXPLANATIONS[check](parts(facts(record)))) if check in _EXPLANATIONS else []
    return explained or [(f"{words}: {_first_line(record)}", check in ACCURACY)]


def _ended(record: Record) -> str:
    """Say how a check ended that found nothing out."""
    kind = record.failure.type if record.failure is not None else ""
    signal = record.failure.signal if record.failure is not None else ""
    if record.outcome == "error":
        return f"raises {kind}" if kind else "raises"
    return "takes too long" if record.outcome == "timeout" else f"ends the process {signal}".strip()


def _of_accuracy(found: Parts) -> Iterator[Fault]:
    if found.accuracy is not None:
        yield f"loses at least {found.accuracy.least:.2f} points", True


def _of_quantized(found: Parts) -> Iterator[Fault]:
    if (seen := found.quantized) is None:
        return
    if not seen.weights:
        yield "nothing is quantized", True
        return
    for what, count in (("weights", seen.weights), ("inputs", seen.inputs)):
        if count < seen.layers:
            yield f"{what} left float in {seen.layers - count} of {seen.layers} layers", False


def _of_scales(found: Parts) -> Iterator[Fault]:
    seen = found.scales
    if seen is not None and seen.least is not None and seen.largest is not None:
        yield f"scales are {seen.least:.2g} to {seen.largest:.2g} of the range", False


def _of_export(found: Parts) -> Iterator[Fault]:
    share = found.export.share if found.export is not None else None
    by = "" if share is None else f" by {share:.0%} of the quantization error"
    yield f"the export differs from the network in memory{by}", False


def _of_int8(found: Parts) -> Iterator[Fault]:
    run = Int8Run("", found.int8, found.int8_accuracy)
    if run.fell_back:
        yield "int8 kernels did not run", True
    elif run.accuracy is not None and run.accuracy.is_worse:
        yield f"int8 kernels lose at least {run.accuracy.least:.2f} points", True
    elif run.seen is not None and run.seen.same_class is not None:
        yield f"int8 kernels keep the class of {run.seen.same_class:.1%} of digits only", False


def _of_int8_weights(_: Parts) -> Iterator[Fault]:
    # The check of int8 kernels measures what that costs; without such kernels the model is unchanged.
    yield "int8 kernels are given other weights than the file's", False


def _of_size(found: Parts) -> Iterator[Fault]:
    ratio = found.cost.elements_ratio if found.cost is not None else None
    if ratio is not None:
        yield (
            ("nothing is pruned", True) if ratio >= 1 else (f"{ratio:.0%} of the parameters are left", False)
        )


_EXPLANATIONS: dict[str, Callable[[Parts], Iterator[Fault]]] = {
    **dict.fromkeys(ACCURACY, _of_accuracy),
    "quantized": _of_quantized,
    "scales": _of_scales,
    "export_agrees": _of_export,
    "int8_kernels": _of_int8,
    "int8_weights": _of_int8_weights,
    "smaller": _of_size,
}
"""Check -> function that explains its failure from its measures; no faults where they explain nothing."""


def _undecided(cases: Sequence[Case]) -> tuple[Reason, ...]:
    """Say why it is undecided whether the accuracy holds; empty where it is decided."""
    about = [case for case in cases if check_of(case.record) in ACCURACY]
    for case in about:
        accuracy = parts(facts(case.record)).accuracy
        if accuracy is not None and accuracy.is_undecided:
            allowed = "" if accuracy.allowed is None else f", allowed is {accuracy.allowed:g}"
            return (Reason(f"may lose {accuracy.most:.2f} points{allowed}", case),)
        if case.record.outcome == "not-run":
            return (Reason(f"accuracy: {_first_line(case.record)}", case),)
    return () if about else (Reason("accuracy was not compared", cases[0]),)


def _first_line(record: Record) -> str:
    lines = (cause(record) if record.outcome in BAD_OUTCOMES else record.reason).strip().splitlines()
    return lines[0] if lines else "no reason recorded"
