"""Write a gate's files for pipelines: ``gate.json``, ``junit.xml``, a Markdown summary.

``docs/gate-json.md`` documents the first. Each is written whole or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import msgspec

from harness.core import files
from harness.core.errors import HarnessError
from harness.gate.causes import Cause, causes, happened
from harness.gate.result import GATE_SCHEMA, VERDICTS, Change, GateResult, MatrixResult, PairedSpeed, Side
from harness.records.former import gate_of_schema_1
from harness.report.wording import clean, clip, seconds

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable with the file to which a GitHub Actions step appends its summary."""
MOST_LINES = 20
"""Causes that the summary lists; the page has all."""
_MOST_TEXT = 300
_MOST_MESSAGE = 4000
_MARKS = {"pass": "✅", "blocked": "❌", "inconclusive": "⚠️"}


class _Head(msgspec.Struct):
    kind: str = ""
    schema: int = 0


# gate.json, matrix.json


def detectable(rows: Iterable[PairedSpeed]) -> str:
    """Say in a sentence which change of a run these measurements would have detected."""
    found = sorted(r.detectable for r in rows if r.quantity == "run" and r.detectable is not None)
    if not found:
        return ""
    low, middle, high = (f"{100 * value:.1f}" for value in (found[0], found[len(found) // 2], found[-1]))
    span = f"{low} %" if low == high else f"{low} to {high} %, for half of the works {middle} % or less"
    return f"A change of a run would have been detected from {span}."


def write_json(result: GateResult | MatrixResult, path: Path) -> Path:
    """Write ``gate.json`` or ``matrix.json``; the same result gives the same bytes.

    Raises:
        HarnessError: the folder is missing or unwritable, or the disk is full.
    """
    return files.write_json(path, result, f"the {result.kind}'s result", order="deterministic")


def read_gate_json(path: Path) -> GateResult:
    """Read a gate's result; ``path`` is the file, or the folder it is in.

    Raises:
        HarnessError: there is no such file, it is not a gate's, or a newer harness wrote it.
    """
    if path.is_dir():
        path /= "gate.json"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HarnessError(
            f"cannot read {path}: {error.strerror}; give a file that harness gate wrote"
        ) from error
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.kind != "gate":
            raise HarnessError(f"{path} is not the result of a gate: give a file that harness gate wrote")
        if head.schema > GATE_SCHEMA:
            raise HarnessError(
                f"{path} has schema {head.schema}, this harness reads up to {GATE_SCHEMA}: update the harness"
            )
        if head.schema == 1:
            return msgspec.convert(gate_of_schema_1(msgspec.json.decode(data)), GateResult)
        return msgspec.json.decode(data, type=GateResult)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path} cannot be read ({error}): run harness gate again") from error


# junit.xml


def junit_xml(result: GateResult) -> bytes:
    """Return the gate as JUnit XML for the dashboards of continuous integration.

    There is a test case for every case that ran on either side, for every user model that was not judged, and
    one called ``verdict`` for the gate itself, so that a gate that measured nothing is not green.

    - what blocks is a ``failure``, with the verdict as its type;
    - what is inconclusive, not comparable or acknowledged without blocking is ``skipped`` with its
      reason, and so is a model that was not judged: dashboards show those without failing;
    - all else passes; what changed without blocking is described in its ``system-out``;
    - the gate's own case is a ``failure`` when blocked, an ``error`` when inconclusive.
    """
    suite = ElementTree.Element("testsuite")
    tag = {"pass": "system-out", "blocked": "failure", "inconclusive": "error"}[result.status]
    _testcase(suite, "gate", "verdict", tag, result.status, "\n".join([result.sentence, *result.problems]))
    for change in result.changes:
        if _ran(change.before) or _ran(change.after):
            name = f"{change.case} ({change.direction})" if change.direction else change.case
            _testcase(suite, f"gate.{change.area or 'case'}", name, *_change_end(change))
    for model in result.models:
        if model.unjudged:
            _testcase(suite, "gate.models", model.model, "skipped", "not judged", model.unjudged)
    counts = {
        "tests": len(suite),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    duration = f"{result.duration_s:.3f}"
    name = _text(f"Paddle {_way(result)}")
    for key, value in {"name": name, **counts, "time": duration, "timestamp": result.started}.items():
        suite.set(key, _text(str(value)))
    suites = ElementTree.Element("testsuites", {"name": "harness gate"})
    for key, number in counts.items():
        if key != "skipped":  # the schema's root element has no such attribute
            suites.set(key, str(number))
    suites.set("time", duration)
    suites.append(suite)
    ElementTree.indent(suites)
    data: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _change_end(change: Change) -> tuple[str, str, str]:
    """Return element, type and text for a change's test case; the element is '' for a plain pass."""
    text = happened(change)
    if change.blocks:
        parts = [text, f"rule: {change.rule}"] + (
            [f"instead: {change.workaround}"] if change.workaround else []
        )
        return "failure", change.verdict, "\n".join(parts)
    if change.acknowledged:
        until = f" (until {change.until})" if change.until else ""
        said = f"{change.verdict}, acknowledged{until}: {change.acknowledged}"
        return "skipped", "acknowledged", f"{said}\n{text}"
    if change.verdict in ("inconclusive", "not comparable"):
        return "skipped", change.verdict, f"{change.verdict}: {text}"
    if change.verdict == "same":
        return "", "", ""
    return "system-out", change.verdict, f"{change.verdict}, does not block: {text}"


def _testcase(suite: ElementTree.Element, group: str, name: str, tag: str, type_: str, text: str) -> None:
    case = ElementTree.SubElement(suite, "testcase", {"classname": _text(group), "name": _text(name)})
    # Neither a pair of runs nor a verdict has a duration, but some readers require one.
    case.set("time", "0")
    if not tag:
        return
    end = ElementTree.SubElement(case, tag)
    if tag != "system-out":
        end.set("type", type_)
        end.set("message", _text(text.partition("\n")[0][:_MOST_TEXT]))
    end.text = _text(clip(text, _MOST_MESSAGE, whole="gate.json"))


def _ran(side: Side | None) -> bool:
    return side is not None and side.outcome != "not-run"


def _text(text: str) -> str:
    """Replace the characters that XML 1.0 cannot hold."""
    return clean(text).replace("\r", " ")


# Markdown


def summary_markdown(result: GateResult) -> str:
    """Return the gate on one screen, in GitHub's Markdown: status, counts, what blocks and why."""
    parts = [", ".join(f"{result.counts[v]:,} {v}" for v in VERDICTS if result.counts.get(v)) or "No case"]
    if result.identical_of:
        parts.append(f"{result.identical:,} of {result.identical_of:,} bit-identical")
    lines = [
        f"## {_MARKS[result.status]} {result.status.upper()}: Paddle {_plain(_way(result))}",
        "",
        _plain(result.sentence),
        "",
        f"{'; '.join(parts)}. Took {seconds(result.duration_s)}.",
    ]
    if result.problems:
        lines += ["", "**Faults of the gate itself**", ""]
        lines += [f"- {_plain(problem)}" for problem in result.problems[:MOST_LINES]]
    own = result.own
    if own:
        lines += ["", "| your model | verdict |", "|---|---|"]
        lines += [f"| {_code(model.model)} | {_plain(model.words)} |" for model in own[:MOST_LINES]]
        if len(own) > MOST_LINES:
            lines += ["", f"And {len(own) - MOST_LINES:,} more models."]
    blocking = causes(result.blocking)
    if blocking:
        lines += ["", "| blocks | verdict | what happened | rule | instead |", "|---|---|---|---|---|"]
        lines += [_row(cause) for cause in blocking[:MOST_LINES]]
    left = sum(len(cause.changes) for cause in blocking[MOST_LINES:])
    if left:
        lines += ["", f"And {left:,} more of {len(blocking) - MOST_LINES:,} other causes."]
    lines += ["", "Everything is on the page `gate.html`, and in `gate.json`, among the run's artifacts."]
    return "\n".join(lines) + "\n"


def append_step_summary(result: GateResult, environment: Mapping[str, str] = os.environ) -> str:
    """Append the summary to the file that ``$GITHUB_STEP_SUMMARY`` names.

    A failure to do so does not fail the gate.

    Returns:
        '', or why it could not be appended.
    """
    name = environment.get(STEP_SUMMARY, "")
    if not name:
        return ""
    try:
        with open(name, "ab") as file:
            file.write(b"\n" + summary_markdown(result).encode("utf-8", errors="replace"))
    except OSError as error:
        return f"the summary was not appended to {name}: {error.strerror}"
    return ""


def _row(cause: Cause) -> str:
    first, more = cause.first, len(cause.changes) - 1
    kind = f"{cause.verdict}, {cause.where}" if cause.where else cause.verdict
    cells = (
        f"{_code(first.case)}{f' and {more:,} more' if more else ''}",
        kind,
        _plain(cause.text),
        _plain(first.rule) or "–",
        _plain(first.workaround) or "–",
    )
    return f"| {' | '.join(cells)} |"


def _way(result: GateResult) -> str:
    before, after = result.baseline, result.candidate
    return f"{before.paddle or before.name} → {after.paddle or after.name}"


def _line(text: str, most: int = _MOST_TEXT) -> str:
    text = " ".join(clean(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _plain(text: str) -> str:
    """Return text as one line that Markdown shows unchanged: no markup, table cell, mention or link."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~!])", r"\\\1", _line(text)).replace("&", "&amp;")
    # A word joiner keeps an address or a name from becoming a link.
    return re.sub(r"(?<=:)(?=//)|(?<=@)(?=\w)", "\u2060", escaped)


def _code(text: str) -> str:
    """Return a code span that can hold any text, also in a table."""
    text = _line(text, 160)
    fence = "`" * (1 + max(map(len, re.findall(r"`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")
