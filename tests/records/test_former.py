"""Files of the first schema are read under today's names, in Python and in SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from gate.builders import sample

from harness.core.files import write_json
from harness.core.types import Record, RunHeader
from harness.gate import outputs
from harness.history.data import History, open_history
from harness.records import former
from harness.records.files import encode, read_run

REAL = Path(__file__).parents[1] / "history" / "real"
"""A run that an earlier version of the harness wrote."""
CASE = {
    "kind": "case", "schema": 1, "case": "a/b[m] @ rack", "nodeid": "n", "area": "a", "outcome": "fail",
    "reason": "r", "flow": "ptq-x", "place": "rack", "beyond": True, "known": "why", "known_issue": "#1",
    "known_instead": "wait", "surprise": "passed", "headroom": 3.0, "tolerance": 2.0,
    "comparisons": 1, "elements": 4,
    "details": [{"what": "o", "rule": "tolerance", "ok": False, "elements": 4,
                 "headroom": 3.0, "needed": 9.0}],
    "measures": {"compression": {"method": "ptq"}, "curve": {"place": 1}},
}  # fmt: skip


def test_real_run_of_the_first_schema_is_read() -> None:
    lines = [json.loads(line) for line in (REAL / "records.jsonl").read_text().splitlines()]
    cases = [line for line in lines if line["kind"] == "case"]
    run = read_run(REAL)
    assert run.damaged == 0
    assert [record.budget_used for record in run.records] == [line.get("headroom") for line in cases]
    assert [record.numeric_budget_used for record in run.records] == [line.get("tolerance") for line in cases]
    assert [record.expected_failure for record in run.records] == [line.get("known", "") for line in cases]
    assert [record.out_of_scope for record in run.records] == [line.get("beyond", False) for line in cases]
    errors = [[d.get("needed") for d in line.get("details", ())] for line in cases]
    assert [[detail.error for detail in record.details] for record in run.records] == errors
    assert any(map(any, errors))


def test_every_renamed_field_arrives(tmp_path: Path) -> None:
    header = RunHeader(run="x", started="2026-01-01T00:00:00", tier="quick", command="pytest suites/")
    old = {**msgspec.to_builtins(header), "kind": "run", "schema": 1, "environment": {"places": {"rack": {}}}}
    text = json.dumps(old) + "\n" + json.dumps(CASE) + "\n"
    (tmp_path / "records.jsonl").write_text(text)
    run = read_run(tmp_path)
    (record,) = run.records
    assert run.header.environment == {"machines": {"rack": {}}}
    for name, today in former.RECORD.items():
        assert getattr(record, today) == CASE[name], name
    assert (record.details[0].budget_used, record.details[0].error) == (3.0, 9.0)
    assert record.measures == {"compression": {"technique": "ptq"}, "curve": {"place": 1}}

    history = open_history([tmp_path])
    row = _row(history, "cases")
    assert row["case_id"] == "a/b[m]"
    assert (row["expected_failure"], row["standing"], row["out_of_scope"]) == ("why", "departed", True)
    assert (row["budget_used"], row["numeric_budget_used"], row["method"]) == (3.0, 2.0, "ptq-x")
    row = _row(history, "details")
    assert (row["budget_used"], row["error"]) == (3.0, 9.0)
    assert not {"headroom", "needed"} & set(row)


def test_a_field_written_today_is_not_renamed() -> None:
    """A measure or field that has an earlier name by chance keeps it in the second schema."""
    line = json.loads(encode(Record(case="c", nodeid="n", area="a", outcome="pass", measures={"known": 1})))
    assert line["measures"] == {"known": 1}
    assert former.line_of_schema_1({"kind": "end", "known": 1}) == {"kind": "end", "known": 1}


def test_a_gate_of_the_first_schema_is_read(tmp_path: Path) -> None:
    gate = json.loads(write_json(tmp_path / "gate.json", sample(), "the verdict").read_bytes())
    for change in gate["changes"]:
        for side in ("before", "after"):
            _rename(change.get(side) or {}, former.SIDE)
        _rename(change, former.CHANGE)
    for cell in gate.get("grid", ()):
        _rename(cell, former.CHANGE)
    gate["schema"] = 1
    text = json.dumps(gate)
    (tmp_path / "gate.json").write_text(text)
    assert '"headroom"' in text
    assert '"needed"' in text
    read = outputs.read_gate_json(tmp_path)
    assert msgspec.structs.replace(read, schema=sample().schema) == sample()


def _rename(fields: dict[str, Any], names: Mapping[str, str]) -> None:
    for old, new in names.items():
        if new in fields:
            fields[old] = fields.pop(new)


def _row(history: History, view: str) -> dict[str, Any]:
    names, (row,) = history.query(f"SELECT * FROM {view}")
    return dict(zip(names, row, strict=True))
