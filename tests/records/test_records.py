"""The record file: whole lines survive everything, and nothing newer is misread."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.core.errors import HarnessError
from harness.core.types import (
    OUTCOMES,
    SCHEMA_VERSION,
    Comparison,
    Record,
    RemoteFailure,
    RunFooter,
    RunHeader,
)
from harness.records.files import RecordWriter, read_run

HEADER = RunHeader(run="r", started="2026-01-01T00:00:00Z", tier="quick", command="pytest", selected=2)
FULL = Record(
    case="area/check[a]",
    nodeid="suites/test_area.py::test_check[a]",
    area="area",
    title="Ünïcode – 数字",
    claims=("000-save",),
    model="lenet",
    target="jit",
    outcome="crash",
    reason="killed",
    expected_failure="why",
    issue="#1",
    comparisons=2,
    elements=640,
    budget_used=0.25,
    details=(Comparison(what="x", rule="bitwise", ok=False, elements=3, worst="[0]", message="1 of 3"),),
    failure=RemoteFailure(type="SIGSEGV", message="died", signal="SIGSEGV", log_tail="a\nb"),
    measures={"curves": {"uninterrupted": [1.5, None]}, "n": 3},
    notes=("a note\nin two lines",),
    started="2026-01-01T00:00:01Z",
    duration_s=1.25,
)
SMALL = Record(case="area/other", nodeid="n", area="area", outcome="pass")
FOOTER = RunFooter(finished="later", duration_s=2.0, exit_status=1, collected=2, problems=("one",))


def write(folder: Path, *lines: RunHeader | Record | RunFooter) -> Path:
    writer = RecordWriter(folder / "records.jsonl")
    for line in lines:
        writer.write(line)
    writer.close()
    return folder / "records.jsonl"


def test_round_trip(tmp_path: Path) -> None:
    write(tmp_path, HEADER, FULL, SMALL, FOOTER)
    run = read_run(tmp_path)
    assert (run.header, run.records, run.footer) == (HEADER, (FULL, SMALL), FOOTER)
    assert run.complete
    assert run.damaged == 0
    assert read_run(tmp_path / "records.jsonl") == run


TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@given(TEXT, TEXT, st.sampled_from(OUTCOMES), st.none() | st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_round_trips(
    tmp_path: Path, case: str, reason: str, outcome: str, budget_used: float | None
) -> None:
    """Line separators and control characters in a message must not tear its line."""
    record = Record(case=case, nodeid="n", area="a", outcome=outcome, reason=reason, budget_used=budget_used)  # type: ignore[arg-type]
    path = tmp_path / "records.jsonl"
    path.unlink(missing_ok=True)
    write(tmp_path, HEADER, record)
    assert read_run(tmp_path).records == (record,)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_headroom_that_is_no_number_leaves_the_line_readable(tmp_path: Path, value: float) -> None:
    write(tmp_path, HEADER, Record(case="c", nodeid="n", area="a", outcome="fail", budget_used=value))
    run = read_run(tmp_path)
    assert run.damaged == 0
    assert len(run.records) == 1


def test_each_line_names_its_kind_and_schema_first(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, SMALL, FOOTER)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["run", "case", "end"]
    assert all(line["schema"] == SCHEMA_VERSION for line in lines)


def test_file_cut_anywhere_keeps_every_whole_line(tmp_path: Path) -> None:
    """A kill or a full disk can end the file at any byte."""
    whole = write(tmp_path, HEADER, FULL, SMALL, FOOTER).read_bytes()
    ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
    cut = tmp_path / "cut"
    cut.mkdir()
    for size in range(ends[0], len(whole)):
        (cut / "records.jsonl").write_bytes(whole[:size])
        run = read_run(cut)
        # A line is whole with or without its newline.
        complete = sum(end <= size for end in ends)
        assert len(run.records) == min(complete - 1, 2), size
        assert run.complete is (complete == 4)
        assert run.damaged == (size not in (*ends, *(end + 1 for end in ends)))


@pytest.mark.parametrize("size", [0, 1, 40])
def test_file_cut_in_its_header_is_refused_with_a_sentence(tmp_path: Path, size: int) -> None:
    path = write(tmp_path, HEADER, SMALL)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(HarnessError, match="has no run header"):
        read_run(tmp_path)


def test_damage_in_the_middle_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, FULL, SMALL, FOOTER)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b'{"kind":"case","schema":1,"case":3}\n'
    lines.insert(2, b"\xff\xfe not json\n")
    lines.insert(3, b'{"kind":"strange","schema":1}\n')
    lines.insert(4, b"\n")
    path.write_bytes(b"".join(lines))
    run = read_run(tmp_path)
    assert run.records == (SMALL,)
    assert run.damaged == 3
    assert run.complete


def test_unknown_fields_of_the_same_schema_are_read_past(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER)
    with path.open("a") as file:
        file.write(
            '{"kind":"case","schema":1,"case":"c","nodeid":"n","area":"a","outcome":"pass","later":1}\n'
        )
    assert read_run(tmp_path).records[0].case == "c"


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER)
    text = path.read_text().replace(f'"schema":{SCHEMA_VERSION}', f'"schema":{SCHEMA_VERSION + 1}')
    path.write_text(text)
    with pytest.raises(HarnessError, match="update the harness"):
        read_run(tmp_path)


def test_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="give a folder that a run wrote"):
        read_run(tmp_path / "nothing")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_full_disk_is_a_sentence() -> None:
    writer = RecordWriter(Path("/dev/full"))
    with pytest.raises(HarnessError, match=r"No space left on device; free some space"):
        writer.write(HEADER)
    # Closing tries to write what could not be written; a second error would hide the first.
    writer.close()
