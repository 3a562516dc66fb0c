"""The documents: what they link to is there, and the paths they name are real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.core.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "findings").glob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:harness|suites|tests|reference_models|findings|docs)/[\w./-]*)`")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Fragments of a page's headings, as GitHub makes them."""
    titles = (re.sub(r"[^\w\s-]", "", title.lower()) for title in HEADING.findall(text))
    return {title.strip().replace(" ", "-") for title in titles}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    bad = []
    for link in LINK.findall(page.read_text()):
        path, _, fragment = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in anchors(target.read_text())):
            bad.append(link)
    assert bad == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_paths_that_are_named_are_there(page: Path) -> None:
    bad = [path for path in NAMED.findall(page.read_text()) if not (ROOT / path).exists()]
    assert bad == []


def test_both_readmes_have_the_same_commands_and_output() -> None:
    """What is code in one stands in the other, in the same order; links lead to the same places."""
    code = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README_cn.md"))
    assert code.findall(english) == code.findall(chinese)
    assert LINK.findall(english)[:-1] == LINK.findall(chinese)[:-1]
    assert len(english.splitlines()) < 80, "two screens"
