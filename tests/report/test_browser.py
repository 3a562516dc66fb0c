"""The page in a real browser: light, dark, width; and the contrast of its colours."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from browser import chromium, needs_chromium, sizes
from builders import write_run
from matplotlib.image import imread
from sample_run import sample

from harness.report import render, write_report

CSS = Path(__file__).parents[2] / "harness" / "report" / "templates" / "report.css"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    return write_report(write_run(folder / "full", sample(), exit_status=1), folder / "page.html")


@needs_chromium
def test_light_and_dark(page: Path, tmp_path: Path) -> None:
    shots = {}
    # Blink's enumeration: 0 is dark, 1 is light.
    for scheme, number in (("dark", 0), ("light", 1)):
        shot = tmp_path / f"{scheme}.png"
        chromium(
            tmp_path / scheme,
            page,
            f"--blink-settings=preferredColorScheme={number}",
            "--window-size=1280,1600",
            f"--screenshot={shot}",
        )
        shots[scheme] = np.asarray(imread(str(shot)))[..., :3]
    for pixels in shots.values():
        assert pixels.shape == (1600, 1280, 3)
        assert len(np.unique((pixels * 255).astype(np.uint8).reshape(-1, 3), axis=0)) > 50
    assert shots["light"].mean() > 0.8
    assert shots["dark"].mean() < 0.3


@needs_chromium
def test_verdict_is_in_the_document_without_scripts(page: Path, tmp_path: Path) -> None:
    dom = chromium(tmp_path / "profile", page, "--dump-dom")
    assert "Paddle 3.3.1 does not pass: 2 unexpected results (1 fail, 1 crash)" in dom


@needs_chromium
def test_page_does_not_overflow(page: Path, tmp_path: Path) -> None:
    """Unfolded, so that what a reader may open is measured too."""
    widths = (1280, 400)
    found = sizes(tmp_path, page.read_text(encoding="utf-8"), *widths)
    for width, (scroll, client, high) in zip(widths, found, strict=True):
        assert client == width
        assert scroll <= width
        assert high > 3000


@needs_chromium
def test_paper_shows_what_is_folded(tmp_path: Path) -> None:
    """Printing unfolds: a run of many folded cases takes more pages than the screen's view."""
    text = render(write_run(tmp_path / "run", list(sample())[3:]))
    sizes = {}
    for name, version in (
        ("unfolded", text),
        (
            "folded",
            text.replace("details::details-content", "x").replace("details:not([open])", "x"),
        ),
    ):
        source, pdf = tmp_path / f"{name}.html", tmp_path / f"{name}.pdf"
        source.write_text(version, encoding="utf-8")
        chromium(tmp_path / name, source, f"--print-to-pdf={pdf}")
        sizes[name] = len(re.findall(rb"/Type /Page\b", pdf.read_bytes()))
    assert sizes["unfolded"] > sizes["folded"] >= 3, sizes


def _palettes() -> dict[str, dict[str, str]]:
    """Scheme -> variable -> ``#rrggbb``, each scheme completed by the light one."""
    text = CSS.read_text(encoding="utf-8")
    blocks = re.findall(r":root\s*\{(.*?)\}", text, flags=re.DOTALL)
    assert len(blocks) == 3
    light, dark, paper = (
        {k: v if len(v) == 7 else "#" + "".join(c * 2 for c in v[1:]) for k, v in pairs}
        for pairs in (re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b", block) for block in blocks)
    )
    return {"light": light, "dark": {**light, **dark}, "print": {**light, **paper}}


def _contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two ``#rrggbb`` colours, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_contrast_is_aa(scheme: str) -> None:
    colours = _palettes()[scheme]
    text = [(ink, under) for ink in ("ink", "soft", "link") for under in ("paper", "card", "sunk")]
    text += [(name, f"{name}-bg") for name in ("good", "bad", "warn", "calm")]
    text += [("fig-ink", "card"), *(("card", stamp) for stamp in ("good", "bad", "warn"))]
    text += [(ink, f"{cell}-bg") for ink in ("ink", "link") for cell in ("good", "bad")]
    for ink, under in text:
        assert _contrast(colours[ink], colours[under]) >= 4.5, (ink, under)
    for line in ("fig-first", "fig-second", "fig-third", "fig-fourth", "fig-bad", "fig-soft", "focus"):
        assert _contrast(colours[line], colours["card"]) >= 3, line
