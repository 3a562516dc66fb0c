"""The documents: links and paths lead somewhere, commands are real, and the site can be built."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from conftest import Command
from harness.cli.main import app
from harness.core.paths import ROOT

FOLDERS = ("docs", "examples", "findings")
PAGES = sorted([*ROOT.glob("*.md"), *(p for name in FOLDERS for p in (ROOT / name).rglob("*.md"))])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:harness|suites|tests|reference_models|findings|docs|examples)/[\w./-]*)`")
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


# The commands

FENCED = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:harness|pytest) [^`\n]+)`")
SEPARATORS = {"&&", "||", "|", ";"}
SHORT = {"--help", "--version", "doctor", "list", "env list"}
"""Commands of `harness` that take about a second, and need nothing of the reader's."""
READERS_OWN = {"--python", "--dataset", "--add-model", "--producer"}
"""Options of pytest whose values the documents leave to the reader."""
OTHER_TESTS = {"tests/", "full", "examples/own_check/tests"}
"""What other tests collect: all of them run now, and tests/extension installs the example."""


class Line(NamedTuple):
    """A command of the documents: what it starts, what it is given, and whether it is whole."""

    program: str
    words: tuple[str, ...]
    whole: bool

    @classmethod
    def of(cls, words: list[str], whole: bool) -> Line | None:
        """None for other programs than the harness and pytest."""
        program = words[0].removeprefix(".venv/bin/") if words else ""
        return cls(program, tuple(words[1:]), whole) if program in ("harness", "pytest") else None

    @property
    def own(self) -> list[str]:
        """What the program itself reads: pytest gets what stands behind ``--``."""
        return list(self.words[: self.words.index("--")] if "--" in self.words else self.words)

    @property
    def behind(self) -> list[str]:
        return list(self.words[len(self.own) + 1 :])


def commands_of(text: str) -> Iterator[Line | None]:
    """Every command of a page's blocks, and those that its sentences name."""
    for block in FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if word in SEPARATORS:
                    yield Line.of(words, whole=True)
                    words = []
                else:
                    words.append(word)
    for words in map(shlex.split, INLINE.findall(text)):
        yield Line.of(words, whole=False)


def text_of(line: Line) -> str:
    return shlex.join((line.program, *line.words))


# A changelog speaks of commands as they were. One that a sentence repeats counts where it is whole.
FOUND = sorted({
    line for page in PAGES if page.name != "CHANGELOG.md" for line in commands_of(page.read_text()) if line
})  # fmt: skip
LINES = list({text_of(line): line for line in FOUND}.values())


def of_pytest(line: Line) -> list[str]:
    """The arguments that pytest gets."""
    return list(line.words) if line.program == "pytest" else line.behind


def test_commands_are_found_in_the_documents() -> None:
    found = set(map(text_of, LINES))
    tests = "pytest tests/ -n 2 --dist loadfile"
    assert {"harness doctor", "harness gate 2.6.2 3.3.1", tests, "harness env list"} <= found
    assert sum(line.whole for line in LINES) > 40


def check_harness(line: Line) -> None:
    """By the parser of `harness` itself; what a sentence names may leave out what a command needs."""
    command: Any = typer.main.get_command(app)
    name, words = line.program, line.own
    while words and not words[0].startswith("-") and hasattr(command, "get_command"):
        context = command.make_context(name, [], resilient_parsing=True)
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name}"
    if line.whole:
        command.make_context(name, [*words, *(("--", *line.behind) if line.behind else ())])
    known = {"--help"}.union(*([*parameter.opts, *parameter.secondary_opts] for parameter in command.params))
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known
    files = [word for word in words if NAMED.fullmatch(f"`{word}`") and "NAME" not in word]
    assert [path for path in files if not (ROOT / path).exists()] == []


def check_pytest(line: Line, config: pytest.Config) -> None:
    """By pytest's parser with the plugin's options, which the running one has."""
    parsed = config._parser.parse([word for word in of_pytest(line) if word != "--help"])
    paths = [] if parsed.pyargs else [path.partition("::")[0] for path in parsed.file_or_dir]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("line", LINES, ids=text_of)
def test_command_has_its_options_arguments_and_files(line: Line, pytestconfig: pytest.Config) -> None:
    if line.program == "harness":
        check_harness(line)
    check_pytest(line, pytestconfig)


@pytest.mark.parametrize(
    "text",
    [
        "harness gat 2.6.2 3.3.1", "harness env lst", "harness list flaws", "harness gate 2.6.2",
        "harness gate 2.6.2 3.3.1 --nope", "harness bisect findings/nowhere.py --good 2.6.2 --bad 3.3.1",
        "harness matrix -- --nope", "pytest suites/ --nope", "pytest suites/ --tier huge",
        "cd x && .venv/bin/pytest suites/test_nowhere.py",
    ],
)  # fmt: skip
def test_wrong_command_is_noticed(text: str, pytestconfig: pytest.Config) -> None:
    (line,) = filter(None, commands_of(f"```sh\n{text}  # a remark\n```\n"))
    # Typer's errors, pytest's and the assertions have no class in common.
    with pytest.raises(
        Exception, match=r"(?i)no such|no command|missing|invalid|not one of|unrecognized|assert"
    ):
        test_command_has_its_options_arguments_and_files(line, pytestconfig)


def is_short(line: Line) -> bool:
    if line.program == "pytest":
        words = {word.partition("=")[0] for word in line.words}
        return line.whole and not words & (READERS_OWN | OTHER_TESTS)
    return any(" ".join(line.words[: len(name.split())]) == name for name in SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in LINES if is_short(line)], ids=text_of)
def test_short_command_runs(line: Line, python: str, command: Command) -> None:
    """pytest only collects, which is where unknown models, targets and claims are refused."""
    module, more = ("pytest", ("--co", "-q")) if line.program == "pytest" else ("harness.cli", ())
    done = command(ROOT, module, *line.words, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


# The site

SITE = ("mkdocs.yml", ".ci", "action.yml", *FOLDERS, *(page.name for page in ROOT.glob("*.md")))
"""What the site is built from."""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of what the site is built from."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip(f"{sys.executable} has no mkdocs: install the project's docs extra to run this test")
    folder = tmp_path / "sources"
    for name in SITE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, folder / name)
    return folder


def built(sources: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)


def test_every_page_is_on_the_site_and_its_links_lead_somewhere(sources: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = built(sources, site)
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        path = page.relative_to(ROOT)
        name = "index" if path.stem == "README" else path.stem
        assert (site / path.with_name(f"{name}.html")).is_file()
    bad = []
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue  # its links are the server's
        for link in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text()):
            if ":" not in link and not (page.parent / link).exists():
                bad.append(f"{page.relative_to(site)}: {link}")
    assert bad == []
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="\w+:', (site / "index.html").read_text()), (
        "it is read offline"
    )


@pytest.mark.parametrize("link", ["nowhere.md", "speed.md#no-such-heading", "../README.md#no-such-heading"])
def test_site_with_a_broken_link_is_not_built(sources: Path, tmp_path: Path, link: str) -> None:
    with (sources / "docs" / "guide.md").open("a") as page:
        page.write(f"\n[broken]({link})\n")
    done = built(sources, tmp_path / "site")
    assert done.returncode != 0
    assert f"contains a link '{link}'" in done.stderr
