"""An index of one's own, named in pip's configuration alone: uv reaches it, and no password is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from support.packages import Served, proxy, served

from conftest import child_environment
from harness.core.errors import HarnessError
from harness.environments import uv
from harness.environments.credentials import without_passwords
from harness.environments.manifest import MANIFEST, read
from sources.conftest import WORD, WORD_IN_URL, Configure, added, made, simple, taken


def test_https_index_with_its_own_authority_and_a_password(
    configure: Configure, site: Served, pem: Path, tmp_path: Path
) -> None:
    text = f"[global]\nindex-url = https://{WORD_IN_URL}@127.0.0.1:{site.port}/\ncert = {pem}\n"
    configure(text)
    path = made(tmp_path / "root", "mini")
    manifest = read(path)
    assert manifest is not None
    assert manifest.packages == {"mini": "1.0"}
    assert "/mini/" in site.asked
    kept = [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    assert path / MANIFEST in kept
    assert not [file for file in kept if b"s3cr3t" in file.read_bytes()]


def test_a_command_makes_an_environment_from_there_and_tells_no_password(
    configure: Configure, site: Served, pem: Path, tmp_path: Path
) -> None:
    """All of Paddle is too much for an index of the test's: the sentence says what it lacks."""
    configure(f"[install]\nindex-url = https://{WORD_IN_URL}@127.0.0.1:{site.port}/\ncert = {pem}\n")
    make = ("-m", "harness.cli", "env", "make", "3.3.1", "--folder", str(tmp_path / "root"))
    done = subprocess.run(
        [sys.executable, *make], env=child_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout
    assert "/paddlepaddle/" in site.asked
    assert "3.3.1 for Python 3" in done.stderr
    assert "cannot be installed: " in done.stderr
    assert "was not found in the package registry" in done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr


def test_unknown_authority_is_a_sentence_that_says_what_to_do(
    alone: Configure, site: Served, tmp_path: Path
) -> None:
    alone(f"[global]\nindex-url = https://{WORD_IN_URL}@127.0.0.1:{site.port}/\n")
    with pytest.raises(uv.Unreachable) as raised:
        taken(tmp_path)
    said = str(raised.value).replace("`", "")
    url = f"https://127.0.0.1:{site.port}/mini/"
    assert said.startswith(f"cannot reach the package index: Failed to fetch: {url} (invalid peer cert")
    assert "name the index's authority in pip's configuration (cert) or in SSL_CERT_FILE" in said
    assert len(said.splitlines()) == 1


def test_trusted_host_needs_no_authority(alone: Configure, site: Served, tmp_path: Path) -> None:
    """What uv cannot read as a host is no reason to stop."""
    index_url = f"index-url = https://{WORD_IN_URL}@127.0.0.1:{site.port}/"
    alone(f"[global]\n{index_url}\ntrusted-host = [::1]:8\n  127.0.0.1:{site.port}\n")
    assert taken(tmp_path) == "mini==1.0"


def test_certificate_of_ones_own(
    configure: Configure, authority: trustme.CA, pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both paths are told as a shell's user would: from home, and from where the command is called."""
    folder = simple(tmp_path / "own", "1.0")
    own = authority.issue_cert("me@example.org").private_key_and_cert_chain_pem
    own.write_to_path(str(tmp_path / "me.pem"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with served(folder, certificate=authority.issue_cert("127.0.0.1"), clients=authority) as site:
        text = f"[global]\nindex-url = https://127.0.0.1:{site.port}/\ncert = {pem.name}\n"
        configure(text)
        with pytest.raises(uv.Unreachable):
            taken(elsewhere)
        configure(text + "client-cert = ~/me.pem\n")
        assert taken(elsewhere) == "mini==1.0"


def test_authority_by_variable_and_a_folder_of_them(
    alone: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone("")
    monkeypatch.setenv("PIP_CERT", "/of/pip.pem")
    assert added() == {"SSL_CERT_FILE": "/of/pip.pem"}
    assert added(SSL_CERT_FILE="/own.pem") == {"SSL_CERT_FILE": "/own.pem"}
    monkeypatch.setenv("PIP_CERT", str(tmp_path))
    assert added() == {"SSL_CERT_DIR": str(tmp_path)}
    assert added(SSL_CERT_FILE="/own.pem") == {"SSL_CERT_FILE": "/own.pem"}


def test_proxy_goes_before_the_one_of_the_variables(
    configure: Configure, site: Served, pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_url = f"index-url = https://{WORD_IN_URL}@127.0.0.1:{site.port}/"
    text = f"[global]\n{index_url}\ncert = {pem}\n"
    for name, value in (("https_proxy", "http://127.0.0.1:9"), ("NO_PROXY", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    with proxy() as between:
        configure(text)
        assert taken(tmp_path) == "mini==1.0"
        assert between.asked == []
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another"))
        configure(f"{text}proxy = joe:pr0xy@127.0.0.1:{between.port}\n")
        assert taken(tmp_path) == "mini==1.0"
        assert set(between.asked) == {f"joe:pr0xy@127.0.0.1:{site.port}"}
    with pytest.raises(uv.Unreachable) as raised:
        taken(tmp_path, "mini>1.0")
    assert "pr0xy" not in str(raised.value)


def test_proxy_of_the_variables_may_be_refused(alone: Configure) -> None:
    alone("[global]\nno-proxy-env = yes\n")
    assert added(HTTPS_PROXY="http://p", http_proxy="http://p", NO_PROXY="x", HOME="/") == {"HOME": "/"}


# What is not said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"https://{WORD_IN_URL}@127.0.0.1:9/x", "https://127.0.0.1:9/x/mini/"),
        (f"https://{WORD}@127.0.0.1:9/x", "https://127.0.0.1:9/x"),
        ("https://s3cr3t@127.0.0.1:9/x", "https://127.0.0.1:9/x/mini/"),
        (f"https://{WORD_IN_URL}@127.0.0.1:port/x", "'https://127.0.0.1:port/x'"),
        ("https://mia:s3cr3t/s3cr3t@127.0.0.1:9", "'https://127.0.0.1:9'"),
    ],
)
@pytest.mark.parametrize("option", ["index-url", "extra-index-url", "find-links"])
def test_failing_index_is_told_without_its_password(
    alone: Configure, tmp_path: Path, option: str, url: str, said: str
) -> None:
    usual = f"index-url = {simple(tmp_path / 'usual', '1.0', name='other').as_uri()}\n"
    alone(f"[global]\n{usual if option != 'index-url' else ''}{option} = {url}\n")
    with pytest.raises(HarnessError) as raised:
        taken(tmp_path)
    assert "s3cr3t" not in str(raised.value)
    assert "mia" not in str(raised.value)
    shown = said.replace("/x/mini/", "/x") if option == "find-links" else said
    assert shown in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_wrong_password_is_said(alone: Configure, site: Served, pem: Path, tmp_path: Path) -> None:
    alone(f"[global]\nindex-url = https://mia:s3cr3t@127.0.0.1:{site.port}/\ncert = {pem}\n")
    with pytest.raises(HarnessError) as raised:
        taken(tmp_path)
    said = str(raised.value)
    assert "mini was not found in the package registry, and an index URL (https://127.0.0.1:" in said
    assert "(401 Unauthorized)" in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at https://u:p@h:1/x (see http://t@i)", "at https://h:1/x (see http://i)"),
        ("at https://u:p@q@h/x", "at https://h/x"),
        ("at https://h/p.html?sig=1&t=2, or so", "at https://h/p.html or so"),
        ("bad 'u:p/w@proxy:3'", "bad 'proxy:3'"),
        ("bad 'http://u:p/w@proxy:3'", "bad 'http://proxy:3'"),
        ("in file:///srv/a@b/c and /srv/a@b/c", "in file:///srv/a@b/c and /srv/a@b/c"),
        ("https://h/@scope/x", "https://h/@scope/x"),
    ],
)
def test_what_is_left_of_a_text(text: str, shown: str) -> None:
    variables = {
        "HTTPS_PROXY": "u:p/w@proxy:3",
        "UV_INDEX": "https://h http://u:p/w@proxy:3",
        "UV_FIND_LINKS": "file:///srv/a@b/c",
        "UV_CACHE_DIR": "/srv/a@b/c",
    }
    assert without_passwords(text, variables) == shown
