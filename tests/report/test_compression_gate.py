"""Compressed models under two releases on the page of a gate."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from browser import needs_chromium, sizes
from builders import record, write_run
from compression_builders import (
    UNMADE,
    failed,
    many,
)
from gate.builders import gate
from pages import Page, section
from sample_run import compressed

from harness.core.types import Record
from harness.gate import page_compression
from harness.gate.page import render as render_gate
from harness.gate.result import Subject
from harness.report import tables
from harness.report.compression import Row, rows

# The gate's page


def side(folder: Path, name: str, profile: str, *records: Record) -> tuple[Row, ...]:
    environment = {"paddle": {"version": name}, "profile": profile}
    run = write_run(folder / name, records, environment=environment)
    return rows(run, tables.cases(run))


def test_pairs_stand_beside_each_other_whatever_the_profile(tmp_path: Path) -> None:
    old = side(tmp_path, "2.6.2", "legacy-ir",
               *compressed("qat-a", profile="legacy-ir", own="legacy-ir"),
               *compressed("qat-gone", profile="legacy-ir", own="legacy-ir"))  # fmt: skip
    new = side(tmp_path, "3.3.1", "pir", *compressed("qat-a", changes=UNMADE),
               *compressed("qat-a", profile="legacy-ir"), *compressed("qat-new"))  # fmt: skip
    told = [(p.name, p.profiles, p.step, p.differs) for p in page_compression.pairs(old, new)]
    assert told == [
        ("qat-a", "legacy-ir → pir", 4, True),
        ("qat-a", "legacy-ir", 0, False),
        ("qat-gone", "legacy-ir", 0, True),
        ("qat-new", "pir", 0, True),
    ]
    back = [(p.name, p.profiles, p.step) for p in page_compression.pairs(new, old)]
    assert ("qat-a", "pir → legacy-ir", -4) in back
    both = [(p.name, p.profiles) for p in page_compression.pairs(new, new)]
    assert both == [
        ("qat-a", "pir"),
        ("qat-a", "legacy-ir"),
        ("qat-new", "pir"),
    ]


def test_what_became_worst_is_first_and_what_one_side_lacks_last(tmp_path: Path) -> None:
    later = {"later_runs": failed("run 2")}
    before: dict[str, Any] = {"qat-worse": {}, "qat-better": later, "qat-gone": {}, "ptq-same": {}}
    old = side(
        tmp_path,
        "2.6.2",
        "legacy-ir",
        *(
            item
            for name, changes in before.items()
            for item in compressed(name, profile="legacy-ir", own="legacy-ir", changes=changes)
        ),
    )
    after = [*compressed("ptq-same"), *compressed("qat-better"), *compressed("qat-worse", changes=later)]
    told = page_compression.pairs(old, side(tmp_path, "3.3.1", "pir", *after))
    assert [pair.name for pair in told] == ["qat-worse", "ptq-same", "qat-better", "qat-gone"]


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, False),
        ({"lost": 4}, False),  # within the bounds of either
        ({"lost": 40, "gained": 36}, True),
        ({"size": 0.275}, False),
        ({"size": 0.6}, True),
        ({"latency": 0.1}, False),
        ({"gained": 60}, True),
    ],
)
def test_only_what_matters_differs(tmp_path: Path, changes: dict[str, Any], differs: bool) -> None:
    old = side(tmp_path, "a", "pir", *compressed("qat-a"))
    new = side(tmp_path, "b", "pir", *compressed("qat-a", **changes))
    (pair,) = page_compression.pairs(old, new)
    assert pair.differs is differs


def test_gate_page_unfolds_what_differs(tmp_path: Path) -> None:
    for name, changes in (("baseline", {}), ("candidate", {"later_runs": failed("run 2")})):
        records = [*compressed("qat-a", changes=changes), *compressed("ptq-same")]
        write_run(tmp_path / name, records)
    text = render_gate(gate(), tmp_path)
    parsed = Page(text)
    assert {link[1:] for link in parsed.links() if link[:1] == "#"} <= set(parsed.ids())
    shown, _, folded = section(text, "compression").partition("<details")
    assert "2 compressed models: 1 with a worse verdict under Paddle 3.3.1, 0 with a better one" in shown
    assert "qat-a" in shown
    assert "qat-a" not in folded
    assert "ptq-same" in folded
    assert "ptq-same" not in shown
    for needed in ("Paddle 2.6.2<", "Paddle 3.3.1<", "✓", "second run differs", "0.27"):
        assert needed in shown, needed
    assert 'href="baseline/index.html#cases"' in shown
    assert re.search(r'href="candidate/index.html#case-\d+">second run differs', shown)


def test_gate_page_links_no_run_that_lies_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "gate").mkdir()
    write_run(tmp_path / "elsewhere", compressed("qat-a"))
    write_run(tmp_path / "gate" / "candidate", compressed("qat-a", size=0.6))
    earlier = Subject("2.6.2", "2.6.2", run=str(tmp_path / "elsewhere"), reused=True)
    text = section(render_gate(gate(baseline=earlier), tmp_path / "gate"), "compression")
    assert text.count("</span> trust</span>") == 2
    assert "0.60" in text
    assert re.findall(r'href="([^"]+)"', text) == ["candidate/index.html#cases"]


def test_gate_page_says_why_it_has_no_table(tmp_path: Path) -> None:
    missing = "are not next to this page"
    assert missing in html.unescape(section(render_gate(gate()), "compression"))
    assert missing in section(render_gate(gate(), tmp_path), "compression")
    unnamed = gate(baseline=Subject("2.6.2", "2.6.2"))
    assert missing in section(render_gate(unnamed, tmp_path), "compression")
    for name in ("baseline", "candidate"):
        write_run(tmp_path / name, [record()])
    assert "No case compressed a model." in section(render_gate(gate(), tmp_path), "compression")


@needs_chromium
def test_gate_table_fits_a_telephone(tmp_path: Path) -> None:
    for name, count in (("baseline", 20), ("candidate", 24)):
        write_run(tmp_path / name, many(count))
    text = render_gate(gate(), tmp_path)
    for width, (scroll, client, _) in zip((360, 1280), sizes(tmp_path, text, 360, 1280), strict=True):
        assert (client, scroll <= width) == (width, True)
