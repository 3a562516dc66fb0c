"""The table of compressed models on the page of a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import in_frames, needs_chromium, sizes
from builders import record, write_run
from compression_builders import (
    CHECKS,
    KNOWN,
    RAISED,
    UNMADE,
    failed,
    int8,
    many,
    quantized,
)
from pages import HOSTILE, Page, section
from sample_run import accuracy, compressed

from harness.report import render
from harness.report.compression_views import LOOK, MOST_OPEN_METHODS

# The page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(write_run(tmp_path_factory.mktemp("r") / "run", [*many(), *compressed("prune-l1")]))


def test_every_row_is_there_once_with_its_links(page: str) -> None:
    text = section(page, "compression")
    parsed = Page(page)
    assert {link[1:] for link in parsed.links() if link[:1] == "#"} <= set(parsed.ids())
    chips = re.findall(r'<td class="why"><a href="#([\w-]+)"><span class="chip', text)
    assert len(chips) == 101
    assert sum(anchor.startswith("case-") for anchor in chips) > 50
    assert {anchor for anchor in chips if not anchor.startswith("case-")} <= {"cases", "not-run"}
    assert text.count('<th scope="row" rowspan="2">') == 50


def test_every_reason_leads_to_the_case_that_shows_it(tmp_path: Path) -> None:
    changes = {"quantized": quantized(3, 5), "later_runs": failed("run 2")}
    text = render(write_run(tmp_path / "run", compressed("qat-a", changes=changes)))
    table = section(text, "compression")
    links = dict(re.findall(r'<a href="#(case-\d+)">([\w ]+)</a>', table))
    assert set(links.values()) == {"second run differs", "weights left float in 2 of 5 layers"}
    for anchor, reason in links.items():
        finding = text[text.index(f'<article class="finding unexpected" id="{anchor}">') :]
        check = "later_runs" if "run" in reason else "quantized"
        assert f"compression/{check}[" in finding[: finding.index("</summary>")]
    (verdict,) = re.findall(r'<td class="why"><a href="#([\w-]+)">', table)
    assert links[verdict] == "second run differs"


def test_captions_name_release_and_profiles(page: str) -> None:
    text = section(page, "compression")
    assert "Post-training quantization on Paddle 3.3.1, pir and legacy-ir; accuracy on 1,000 digits" in text
    assert "with bounds at 99 %." in text
    assert "Pruning on Paddle 3.3.1, pir;" in text
    assert 'href="#compression"' in page[: page.index("</header>")]


def test_an_error_is_told_once(page: str, tmp_path: Path) -> None:
    text = section(page, "compression")
    # Once for each technique: a note that all its rows refer to.
    assert text.count("no such overload") == 3
    one = render(write_run(tmp_path / "run", [*compressed("qat-slim", changes={**UNMADE})]))
    assert section(one, "compression").count("no such overload") == 1
    assert 'class="notes' not in section(one, "compression")


def test_instead_is_told_beside_what_does_not_work(tmp_path: Path) -> None:
    changes = {check: {**RAISED, **KNOWN} for check in CHECKS}
    for folder, methods in (("one", ["qat-a"]), ("two", ["qat-a", "qat-b"])):
        records = [item for method in methods for item in compressed(method, changes=changes)]
        text = section(render(write_run(tmp_path / folder, records)), "compression")
        assert text.count("export under <code>FLAGS_enable_pir_api=0</code>") == 1


def test_numbers_stand_in_their_columns(tmp_path: Path) -> None:
    records = compressed("ptq-slim", lost=5, gained=3, latency=0.8)
    text = section(render(write_run(tmp_path / "run", records)), "compression")
    head = re.sub(r"<span.*?</span>", "", text[text.index("<thead>") : text.index("</thead>")])
    row = text[text.index("<tbody>") : text.index("</tbody>")]
    names = re.findall(r"<th[^>]*>(.*?)</th>", head)
    cells = [re.sub(r"<[^>]+>", " ", cell).split() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
    values = dict(zip(names[1:], cells, strict=True))
    assert values["Model"] == ["lenet", "pir"]
    assert values["Verdict"] == ["✓", "trust"]
    assert values["Accuracy"] == ["−0.20", "−0.90", "to", "+0.50"]
    assert (values["Size"], values["FLOPs"]) == (["0.27"], ["1.00"])
    assert values["Latency"] == ["0.80", "0.72–0.88"]
    assert values["Quantized"] == ["yes"]
    assert values["Real int8"] == ["−0.10", "−0.67", "to", "+0.47"]


def test_measurements_have_all_the_rest(tmp_path: Path) -> None:
    timed = {"ratio": 0.8, "batch": 32, "median_us": 7812.2, "memory_before_mib": 8.4, "memory_mib": 2.1}
    cost = {"elements_ratio": 1.0, "operators": {"quantize_linear": 10, "conv2d": 2}}
    changes = {"cost": {"parts": {"latency": timed, "cost": cost}}}
    text = section(render(write_run(tmp_path / "run", compressed("ptq-a", changes=changes))), "compression")
    table = text[text.index("All measurements in numbers") :]
    names = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", table)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", table)
    values = dict(zip(names[1:], cells, strict=True))
    assert values["Call"] == "paddleslim.quant.quant_post_static"
    assert (values["Lost, gained"], values["Weights, inputs of layers"]) == ("2, 2", "5, 5 of 5")
    assert (values["Scales"], values["Export"], values["Int8"]) == ("0.85–1.00", "0.20", "1.20")
    assert (values["Same class"], values["Int8 primitives"], values["Quantizers"]) == ("0.993", "8", "10")
    assert (values["Median, µs"], values["Batch"], values["Memory, MiB"]) == ("7812", "32", "8.4 → 2.1")


def test_columns_that_a_method_cannot_fill_are_left_out(tmp_path: Path) -> None:
    text = section(render(write_run(tmp_path / "run", compressed("prune-l1"))), "compression")
    head = text[: text.index("</thead>")]
    assert "Accuracy" in head
    assert not any(name in head for name in ("Latency<", "Quantized<", "Real int8<"))


def test_int8_that_fell_back_is_no_number(tmp_path: Path) -> None:
    changes = {"int8_kernels": int8(0, int8_accuracy=accuracy(0, 0))}
    text = section(render(write_run(tmp_path / "run", compressed("ptq-a", changes=changes))), "compression")
    assert '<td class="n">fell back</td>' in text


def test_the_best_flows_are_open_and_the_others_folded(page: str) -> None:
    text = section(page, "compression")
    ptq = text[text.index('id="methods-ptq"') : text.index('id="methods-weights"')]
    shown, _, folded = ptq.partition("<details")
    assert shown.count("<code>ptq-") == MOST_OPEN_METHODS
    assert folded.count("<code>ptq-") == 25 - MOST_OPEN_METHODS
    assert "13 more methods:" in folded
    verdicts = [verdict for verdict, (mark, _) in LOOK.items() if f"</span> {verdict}</span>" in shown]
    assert verdicts[0] == "trust"


def test_a_hundred_rows_are_cheap(page: str, tmp_path: Path) -> None:
    assert len(section(page, "compression")) < 130_000
    assert "No case of this run compressed a model." in render(write_run(tmp_path / "run", [record()]))


@pytest.mark.parametrize("bad", [HOSTILE, HOSTILE * 100])
def test_hostile_text_stays_text(tmp_path: Path, bad: str) -> None:
    who = {"technique": bad, "graph": bad, "api": bad, "profile": bad}
    seen = {"layers": 10**30, "weights": 3, "inputs": -4, "float": 0, "stored": [bad]}
    parts = {
        "accuracy": {**accuracy(3, 1), "standing": bad, "estimate": 1e300, "high": 1e300},
        "quantized": seen,
        "latency": {"ratio": 1e300, "low": -1e300},
        "int8": {"int8_primitives": {bad: 3}},
    }
    records = [
        record(f"compression/{check}[{bad}]", outcome, model=bad, method=bad, target=bad, reason=bad,
               workaround=bad, measures={"compression": {**who, **parts}})
        for check, outcome in ((bad, "fail"), ("quantized", "fail"), ("accuracy", "pass"))
    ]  # fmt: skip
    records += [record(f"compression/accuracy[{i}]", "error", model=bad, method=f"{bad}{i}", reason=bad,
                       workaround=bad) for i in range(2)]  # fmt: skip
    run = write_run(tmp_path / "run", records, environment={"paddle": {"version": bad}, "profile": bad})
    text = render(run)
    parsed = Page(text)
    assert not {"script", "img"} & {tag for tag, _ in parsed.tags}
    assert not any(name.startswith("on") for _, attrs in parsed.tags for name in attrs)
    assert "\x1b" not in text
    assert "\x00" not in text
    assert len(section(text, "compression")) < 60_000
    ids = parsed.ids()
    assert len(ids) == len(set(ids))


@needs_chromium
def test_a_telephone_shows_flow_and_verdict(page: str, tmp_path: Path) -> None:
    """At 360 pixels nothing overflows, and method, profile and verdict are seen without scrolling."""
    small = page[: page.index("<body>")] + "<body><div class='page'>" + section(page, "compression")
    small += "</section></div></body></html>"
    for width, (scroll, client, high) in zip((360, 1280), sizes(tmp_path, small, 360, 1280), strict=True):
        assert client == width
        assert scroll <= width
        assert high > 3000
    measure = (
        "Math.max(...[...d.querySelectorAll('.methods .chip')].map(e => e.getBoundingClientRect().right))"
        " + '|' + [...d.querySelectorAll('.methods')].map(e => { e.scrollLeft = 200;"
        " return e.querySelector('tbody th').getBoundingClientRect().left -"
        " e.getBoundingClientRect().left; }).join(',')"
    )
    (telephone,) = in_frames(tmp_path, [(small, 360, 900)], measure)
    right, _, lefts = telephone.partition("|")
    assert float(right) <= 360
    assert all(abs(float(left)) <= 2 for left in lefts.split(",") if left)
