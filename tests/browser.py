"""Headless Chromium for the tests of pages."""

from __future__ import annotations

import html
import shutil
import subprocess
from pathlib import Path

import pytest

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


def in_frames(folder: Path, frames: list[tuple[str, int, int]], expression: str) -> list[str]:
    """A JavaScript expression over pages that were laid out, its value as text for each.

    Measured in frames, as headless Chromium has no window narrower than 500 pixels.

    Args:
        frames: text of each page, and the width and height of its window in pixels.
        expression: may use ``d``, the page's document.
    """
    outer = folder / "outer.html"
    shown = "".join(
        f'<iframe width="{width}" height="{height}" style="border:0" srcdoc="{html.escape(text)}"></iframe>'
        for text, width, height in frames
    )
    outer.write_text(
        f'<meta charset="utf-8"><body style="margin:0">{shown}<script>addEventListener("load", () => {{'
        "const all = [...document.querySelectorAll('iframe')];"
        "const value = all.map(f => { const d = f.contentDocument; return String(" + expression + "); });"
        'document.body.textContent = "[[" + value.join("]][[") + "]]";'
        "})</script>",
        encoding="utf-8",
    )
    dom = chromium(folder / "frames-profile", outer, "--window-size=1400,1000", "--dump-dom")
    found = html.unescape(dom.rpartition("<body")[2]).split("[[")[1:]
    assert len(found) == len(frames), dom[-500:]
    return [value.partition("]]")[0] for value in found]


SIZES = (
    "`${d.documentElement.scrollWidth} ${d.documentElement.clientWidth} ${d.documentElement.scrollHeight}`"
)
"""Width of the content, width of the window, height of the content."""


def sizes(folder: Path, text: str, *widths: int) -> list[tuple[int, int, int]]:
    """:data:`SIZES` of a page in windows of these widths, with everything unfolded that can be."""
    unfolded = text.replace("<details", "<details open")
    found = in_frames(folder, [(unfolded, width, 900) for width in widths], SIZES)
    return [(int(a), int(b), int(c)) for a, b, c in (line.split() for line in found)]
