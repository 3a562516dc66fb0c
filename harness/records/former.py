"""Earlier field names of stored files, and their conversion to today's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RECORD: Mapping[str, str] = {
    "headroom": "budget_used",
    "tolerance": "numeric_budget_used",
    "known": "expected_failure",
    "known_issue": "issue",
    "known_instead": "workaround",
    "surprise": "unexpected",
    "flow": "method",
    "place": "machine",
    "beyond": "out_of_scope",
}
"""Fields of a case's line in schema 1, and their names since schema 2."""
COMPARISON: Mapping[str, str] = {"headroom": "budget_used", "needed": "error"}
SIDE: Mapping[str, str] = {**COMPARISON, "known": "expected_failure"}
CHANGE: Mapping[str, str] = {"headroom": "budget_used", "instead": "workaround"}
PAIRED: Mapping[str, str] = {"before_us": "before", "after_us": "after"}
RUN: Mapping[str, str] = {"quantity": "run"}
"""What was compared in pairs before schema 2."""
AREAS: Mapping[str, Mapping[str, Any]] = {
    **{name: {"title": name, "runtime": True} for name in ("cpp", "onnx", "lite", "distributed")},
    **{name: {"title": name, "judges_targets": True} for name in ("agreement", "targets")},
}
"""Areas as a header states them since schema 2; in schema 1 the report had this table."""
REFUSED = "refused by Paddle "
"""Start of the reason in schema 1 of a case whose model was refused; schema 2 has ``reason_kind``."""


def line_of_schema_1(line: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a line of ``records.jsonl`` from schema 1 to the names of schema 2."""
    if line.get("kind") == "run":
        return {
            "areas": AREAS,
            **line,
            "environment": renamed(line.get("environment", {}), {"places": "machines"}),
        }
    if line.get("kind") != "case":
        return dict(line)
    new: dict[str, Any] = renamed(line, RECORD)
    new["details"] = [renamed(detail, COMPARISON) for detail in line.get("details", ())]
    if line.get("outcome") == "not-run" and line.get("reason", "").startswith(REFUSED):
        new.setdefault("reason_kind", "model refused")
    measures = new.get("measures", {})
    if "compression" in measures:
        new["measures"] = {
            **measures,
            "compression": renamed(measures["compression"], {"method": "technique"}),
        }
    return new


def gate_of_schema_1(result: Mapping[str, Any]) -> dict[str, Any]:
    """A ``gate.json`` of schema 1, with the names of schema 2."""
    changes = [
        {
            **renamed(change, CHANGE),
            **{side: renamed(change[side], SIDE) for side in ("before", "after") if change.get(side)},
        }
        for change in result.get("changes", ())
    ]
    there = {
        "changes": changes,
        "grid": [renamed(cell, CHANGE) for cell in result.get("grid", ())],
        "models": [renamed(model, {"refused": "unjudged"}) for model in result.get("models", ())],
        "paired": [{**RUN, "unit": "µs", **renamed(row, PAIRED)} for row in result.get("paired", ())],
    }
    aa_test = result.get("calibration")
    if aa_test:
        rows = [{**RUN, **renamed(row, {"told": "detected"})} for row in aa_test["rows"]]
        result = {**result, "aa_test": {**aa_test, "rows": rows}}
    return {**result, **{key: value for key, value in there.items() if key in result}}


def renamed(fields: Any, names: Mapping[str, str]) -> Any:
    """Return the mapping with today's names; return another value unchanged, for its reader to reject."""
    if not isinstance(fields, Mapping):
        return fields
    return {names.get(key, key): value for key, value in fields.items()}
