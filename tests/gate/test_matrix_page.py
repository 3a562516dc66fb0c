"""The matrix's page: which pairs of releases work, what stops where, what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import needs_chromium, sizes
from pages import Page, section

from gate.builders import matrix
from harness.gate.matrix_page import pair_groups, pair_totals, render_matrix, route_totals, spans
from harness.gate.result import GridCell, MatrixResult
from harness.report.layout import write_page


def test_matrix_says_which_pairs_work_and_what_stops_where() -> None:
    result = matrix()
    totals = pair_totals(result.cells)
    assert len(totals) == 81
    assert totals["2.6.2", "3.3.1"].worst == "error"
    assert (totals["2.6.2", "3.3.1"].working, totals["2.6.2", "3.3.1"].routes) == (7, 8)
    assert (totals["2.6.2", "3.3.1"].readable, totals["2.6.2", "3.3.1"].formats) == (6, 6)
    found = {group.name: (group.working, group.of) for group in pair_groups(totals, result.releases)}
    assert found == {"upgrade": (17, 36), "own files": (7, 9), "rollback": (25, 36)}
    routes = {row.name: row for row in route_totals(result)}
    assert routes["pdparams → set_state_dict"].crossings == ()
    (refused, rollback) = routes["jit.save → jit.load"].crossings
    assert (refused.producers, refused.consumers, refused.own) == ("2.6.2", "3.0.0–3.3.1", False)
    assert (rollback.producers, rollback.consumers) == ("3.0.0–3.3.1", "2.6.2")
    (_, lost) = routes["separate files → load_inference_model"].crossings
    assert (lost.producers, lost.own) == ("3.1.0–3.1.1", True)
    text = render_matrix(result)
    assert "of 81 pairs every kind of file can be used, in 49 by all 8 routes" in text
    assert "works everywhere" in section(text, "boundaries")
    assert section(text, "routes").count("<table>") == 8
    assert "Every reference model of the quick tier" in text


def test_matrix_without_cells_is_no_success() -> None:
    result = MatrixResult(
        releases=(), cells=(), started="", duration_s=0.0, command="harness matrix", harness="0.1.0"
    )
    text = render_matrix(result)
    assert "nothing is known to work" in text
    assert 'class="verdict pass"' not in text
    Page(text)


def test_cases_that_were_not_run_do_not_work() -> None:
    cells = (
        GridCell("jit", "1", "1", "pass", 2, 2),
        GridCell("jit", "1", "2", "not-run", 2, 0),
        GridCell("jit", "2", "2", "pass", 0, 0),
    )
    totals = pair_totals(cells)
    assert [total.works for total in totals.values()] == [True, False, False]


def test_a_kind_of_file_that_a_release_cannot_write_is_none_to_be_read() -> None:
    cells = (
        GridCell("jit → jit.load", "1", "2", "pass", 2, 2),
        GridCell("prune-l1 → predictor", "1", "2", "not-run", 2, 0),
        GridCell("qat → predictor", "1", "2", "not-run", 2, 0),
        GridCell("legacy_qat → predictor", "1", "2", "error", 2, 0),
    )
    (total,) = pair_totals(cells).values()
    assert (total.readable, total.formats) == (1, 2)


@pytest.mark.parametrize(
    ("names", "text"), [("abc", "a–c"), ("ac", "a, c"), ("abd", "a–b, d"), ("", ""), ("d", "d")]
)
def test_spans(names: str, text: str) -> None:
    assert spans(names, "abcd") == text


@needs_chromium
def test_matrix_does_not_overflow(tmp_path: Path) -> None:
    page = write_page(render_matrix(matrix()), tmp_path / "matrix.html")
    assert page.stat().st_size < 400_000
    found = sizes(tmp_path, page.read_text(encoding="utf-8"), 360, 1280)
    for width, (scroll, client, height) in zip((360, 1280), found, strict=True):
        assert client == width
        assert scroll <= width
        assert height >= 3000
