"""What of pip's configuration reaches uv, with real files, indexes and a real uv and pip."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.packages import wheel

from harness.core.errors import HarnessError
from harness.environments import index, pip_configuration, uv
from sources.conftest import WORD_IN_URL, Configure, added, downloaded, made, simple, taken

HERE = uv.Interpreter(sys.executable, platform.python_version())


# Which of several sources


SPREAD = {
    "newer": (("1.0",), ("2.0",), (), "2.0 last"),
    "older": (("2.0",), ("1.0",), (), "2.0 usual"),
    "alike": (("1.0",), ("1.0",), (), "1.0 last"),
    "linked": (("1.0",), ("2.0",), ("3.0",), "3.0 links"),
    "unlinked": (("1.0",), (), ("0.5",), "1.0 usual"),
}
"""Packages: their versions in the usual index, in both extra ones and in the folder; which one is taken."""


def test_uv_takes_what_pip_takes(configure: Configure, tmp_path: Path) -> None:
    """Of two extra indexes with the same, the last one counts."""
    folder = tmp_path / "links"
    for name, (usual, extra, links, _) in SPREAD.items():
        for place, versions in (("usual", usual), ("first", extra), ("last", extra)):
            simple(tmp_path / place, *versions, name=name)
        for version in links:
            wheel(folder, name, version, text="FROM = 'links'\n")
    uris = {place: (tmp_path / place / "simple").as_uri() for place in ("usual", "first", "last")}
    configure(
        f"[global]\nindex-url = {uris['usual']}\nextra_index_url = {uris['first']}\n\t{uris['last']}\n"
        f"find-links = {folder}\n"
    )
    of_pip = downloaded(tmp_path, *SPREAD)
    (site,) = (made(tmp_path / "root", *SPREAD) / "lib").glob("python3.*/site-packages")
    for name, (*_, expected) in SPREAD.items():
        found = zipfile.ZipFile(of_pip[name]).read(f"{name}.py").decode()
        assert re.findall(r"'(.*)'", found) == expected.split(), name
        assert (site / f"{name}.py").read_text() == found


def test_paddle_is_taken_from_its_own_index_alone(configure: Configure, tmp_path: Path) -> None:
    """Every source that pip knows has a newer one of it, and the own index a newer one of something else."""
    own = simple(tmp_path / "own", "1.0", "1.1.dev1")
    simple(tmp_path / "own", "9.0", name="other")
    sources = [tmp_path / name for name in ("usual", "extra")]
    for source in sources:
        simple(source, "9.0")
        simple(source, "2.0" if source.name == "extra" else "1.0", name="other")
    usual, extra = ((source / "simple").as_uri() for source in sources)
    text = f"[global]\nindex-url = {usual}\nextra-index-url = {extra}\nfind-links = {sources[0] / 'wheels'}\n"
    for more, other in (("", "2.0"), ("no-index = true\n", "1.0")):
        configure(text + more)
        project = tmp_path / "pyproject.toml"
        project.write_text(index.project_text(("mini==1.0", "other"), "mini", own.as_uri()))
        compiled = ("pip", "compile", "-q", "--no-header", "--no-annotate", str(project))
        answer = uv.run(*compiled, cwd=tmp_path, what="x")
        assert answer.text.split() == ["mini==1.0", f"other=={other}"]
        assert index.newest(own.as_uri(), "mini", HERE).text == "1.1.dev1"


def test_no_index_leaves_folders_of_wheels(configure: Configure, tmp_path: Path) -> None:
    usual, folder = simple(tmp_path / "usual", "2.0"), tmp_path / "links"
    wheel(folder, "mini", "1.0")
    text = f"[global]\nindex-url = {usual.as_uri()}\nfind-links = {folder}\nno-index = "
    configure(text + "off\n")
    assert taken(tmp_path) == "mini==2.0"
    configure(text + "on\n")
    assert taken(tmp_path) == "mini==1.0"


def test_places_as_pip_understands_them(
    alone: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is not there is passed over; the others are told so that uv finds them from anywhere."""
    names = ("here", "at,home", "by name")
    for number, name in enumerate(names):
        wheel(tmp_path / name, "mini", f"{number}.0")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    usual = simple(tmp_path / "usual", "0.1")
    places = ["here", "~/at,home", (tmp_path / "by name").as_uri(), "/no/such", "file:///no/such", "x.org/w"]
    alone(f"[global]\nfind-links = {' '.join(places)}\nindex-url = usual/simple\nextra-index-url = /no/such")
    uris = [(tmp_path / name).as_uri().replace(",", "%2C") for name in names]
    assert added() == {
        "UV_FIND_LINKS": ",".join(uris),
        "UV_DEFAULT_INDEX": usual.as_uri(),
        "UV_INDEX": "file:///no/such",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    found = [taken(tmp_path, f"mini<{limit}") for limit in ("9", "2", "1", "0.1")]
    assert found == ["mini==2.0", "mini==1.0", "mini==0.1", "mini==0.0"]


def test_nothing_else_is_taken(configure: Configure, tmp_path: Path) -> None:
    """The constraint holds for pip, which shows that the file is read, and not for what is made here."""
    usual = simple(tmp_path / "usual", "1.0", "2.0", "3.0.dev1")
    (tmp_path / "constraints.txt").write_text("mini<2\n")
    text = f"[global]\nindex-url = {usual.as_uri()}\nconstraint = {tmp_path / 'constraints.txt'}\n"
    configure(text)
    assert downloaded(tmp_path, "mini")["mini"].name == "mini-1.0-py3-none-any.whl"
    assert taken(tmp_path) == "mini==2.0"
    configure(
        f"{text}no-binary = mini\npre = true\nrequire-hashes = true\nplatform = win32\ntarget = /nowhere\n"
        "prefer-binary = true\nkeyring-provider = import\ntimeout = 0\nno-deps = true\nno-cache-dir = true\n"
    )
    assert taken(tmp_path) == "mini==2.0"
    assert set(added()) <= {"UV_DEFAULT_INDEX", "SSL_CERT_FILE"}, "the latter is this machine's"


# Who says it


def test_files_are_those_that_pip_reads(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"/etc/xdg{os.pathsep}{tmp_path}")
    existing = configure("[global]\ntimeout = 9\n")
    for named in (None, str(existing), str(tmp_path / "not there")):
        if named is None:
            monkeypatch.delenv("PIP_CONFIG_FILE")
        else:
            monkeypatch.setenv("PIP_CONFIG_FILE", named)
        told = subprocess.run(
            [sys.executable, "-m", "pip", "config", "debug"], capture_output=True, text=True, check=True
        ).stdout
        listed = re.findall(r"^  (/.*), exists: ", told, re.MULTILINE)
        files = pip_configuration.files()
        assert sorted(files) == sorted(listed)
        assert files.index(f"{tmp_path}/pip/pip.conf") < files.index("/etc/pip.conf")
        assert files.index("/etc/pip.conf") < files.index(f"{sys.prefix}/pip.conf")
        assert named is None or files[-1] == named
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert pip_configuration.files() == [], "pip lists them all the same, and reads none"


def test_variables_before_the_section_of_the_command_before_the_one_for_all(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak, strong = tmp_path / "weak.conf", tmp_path / "strong.conf"
    weak.write_text("[install]\nindex-url = http://install\nproxy = p1\n[global]\ncert = /1\nproxy = p0\n")
    strong.write_text("[global]\nindex-url = http://global\n--Cert = /2\n[download]\nproxy = p2\n")
    monkeypatch.setattr(pip_configuration, "files", lambda: [str(weak), "/not/there", str(strong)])
    expected = {"index-url": "http://install", "proxy": "p1", "cert": "/2"}
    assert pip_configuration.settings() == expected
    monkeypatch.setenv("PIP_PYPI_URL", "http://variable")
    monkeypatch.setenv("PIP_PROXY", "")
    assert pip_configuration.settings() == {**expected, "index-url": "http://variable"}


EVERYTHING = (
    "[global]\nindex-url = http://a\nextra-index-url = http://b http://c\nfind-links = http://d/,\n http://e\n"
    "trusted-host = e\nkeyring-provider = subprocess\n"
)


def test_what_uv_was_told_goes_first(alone: Configure) -> None:
    alone(EVERYTHING)
    everything = {
        "UV_DEFAULT_INDEX": "http://a", "UV_INDEX": "http://c http://b",
        "UV_INDEX_STRATEGY": "unsafe-best-match", "UV_FIND_LINKS": "http://d/%2C,http://e",
        "UV_INSECURE_HOST": "e", "UV_KEYRING_PROVIDER": "subprocess",
    }  # fmt: skip
    assert added() == everything

    def without(*names: str) -> dict[str, str]:
        return {name: value for name, value in everything.items() if name not in names}

    indexes = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_STRATEGY")
    for told, left in (
        ("UV_DEFAULT_INDEX", without(*indexes)),
        ("UV_INDEX_URL", without(*indexes)),
        ("UV_INDEX", without(*indexes[1:])),
        ("UV_EXTRA_INDEX_URL", without(*indexes[1:])),
        *((name, without(name)) for name in ("UV_INDEX_STRATEGY", "UV_FIND_LINKS", "UV_INSECURE_HOST")),
        ("UV_KEYRING_PROVIDER", without("UV_KEYRING_PROVIDER")),
    ):
        assert added(**{told: "own"}) == {**left, told: "own"}
    assert added(UV_DEFAULT_INDEX="") == everything, "nothing is told by nothing"


def test_what_uv_was_told_by_its_own_file_goes_first(
    alone: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_pip, of_uv = (simple(tmp_path / name, version) for name, version in (("pip", "2.0"), ("uv", "1.0")))
    folder = tmp_path / "config" / "uv"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    alone(f"[global]\nindex-url = {of_pip.as_uri()}\n")
    assert taken(tmp_path) == "mini==2.0"
    for text in (
        f'index-url = "{of_uv.as_uri()}"',
        f'[pip]\nindex-url = "{of_uv.as_uri()}"',
        f'[[index]]\nurl = "{of_uv.as_uri()}"\ndefault = true',
    ):
        (folder / "uv.toml").write_text(text)
        assert taken(tmp_path) == "mini==1.0", text
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    assert taken(tmp_path) == "mini==2.0"
    monkeypatch.delenv("UV_NO_CONFIG")
    monkeypatch.setenv("UV_CONFIG_FILE", str(folder / "uv.toml"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert taken(tmp_path) == "mini==1.0"
    monkeypatch.delenv("UV_CONFIG_FILE")
    (folder / "uv.toml").write_text("find-links = []\n[[index]]\nurl = 'http://x'\n")
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(folder.parent))
    alone(EVERYTHING)
    assert set(added()) == {"UV_DEFAULT_INDEX", "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER"}


def test_broken_file_is_a_sentence_without_its_line(configure: Configure, tmp_path: Path) -> None:
    path = configure(f"index-url = https://{WORD_IN_URL}@127.0.0.1:9/\n")
    with pytest.raises(HarnessError) as raised:
        taken(tmp_path)
    assert str(raised.value).startswith(f"pip's configuration {path} is broken: correct it")
    assert raised.value.__suppress_context__, "its cause repeats the line"
    assert "s3cr3t" not in str(raised.value)
