"""Pages taken apart without a browser."""

from __future__ import annotations

from html.parser import HTMLParser

HOSTILE = (
    "<script>alert('x')</script><img src=x onerror=alert(1)>"
    '" onfocus="x\x1b[31mred\x1b[0m\x00&amp;</title></svg>'
)


class Page(HTMLParser):
    """Tags with their attributes, ids, and whether every element is closed where it should be."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def ids(self) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get("id"))]

    def links(self) -> set[str]:
        """Every address that an ``<a>`` leads to."""
        return {attrs.get("href") or "" for tag, attrs in self.tags if tag == "a"}


def section(text: str, name: str) -> str:
    """The section of a page that has this id."""
    start = text.index(f'<section id="{name}"')
    return text[start : text.index("</section>", start)]
