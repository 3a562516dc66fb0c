"""Files for pipelines: gate.json there and back, JUnit XML, the Markdown summary."""

from __future__ import annotations

import contextlib
import json
import resource
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from pages import HOSTILE

from gate.builders import broken, change, gate, matrix, sample
from harness.core.errors import HarnessError
from harness.gate import outputs, result
from harness.gate.page import render
from harness.gate.result import Change, GateResult, MatrixResult, ModelTotal, Numerics, Side
from harness.gate.run import write

DOCS = Path(__file__).parents[2] / "docs"
HOSTILE_CHANGE = change(
    HOSTILE,
    "broken",
    blocks=True,
    rule=f"{HOSTILE} | `a` | @somebody",
    text=f"{HOSTILE}\r\n| a | b |\n# heading [x](javascript:alert(1)) https://example.org \ud800",
    workaround="`" * 5,
)


# gate.json


def test_result_comes_back_as_it_was(tmp_path: Path) -> None:
    path = outputs.write_json(sample(), tmp_path / "gate.json")
    assert outputs.read_gate_json(path) == outputs.read_gate_json(tmp_path) == sample()
    crossed = outputs.write_json(matrix(), tmp_path / "matrix.json")
    assert msgspec.json.decode(crossed.read_bytes(), type=MatrixResult) == matrix()


def test_same_result_gives_the_same_bytes_however_it_was_made(tmp_path: Path) -> None:
    forwards = gate(policy={"a": 1, "b": {"c": 2, "d": 3}})
    backwards = gate(policy={"b": {"d": 3, "c": 2}, "a": 1})
    first = outputs.write_json(forwards, tmp_path / "1").read_bytes()
    second = outputs.write_json(backwards, tmp_path / "2").read_bytes()
    assert first == second
    assert first.startswith(b'{\n  "schema": 2,\n  "kind": "gate",\n  "status": "pass",')


def test_what_json_cannot_hold_does_not_make_the_file_unreadable(tmp_path: Path) -> None:
    rows = (Numerics("a/b", "", "m", "t", float("nan"), float("inf")),)
    sides: dict[str, Any] = {"after": Side("fail", "candidate", budget_used=float("inf"))}
    written = gate((change(**sides),), numerics=rows)
    back = outputs.read_gate_json(outputs.write_json(written, tmp_path / "gate.json"))
    assert (back.numerics[0].before, back.numerics[0].after) == (None, None)
    assert back.changes[0].after == Side("fail", "candidate")
    assert render(back)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("not json", "cannot be read"),
        ("[1, 2]", "cannot be read"),
        ('{"kind": "gate", "schema": 1}', "cannot be read .*missing required field"),
        ('{"kind": "gate", "schema": 1, "status": "fine"}', "cannot be read"),
        ('{"kind": "gate", "schema": 99}', "has schema 99, this harness reads up to 2: update the harness"),
        ('{"kind": "matrix", "schema": 1}', "is not the result of a gate"),
        ("{}", "is not the result of a gate"),
    ],
)
def test_what_is_no_gate_is_refused_in_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "gate.json"
    path.write_text(text)
    with pytest.raises(HarnessError, match=message) as told:
        outputs.read_gate_json(path)
    assert "\n" not in str(told.value)


def test_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"cannot read .*give a file that harness gate wrote"):
        outputs.read_gate_json(tmp_path / "nothing.json")
    with pytest.raises(HarnessError, match="cannot read"):
        outputs.read_gate_json(tmp_path)


def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    path = outputs.write_json(sample(), tmp_path / "gate.json")
    data = json.loads(path.read_text(encoding="utf-8"))
    data["later"] = 1
    data["changes"][0]["later"] = {"a": 1}
    path.write_text(json.dumps(data))
    assert outputs.read_gate_json(path) == sample()


def test_every_field_is_documented() -> None:
    text = (DOCS / "gate-json.md").read_text(encoding="utf-8")
    assert f"now **{result.GATE_SCHEMA}**" in text
    types = [t for t in vars(result).values() if isinstance(t, type) and issubclass(t, msgspec.Struct)]
    assert len(types) >= 12
    missing = [f"{t.__name__}.{f}" for t in types for f in t.__struct_fields__ if f"`{f}`" not in text]
    assert missing == []
    assert [v for v in result.VERDICTS if f"`{v}`" not in text] == []


# junit.xml

# Children and attributes that readers of JUnit XML know (Jenkins' junit-10.xsd), the required ones first.
KNOWN: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"testcase"},
        {"name", "tests", "failures", "errors"},
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp"},
    ),
    "testcase": (
        {"failure", "error", "skipped", "system-out"},
        {"name", "classname", "time"},
        {"name", "classname", "time"},
    ),
    **{tag: (set(), {"type", "message"}, {"type", "message"}) for tag in ("failure", "error", "skipped")},
    "system-out": (set(), set(), set()),
}


def cases(found: GateResult) -> Iterator[tuple[str, ElementTree.Element]]:
    """Name and test case, after the whole file was held against what readers know."""
    root = ElementTree.fromstring(outputs.junit_xml(found))
    assert root.tag == "testsuites"
    for element in root.iter():
        children, required, allowed = KNOWN[element.tag]
        assert {child.tag for child in element} <= children, element.tag
        assert required <= set(element.attrib) <= allowed, element.tag
        assert element.tag != "testcase" or len(element) <= 1
    (suite,) = root
    ends = Counter(child.tag for case in suite for child in case)
    counts = {key: int(suite.get(key) or 0) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {
        "tests": len(suite),
        "failures": ends["failure"],
        "errors": ends["error"],
        "skipped": ends["skipped"],
    }
    names = [(case.get("classname"), case.get("name")) for case in suite]
    assert len(set(names)) == len(names), "two cases share a name"
    yield from ((case.get("name") or "", case) for case in suite)


def end(case: ElementTree.Element) -> tuple[str, str, str]:
    """Tag, type and text of what the case says of itself."""
    (child,) = case
    return child.tag, child.get("type", ""), child.text or ""


def test_junit_has_a_case_for_everything_that_ran() -> None:
    found = dict(cases(sample()))
    unjudged = [model for model in sample().models if model.unjudged]
    assert len(found) == 1 + len(sample().changes) + len(unjudged)
    failures = [name for name, case in found.items() if case.find("failure") is not None]
    assert len(failures) == len(sample().blocking) + 1
    assert found["verdict"].find("failure") is not None
    name = "interchange/loads[jit.save → jit.load-lenet-batch0] (old files)"
    assert end(found[name])[:2] == ("failure", "broken")
    assert "instead: load it with the predictor" in end(found[name])[2]
    assert end(found["quantize/ptq[lenet]"])[:2] == ("skipped", "acknowledged")
    assert end(found["latency/batch16[lenet-predictor]"])[:2] == ("skipped", "not comparable")
    assert end(found["agreement/second_run[lstm-predictor]"])[:2] == ("skipped", "inconclusive")
    assert end(found["robustness/no_ir_optim[lenet]"])[0] == "system-out"
    assert "41 GiB" in end(found["graphs/huge"])[2]
    assert len(found["agreement/outputs[lenet-static]"]) == 0


def test_junit_of_a_gate_that_measured_nothing_is_not_green() -> None:
    found = dict(cases(gate(status="inconclusive", problems=("no case compared anything",))))
    assert list(found) == ["verdict"]
    assert end(found["verdict"])[:2] == ("error", "inconclusive")
    assert "no case compared anything" in end(found["verdict"])[2]
    assert end(dict(cases(gate()))["verdict"])[0] == "system-out"


def test_junit_leaves_out_what_neither_side_ran() -> None:
    skipped = Side("not-run", reason="no GPU")
    changes = (
        change("a/none", before=skipped, after=skipped),
        change("a/gone", "missing", before=skipped, after=None),
        change("a/one", "new", before=skipped),
    )
    assert set(dict(cases(gate(changes)))) == {"verdict", "a/one"}


def test_junit_holds_any_text(tmp_path: Path) -> None:
    found = gate(
        (HOSTILE_CHANGE,), "blocked", sentence=HOSTILE, models=(ModelTotal(HOSTILE, True, unjudged=HOSTILE),)
    )
    (verdict, _), (name, case), (model, _) = cases(found)
    assert verdict == "verdict"
    assert "<script>" in name
    assert "\x1b" not in name + model + end(case)[2]
    long = gate((broken("a/b", "x" * 100_000),), "blocked")
    assert len(outputs.junit_xml(long)) < 10_000
    assert b"the whole is in gate.json" in outputs.junit_xml(long)
    ElementTree.fromstring(outputs.junit_xml(found))


# Markdown


def table(text: str) -> list[list[str]]:
    """Cells of the summary's table, as GitHub splits them: at every ``|`` without a backslash."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [row.replace("\\|", "\x00").strip("|").split("|") for row in rows]


def test_summary_says_what_blocks_and_why() -> None:
    text = outputs.summary_markdown(sample())
    assert text.startswith("## ❌ BLOCKED: Paddle 2.6.2 → 3.3.1\n")
    assert "114 broken, 7 missing, 7 numerically worse" in text
    assert f"{sample().identical} of {sample().identical_of} bit-identical" in text
    assert "`interchange/loads[jit.save → jit.load-lenet-batch0]` and 62 more | broken, old files |" in text
    assert "| missing = block |" in text
    assert "gate.html" in text
    assert len(table(text)) == (1 + 5) + (1 + 7)
    assert len(text.encode()) < 10_000


def test_summary_of_a_pass_and_of_nothing() -> None:
    text = outputs.summary_markdown(gate((change(identical=True),)))
    assert "✅ PASS" in text
    assert "1 same; 1 of 1 bit-identical" in text
    assert table(text) == []
    assert "No case." in outputs.summary_markdown(gate(status="inconclusive"))


def test_summary_lists_twenty_causes_and_counts_the_rest() -> None:
    words = [f"{a}{b}" for a in "abcde" for b in "abcde"]
    changes: tuple[Change, ...] = tuple(
        broken(f"a/{w}[{i}]", f"{w} is gone {'very ' * 500}") for w in words for i in range(8)
    )
    text = outputs.summary_markdown(gate(changes, "blocked", problems=("a fault " * 100,) * 50))
    assert len(table(text)) == 1 + 20
    assert "And 40 more of 5 other causes." in text
    # A step's summary may have a mebibyte.
    assert len(text.encode()) < 50_000


def test_hostile_text_does_not_leave_its_cell() -> None:
    text = outputs.summary_markdown(gate((HOSTILE_CHANGE,), "blocked", sentence=HOSTILE))
    assert [len(row) for row in table(text)] == [5, 5]
    assert "\x1b" not in text
    assert "\x00" not in text
    body = text[text.index("| `") :]
    outside = "".join(part for i, part in enumerate(body.split("`")) if i != 1)
    assert "<script>" not in outside.replace("\\<", "")
    assert "](" not in outside.replace("\\]", "")
    assert "https://" not in outside
    assert "@somebody" not in outside
    assert len(text.splitlines()) < 15


def test_step_summary_is_appended(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("an earlier step\n")
    environment = {outputs.STEP_SUMMARY: str(file)}
    assert outputs.append_step_summary(sample(), environment) == ""
    assert outputs.append_step_summary(gate(), environment) == ""
    text = file.read_text(encoding="utf-8")
    assert text.startswith("an earlier step\n")
    assert text.index("BLOCKED") < text.index("PASS")
    assert outputs.append_step_summary(gate(), {}) == ""


def test_step_summary_never_fails_the_gate(tmp_path: Path) -> None:
    for name in (str(tmp_path), str(tmp_path / "missing" / "file"), "/dev/full"):
        note = outputs.append_step_summary(gate(), {outputs.STEP_SUMMARY: name})
        assert note.startswith(f"the summary was not appended to {name}: "), name


# disk


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """No file of this process can grow past 4 KiB, as on a full disk; pytest's own output must not be due."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path: Path) -> None:
    write(gate(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with small_files(), pytest.raises(HarnessError, match=r"^cannot write the .*free some space") as told:
        write(sample(), tmp_path)
    assert "\n" not in str(told.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert sorted(before) == ["gate.html", "gate.json", "junit.xml", "summary.md"]


def test_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="cannot write the gate"):
        write(gate(), tmp_path / "missing")
