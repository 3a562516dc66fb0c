"""The gate's and the matrix's page: what blocks is on the first screen, the rest is there, nothing runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from browser import chromium, in_frames, needs_chromium, sizes
from matplotlib.image import imread
from pages import HOSTILE, Page, section

from gate.builders import broken, change, gate, matrix, sample
from harness.gate import page_views
from harness.gate.causes import causes
from harness.gate.matrix_page import render_matrix
from harness.gate.page import MOST_FIRST_CAUSES, render
from harness.gate.result import (
    VERDICTS,
    Change,
    CurvePair,
    Difference,
    Drift,
    GateResult,
    GridCell,
    MatrixResult,
    ModelTotal,
    Numerics,
    Side,
    Subject,
)
from harness.report.layout import write_page

SECTIONS = (
    *("blocking", "changes", "grid", "numerics", "curves", "speed", "drift", "models"),
    *("environment", "acknowledged", "policy"),
)
EMPTY = gate(sentence="Nothing was measured under both, which is no pass.", status="inconclusive")
PASSING = gate(tuple(change(f"a/x[{i}]", identical=True) for i in range(40)))
UNDECIDED = gate(
    (change("a/x", "inconclusive", text="two runs disagree"), *PASSING.changes),
    "inconclusive",
    sentence="Undecided: 1 inconclusive.",
    problems=("the run of 3.3.1 did not come to its end",),
)


def many(causes: int, each: int) -> GateResult:
    """A blocked gate of so many causes with so many cases each."""
    words = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    changes = tuple(
        broken(f"area/check[{word}-{i}]", f"kernel {word} is gone, seen at line {i}")
        for word in words[:causes]
        for i in range(each)
    )
    return gate(changes, "blocked", sentence=f"{len(changes)} cases are broken.")


@pytest.fixture(scope="module")
def full() -> str:
    return render(sample())


@pytest.mark.parametrize("result", [sample(), EMPTY, PASSING, UNDECIDED], ids=["full", "empty", "pass", "?"])
def test_every_section_is_there_and_every_link_leads_somewhere(result: GateResult) -> None:
    text = render(result)
    page = Page(text)
    ids = page.ids()
    assert len(ids) == len(set(ids)), "ids clash"
    assert set(SECTIONS) <= set(ids)
    assert {link[1:] for link in page.links() if link[:1] == "#"} <= set(ids)


def test_nothing_is_fetched_and_nothing_runs(full: str) -> None:
    for text in (full, render_matrix(matrix())):
        assert "default-src 'none'" in text
        for tag, attrs in Page(text).tags:
            assert tag not in ("script", "iframe", "object", "embed", "base", "form")
            for name, value in attrs.items():
                assert not name.startswith("on"), (tag, name)
                if name in ("src", "href", "srcset", "data") and tag != "a":
                    assert (value or "").startswith(("#", "data:")), (tag, name, value)
        assert not re.search(r"url\((?!#)", text)


def test_tables_and_drawings_are_readable_without_seeing_them(full: str) -> None:
    for text in (full, render_matrix(matrix())):
        page = Page(text)
        names = [tag for tag, _ in page.tags]
        assert names.count("table") == names.count("caption") >= 8
        assert all(a.get("scope") in ("row", "col") for tag, a in page.tags if tag == "th")
        assert names.count("main") == names.count("h1") == names.count("nav") == 1
        drawings = [a for tag, a in page.tags if tag == "svg"]
        assert all(a.get("aria-hidden") or (a.get("role") == "img" and a.get("aria-label")) for a in drawings)
        scrolls = [a for _, a in page.tags if "scroll" in (a.get("class") or "").split()]
        assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in scrolls)


def test_blocked_says_what_blocks_why_and_what_to_do(full: str) -> None:
    head = full[full.index("<header>") : full.index("</header>")]
    for needed in (
        "BLOCKED",
        "Paddle 2.6.2",
        "Paddle 3.3.1",
        "121 cases",
        "numerically worse in agreement/*",
    ):
        assert needed in head, needed
    blocking = section(full, "blocking")
    for needed in (
        "What blocks: 121 cases, 7 causes",
        "<b>63</b>",
        "old files",
        "paddle.jit.load refuses a .pdmodel",
        "and 62 more",
        "load it with the predictor",
        "broken = block",
        "1 more cause, 7 cases",
        "matches no change: remove it from gate.toml",
    ):
        assert needed in blocking, needed
    for item in sample().blocking:
        assert item.case in blocking
    assert "SIGSEGV" in blocking


def test_numbers_alone_do_not_make_another_cause() -> None:
    group = causes(many(5, 40).blocking)
    assert [len(cause.changes) for cause in group] == [40] * 5
    # The advice does; whose files they load and the area do not.
    apart = [broken("a/b", "x"), broken("b/c", "x", direction="rollback"), broken("a/d", "x", workaround="y")]
    assert [len(cause.changes) for cause in causes(apart)] == [2, 1]


def test_two_hundred_blocking_cases_stay_short() -> None:
    text = render(many(20, 10))
    blocking = section(text, "blocking")
    shown = blocking[: blocking.index('<details class="block">')]
    assert shown.count("<li>\n") == MOST_FIRST_CAUSES
    assert f"{20 - MOST_FIRST_CAUSES} more causes" in blocking
    assert len(text) < 600_000


def test_pass_and_inconclusive_say_so() -> None:
    passing = render(PASSING)
    assert "<title>PASS: Paddle 2.6.2 → Paddle 3.3.1</title>" in passing
    assert "Nothing blocks the upgrade" in section(passing, "blocking")
    assert "BLOCKED" not in passing
    undecided = render(UNDECIDED)
    assert "INCONCLUSIVE" in undecided
    assert "could not decide" in section(undecided, "blocking")
    assert undecided.index("did not come to its end") < undecided.index('id="blocking"')
    empty = render(EMPTY)
    assert "no case compared something under both releases" in section(empty, "blocking")
    assert "nothing is known to be unchanged" in section(empty, "changes")


def test_blocked_by_the_policy_alone_is_not_called_a_pass() -> None:
    text = render(gate(PASSING.changes, "blocked", sentence="Blocked by the policy.", problems=("stale",)))
    assert "No single case blocks" in section(text, "blocking")
    assert "stale" in section(text, "blocking")


def test_every_verdict_has_a_tile_and_identical_is_apart(full: str) -> None:
    changes = section(full, "changes")
    for verdict in VERDICTS:
        assert f"</span> {verdict}</span>" in changes, verdict
    assert f"{sample().identical}</b>" in changes
    assert f"of {sample().identical_of}</span>" in changes


def test_changes_are_told_with_both_sides_and_lead_to_the_runs(full: str) -> None:
    changes = section(full, "changes")
    assert 'href="baseline/index.html#cases"' in changes
    assert 'href="candidate/index.html#case-7"' in changes
    assert "0.43 → 7.40" in changes
    assert "OMP_NUM_THREADS" in changes
    assert "tolerance:" in changes


def test_what_is_the_same_is_folded_and_complete(full: str) -> None:
    changes = section(full, "changes")
    same = changes[changes.index('id="kind-same"') :]
    assert '<details class="block cases">' in same
    assert "agreement/outputs[lenet-static]" in same


def test_names_tell_the_two_apart() -> None:
    first = Subject("2.6.2", "2.6.2", "legacy-ir")
    new, old = Subject("3.3.1", "3.3.1", "pir"), Subject("3.3.1@legacy-ir", "3.3.1", "legacy-ir")
    assert page_views.subject_names(gate(baseline=first, candidate=new)) == ("Paddle 2.6.2", "Paddle 3.3.1")
    found = page_views.subject_names(gate(baseline=old, candidate=new))
    assert found == ("Paddle 3.3.1 (legacy-ir)", "Paddle 3.3.1 (pir)")
    wheel = Subject("/wheels/nightly.whl", "0.0.0", reused=True)
    head = render(gate(baseline=first, candidate=wheel)).partition("</header>")[0]
    assert "Candidate: <code>/wheels/nightly.whl</code> (an earlier run)." in head
    assert "Baseline:" not in head


@pytest.mark.parametrize(
    ("run", "link"),
    [
        ("baseline", "baseline/index.html"),
        ("runs/old run", "runs/old%20run/index.html"),
        ("/gate/baseline", "baseline/index.html"),
        ("/elsewhere/run", None),
        ("../run", None),
        ("javascript:alert(1)", None),
        ("", None),
    ],
)
def test_only_runs_inside_are_linked(run: str, link: str | None) -> None:
    result = gate(baseline=Subject("2.6.2", "2.6.2", run=run))
    assert page_views.links(result, Path("/gate")).get("baseline") == link


def test_grid_of_two_releases_has_formats_down_and_pairs_across(full: str) -> None:
    grid = section(full, "grid")
    for pair in ("2.6.2 → 2.6.2", "2.6.2 → 3.3.1", "3.3.1 → 2.6.2", "3.3.1 → 3.3.1"):
        assert f'<th scope="col">{pair}</th>' in grid
    assert "jit.save → jit.load" in grid
    assert "0/7" in grid
    assert "FLAGS_enable_pir_api=0" in grid


def test_release_against_itself_has_one_column() -> None:
    cells = (GridCell("jit", "3.3.1", "3.3.1", "pass", 4, 4, 4),)
    own = Subject("3.3.1", "3.3.1")
    grid = section(render(gate(baseline=own, candidate=own, grid=cells)), "grid")
    assert grid.count("3.3.1 → 3.3.1</th>") == 1


def test_zero_errors_and_lost_ones_are_drawn_at_the_edges() -> None:
    rows = (
        Numerics("a/zero", "", "m", "t", 0.0, 0.0),
        Numerics("a/lost", "old files", "m", "t", 0.2, None),
        Numerics("a/fine", "rollback", "m", "t", 0.2, 0.21),
    )
    text = section(render(gate(numerics=rows)), "numerics")
    assert ">≈ 0<" in text
    assert ">≥ 100<" in text
    assert "3 comparisons: 2 larger, 0 smaller, 1 unchanged, 1 past what is allowed" in text
    assert [row.case for row in page_views.outliers(rows)] == ["a/lost"]


def test_the_error_that_grew_most_is_named_first(full: str) -> None:
    named = [row.case for row in page_views.outliers(sample().numerics)]
    assert named[:2] == ["agreement/outputs[lstm-jit]", "agreement/outputs[lstm-predictor]"]
    assert all(f"<code>{case}</code>" in section(full, "numerics") for case in named)


def test_small_ticks_are_not_cut_to_nothing(full: str) -> None:
    assert ">10⁻³<" in section(full, "numerics")
    assert ">0.00<" not in full


def test_nine_curves_are_drawn_and_all_are_listed(full: str) -> None:
    curves = section(full, "curves")
    assert curves.count("<figure>") == 9
    assert "6 of 10 curves are the same to the last bit" in curves
    assert curves.count("<tr><th") == 11  # with the head
    first = curves[: curves.index("</figure>")]
    assert "differs from step 41" in first


def test_speed_is_shown_and_not_gated(full: str) -> None:
    speed = section(full, "speed")
    assert "Not gated." in speed
    assert "Only a paired measurement" in speed
    assert "lenet, batch 16" in speed


def test_drift_environment_models_and_acknowledged(full: str) -> None:
    for name, words in {
        "drift": ("model.pdiparams", "243.9 KiB", "create_predictor", "model.json", "np.bool8"),
        "models": ("needs 41 GiB", "shop/ranker", "1 with blocking cases, 2 not judged, 2 neither"),
        "environment": ("OMP_NUM_THREADS", "unintended", "slower, faster", "9b3c0e55d1aa"),
        "acknowledged": ("PaddleSlim 2.6 is not ported", "2026-03-31", "PaddleSlim/issues/1890", "7 cases"),
        "policy": ("gate.toml", "harness gate 2.6.2 3.3.1", "missing = block"),
    }.items():
        for word in words:
            assert word in section(full, name), (name, word)


@pytest.mark.parametrize("bad", [HOSTILE, HOSTILE * 100])
def test_hostile_text_stays_text(bad: str) -> None:
    sides: dict[str, Any] = {
        "before": Side("pass", "baseline", bad, bad, expected_failure=bad, issue="javascript:alert(1)"),
        "after": Side("error", "candidate", bad, bad, issue=bad),
    }
    every: dict[str, Any] = {
        **dict.fromkeys(("area", "model", "target", "title", "text", "rule", "workaround", "until"), bad),
        "drifts": (Drift("message", bad, bad, bad, 2.0),),
        "explained_by": (bad,),
    }
    changes: tuple[Change, ...] = (
        change(bad, "broken", blocks=True, **sides, **every),
        change(bad + "2", "missing", acknowledged=bad, issue="javascript:alert(1)", **sides, **every),
        change(bad + "3", **sides, **every),
    )
    cell = GridCell(bad, bad, bad, "crash", 2, 1, reason=bad, workaround=bad)
    result = gate(
        changes,
        "blocked",
        sentence=bad,
        rules=(bad,),
        command=bad,
        baseline=Subject(bad, bad, bad, bad, bad, bad),
        grid=(cell,),
        numerics=(Numerics(bad, "", bad, bad, 0.1, 3.0),),
        curves=(CurvePair(bad, bad, (1.0, None), (1.0, 2.0), 1, None),),
        warnings={"new": (bad,), "gone": (bad,)},
        differences=(Difference(bad, bad, bad, explains=(bad,)),),
        models=(ModelTotal(bad, True, bad, {"broken": 1}, 1, bad),),
        problems=(bad,) * 5,
        policy={bad: {bad: [bad, {bad: bad}]}},
    )
    crossed = MatrixResult(
        releases=(bad, "3.3.1"),
        cells=(cell, msgspec.structs.replace(cell, consumer="3.3.1")),
        started=bad,
        duration_s=1.0,
        command=bad,
        harness=bad,
        problems=(bad,),
        notes=(bad,),
    )
    for text in (render(result), render_matrix(crossed)):
        page = Page(text)
        assert not {"script", "img"} & {tag for tag, _ in page.tags}
        assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
        assert not any(link.startswith("javascript:") for link in page.links())
        assert "\x1b" not in text
        assert "\x00" not in text


def test_same_result_gives_the_same_bytes() -> None:
    assert render(sample()) == render(sample())


# in Chromium

FIRST_SCREEN = (
    "[d.querySelector('.stamp').textContent.trim(), d.querySelector('.stamp').getBoundingClientRect().bottom,"
    "[...d.querySelectorAll('.blocking > li')].filter(e => e.getBoundingClientRect().bottom <= 900"
    " && e.getBoundingClientRect().height > 0).length, d.querySelectorAll('details[open]').length].join('|')"
)


@needs_chromium
def test_first_screen_holds_the_verdict_and_what_blocks(full: str, tmp_path: Path) -> None:
    long = gate(
        (broken("area/check[x]", "word " * 400, workaround="another " * 100, rule="rule " * 50),),
        "blocked",
        sentence="sentence " * 60,
        rules=("a rule of the policy " * 10,) * 20,
        problems=("a fault of the gate " * 30,) * 20,
    )
    others = msgspec.structs.replace(sample(), models=())
    pages = (
        render(others),
        render(many(50, 4)),
        render(long),
        render(PASSING),
        render(UNDECIDED),
        render(EMPTY),
    )
    found = in_frames(tmp_path, [(text, 1280, 900) for text in pages], FIRST_SCREEN)
    rows = [line.split("|") for line in found]
    assert [row[0] for row in rows] == ["✕ BLOCKED"] * 3 + ["✓ PASS"] + ["? INCONCLUSIVE"] * 2
    assert all(0 < float(row[1]) < 200 for row in rows)
    visible = [int(row[2]) for row in rows]
    assert visible[0] >= 5
    assert visible[1] >= 5
    assert visible[2] == 1
    assert visible[3:] == [0, 0, 0]
    # Where models of one's own were judged, they come first.
    rows_of_own = "[...d.querySelectorAll('#models tbody tr')]"
    own = f"{rows_of_own}.filter(e => e.getBoundingClientRect().bottom < 900).length"
    assert int(in_frames(tmp_path, [(full, 1280, 900)], own)[0]) >= 3


@needs_chromium
@pytest.mark.parametrize(("result", "high"), [(sample(), 5000), (EMPTY, 900)], ids=["full", "empty"])
def test_no_page_overflows(result: GateResult, high: int, tmp_path: Path) -> None:
    found = sizes(tmp_path, render(result), 360, 1280)
    for width, (scroll, client, height) in zip((360, 1280), found, strict=True):
        assert client == width
        assert scroll <= width
        assert height >= high


@needs_chromium
def test_written_page_opens_dark(tmp_path: Path) -> None:
    page = write_page(render(sample(), tmp_path), tmp_path / "gate.html")
    shot = tmp_path / "shot.png"
    chromium(
        tmp_path / "profile",
        page,
        "--blink-settings=preferredColorScheme=0",
        "--window-size=1280,900",
        f"--screenshot={shot}",
    )
    pixels = np.asarray(imread(str(shot)))[..., :3]
    assert pixels.shape == (900, 1280, 3)
    assert pixels.mean() < 0.3
    assert len(np.unique((pixels * 255).astype(np.uint8).reshape(-1, 3), axis=0)) > 50
