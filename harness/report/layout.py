"""What all pages share: the jinja environment, and a page written to its file."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.core.files import write_whole
from harness.report import tables, wording

OUTCOME_MARKS = {
    "pass": "✓",
    "fail": "✕",
    "error": "▲",
    "crash": "■",
    "timeout": "◆",
    "not-run": "○",
}


def write_page(text: str, path: Path) -> Path:
    """Write a page to ``path`` in one step, so that a reader never sees half of it.

    Returns:
        ``path``.

    Raises:
        HarnessError: the folder is missing or unwritable, or the disk is full.
    """
    # A lone surrogate that gets this far must not prevent the page.
    return write_whole(path, text.encode("utf-8", errors="replace"), "the report")


def page(template: str, whole: str, **content: Any) -> str:
    """Return a page as text: one HTML document that needs no other file and no script.

    ``whole`` names the file that holds in full what the page cuts short.
    """
    return templates(whole).get_template(f"{template}.html.j2").render(content)


@cache
def templates(whole: str) -> Environment:
    """Return the templates, with the filters of :mod:`harness.report.wording`.

    ``whole`` names the file that holds in full what the page cuts short.
    """
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_tame,
    )
    env.filters.update(
        number=wording.number,
        ratio=wording.ratio,
        size=wording.size,
        seconds=wording.seconds,
        clip=partial(wording.clip, whole=whole),
        moment=wording.moment,
        change=wording.change,
        percent=wording.percent,
        prose=wording.prose,
        mark=lambda outcome: OUTCOME_MARKS.get(outcome, "·"),
        measures=tables.measures,
        slug=lambda text: "".join(c if c.isalnum() else "-" for c in text.lower()),
        link=lambda text: text if text.startswith(("https://", "http://")) else "",
    )
    return env


def _tame(value: Any) -> Any:
    """Clean a value that the template prints, before it is escaped."""
    return wording.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
