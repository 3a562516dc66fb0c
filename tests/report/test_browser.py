"""The page in a real browser: light, dark, width; and the contrast of its colours."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from builders import write_run
from matplotlib.image import imread
from sample_run import sample

from harness.report import render, write_report

CSS = Path(__file__).parents[2] / "harness" / "report" / "templates" / "report.css"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")


def chromium(profile: Path, page: Path, *options: str) -> str:
    """Standard output of one headless run with a fresh profile."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


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
@pytest.mark.parametrize("width", [1280, 400])
def test_page_does_not_overflow(page: Path, tmp_path: Path, width: int) -> None:
    """Measured in a frame, as headless Chromium has no window narrower than 500 pixels."""
    # Unfolded, so that what a reader may open is measured too.
    inner = page.read_text(encoding="utf-8").replace("<details", "<details open")
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<body style="margin:0"><iframe width="{width}" height="900" style="border:0" '
        f'srcdoc="{html.escape(inner)}"></iframe><script>addEventListener("load", () => {{'
        "const e = frames[0].document.documentElement;"
        "document.body.textContent = `${e.scrollWidth} of ${e.clientWidth}, ${e.scrollHeight} high`"
        "})</script>",
        encoding="utf-8",
    )
    dom = chromium(tmp_path / "profile", outer, "--window-size=1400,1000", "--dump-dom")
    found = re.search(r"(\d+) of (\d+), (\d+) high", dom)
    assert found, dom[:500]
    scroll, client, high = map(int, found.groups())
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
    text += [("fig-ink", "card")]
    for ink, under in text:
        assert _contrast(colours[ink], colours[under]) >= 4.5, (ink, under)
    for line in ("fig-first", "fig-second", "fig-bad", "fig-soft", "focus"):
        assert _contrast(colours[line], colours["card"]) >= 3, line
