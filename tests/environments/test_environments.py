"""Environments made, reused, mended, listed and removed, with the real uv and the real Paddle."""

from __future__ import annotations

import functools
import http.server
import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.packages import Uncached, pages, wheel

from conftest import child_environment
from harness import environments
from harness.core.errors import HarnessError, UsageError
from harness.environments import index, installed, inventory, managed, uv
from harness.environments.manifest import MANIFEST, Recipe, read, site_packages
from harness.environments.plan import Plan
from harness.environments.specs import parse

OLDEST, NEWEST = "2.6.2", "3.3.1"
HERE = uv.Interpreter(sys.executable, platform.python_version())
NO_NETWORK = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "UV_HTTP_RETRIES": "0"}
"""Port 9 refuses: what a machine without network looks like to uv."""


# Small packages, installed for real


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A real environment's folder of packages with one small package in it."""
    folder = tmp_path / "small"
    subprocess.run([uv.binary(), "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    made = wheel(tmp_path, "mini", "1.0")
    install = ("pip", "install", "-q", "--link-mode", "copy", "--python", str(folder), "--no-deps", str(made))
    subprocess.run([uv.binary(), *install], check=True)
    return site_packages(folder, HERE.version.rpartition(".")[0])


def test_installed_files_are_what_was_installed(site: Path) -> None:
    expected = {"mini": "1.0"}
    assert installed.packages(site) == expected
    assert installed.fault(site, expected, deep=True) == ""
    subprocess.run([str(site.parents[2] / "bin" / "python"), "-c", "import mini"], check=True)
    assert installed.fault(site, expected, deep=True) == "", "bytecode is no fault"
    module = site / "mini.py"
    text = module.read_text()
    module.write_text(text.replace("1", "2"))
    assert installed.fault(site, expected) == ""
    assert installed.fault(site, expected, deep=True) == "mini.py has other content"
    module.write_text(text + "\n")
    assert installed.fault(site, expected) == "mini.py has 17 bytes instead of 16"
    module.unlink()
    assert installed.fault(site, expected) == "mini.py cannot be read (No such file or directory)"
    assert installed.fault(site, {}) == "mini is 1.0 where no mini was installed"
    assert installed.fault(site, {"mini": "1.0", "numpy": "1.26.4"}) == (
        "numpy is missing where 1.26.4 was installed"
    )
    (site / "mini-1.0.dist-info" / "RECORD").unlink()
    assert installed.fault(site, expected) == "mini-1.0.dist-info/RECORD cannot be read"


@pytest.fixture
def builds(tmp_path: Path) -> Path:
    """A folder of wheels with a release and two previews after it."""
    folder = tmp_path / "all builds"
    folder.mkdir()
    for version in ("1.0", "1.1.dev20260101", "1.1.dev20260102"):
        wheel(folder, "mini", version)
    return folder


def test_newest_build_in_a_folder_of_wheels(builds: Path) -> None:
    assert index.newest(builds.as_uri(), "mini", HERE) == index.Answer("1.1.dev20260102", False)
    assert index.newest(builds.as_uri(), "mini<1.1.dev20260102", HERE).text == "1.1.dev20260101"
    with pytest.raises(
        HarnessError, match=r"mini>=2 from file:.*/all%20builds cannot be installed: only mini<=1"
    ):
        index.newest(builds.as_uri(), "mini>=2", HERE)


def test_index_out_of_reach_is_remembered_or_said(
    builds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    handler = functools.partial(Uncached, directory=str(pages(builds, tmp_path / "simple")))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    url = f"http://user:secret@127.0.0.1:{server.server_address[1]}"
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert index.newest(url, "mini", HERE) == index.Answer("1.1.dev20260102", False)
        server.shutdown()
    assert index.newest(url, "mini", HERE) == index.Answer("1.1.dev20260102", True)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(uv.Unreachable) as raised:
        index.newest(url, "mini", HERE)
    assert str(raised.value).startswith("cannot reach the package index: Failed to fetch: http://")
    assert "secret" not in str(raised.value)


def test_paddle_alone_is_taken_from_its_own_index(
    builds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual index has a newer one of it, and the own index a newer one of something else."""
    usual = tmp_path / "usual"
    usual.mkdir()
    for folder, name, version in ((usual, "mini", "9.0"), (usual, "other", "1.0"), (builds, "other", "9.0")):
        wheel(folder, name, version)
    monkeypatch.setenv("UV_DEFAULT_INDEX", pages(usual, tmp_path / "simple").as_uri())
    project = tmp_path / "pyproject.toml"
    for own in (builds, pages(builds, tmp_path / "own")):
        text = index.project_text(("mini==1.1.dev20260101", "other"), "mini", own.as_uri())
        project.write_text(text)
        compiled = ("pip", "compile", "-q", "--no-header", "--no-annotate", str(project))
        answer = uv.run(*compiled, cwd=tmp_path, what="x")
        assert answer.text.split() == ["mini==1.1.dev20260101", "other==1.0"], text


def of_wheel(path: Path, label: str = "mini") -> Plan:
    return Plan(Recipe(label, "wheel", "1.0", (f"mini @ {path.as_uri()}",), HERE.version, "mini"), HERE)


def test_what_paddle_does_not_import_from_is_not_kept(tmp_path: Path) -> None:
    root = tmp_path / "root"
    said: list[str] = []
    with pytest.raises(
        HarnessError, match=r"mini for Python 3\.\d+ was installed, but paddle is not installed"
    ):
        managed.get_or_make(root, of_wheel(wheel(tmp_path, "mini", "1.0")), say=said.append)
    assert said == ["making mini"]
    assert [path.suffix for path in root.iterdir()] == [".lock"], "nothing half-made remains"


def test_without_network_or_cache_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(HarnessError) as raised:
        environments.resolve(NEWEST, tmp_path / "root")
    assert str(raised.value).startswith(
        "cannot reach the package index: the network is disabled; 3.3.1 for Python 3."
    )
    assert [path.suffix for path in (tmp_path / "root").iterdir()] == [".lock"]


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match="name another with --folder or HARNESS_ENVIRONMENTS"):
        environments.resolve(NEWEST, tmp_path / "file" / "root")


IN_A_SMALL_DISK = "mount -t tmpfs -o size=60m tmpfs {disk} && {command}; rc=$?; ls {disk}; exit $rc"


@pytest.mark.slow
def test_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here: a small disk cannot be made")
    make = f"{sys.executable} -m harness.cli env make {NEWEST} --folder {tmp_path}"
    script = IN_A_SMALL_DISK.format(disk=tmp_path, command=make)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        env=child_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == "", "`ls` shows no folder: only a lock, whose name starts with a dot"
    assert f"{NEWEST} for Python 3.11 does not fit on the disk (" in done.stderr
    assert len(done.stderr.splitlines()) == 2


# Environments with Paddle


def command(root: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "env", *arguments, "--folder", str(root)],
        env={**child_environment(), **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two processes at once were asked for the same release."""
    folder = tmp_path_factory.mktemp("environments")
    killed = folder / ".part-paddle-of-a-killed-process-x1"
    killed.mkdir()
    both = [command(folder, "make", NEWEST) for _ in range(2)]
    ends = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    told = sorted(stdout.split()[1] for stdout, _ in ends)
    assert told == ["made", "there:"], "one makes it, the other waits and takes it"
    return folder


@pytest.fixture(scope="module")
def made(root: Path) -> Path:
    (path,) = root.glob("paddle-*")
    return path


@pytest.mark.slow
def test_environment_is_what_was_asked_for(root: Path, made: Path) -> None:
    manifest = read(made)
    assert manifest is not None
    assert manifest.packages["paddlepaddle"] == NEWEST
    assert f"=={manifest.packages['numpy']}" == environments.release_like(NEWEST).requirements["numpy"]
    assert manifest.size > 500 * 2**20
    site = site_packages(made, manifest.recipe.minor)
    assert list((site / "paddle" / "nn" / "__pycache__").glob("*.pyc")), "byte-compiled"
    for name in os.listdir(made / "bin"):
        assert b".part-" not in (made / "bin" / name).read_bytes(), f"{name} names the folder it was built in"
    script = (
        "import paddle, paddleslim, paddle2onnx, inspect; print(paddle.__version__, paddle.__file__);"
        "print(inspect.getsourcefile(paddle.save))"
    )
    done = subprocess.run(
        [made / "bin" / "python", "-c", script],
        cwd=root, env=uv.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    version, file, source = done.stdout.split()[-3:]
    assert (version, file) == (NEWEST, str(site / "paddle" / "__init__.py"))
    assert source.startswith(str(site))


@pytest.mark.slow
def test_environment_is_reused_and_needs_no_network(root: Path, made: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    process = command(root, "make", NEWEST, f"{NEWEST}@legacy-ir", UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path))
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    python = made / "bin" / "python"
    assert stdout.splitlines() == [f"{NEWEST:<12} there: {python}", f"{NEWEST}@legacy-ir there: {python}"]
    assert time.monotonic() - started < 10
    first, second = environments.make(parse(NEWEST) + parse(f"{NEWEST}@legacy-ir"), root)
    assert (first.name, first.profile, first.version) == (NEWEST, "default", NEWEST)
    assert (second.name, second.profile) == (f"{NEWEST}@legacy-ir", "legacy-ir")
    assert first.python == second.python == str(python)
    assert not first.made
    assert first.managed


@pytest.mark.slow
def test_each_kind_of_damage_is_seen(made: Path) -> None:
    assert managed.fault(made) == ""
    manifest = read(made)
    assert manifest is not None
    site = site_packages(made, manifest.recipe.minor)
    numpy = next(site.glob("numpy-*.dist-info"))
    for path, part in (
        (made / MANIFEST, "environment.json is missing or damaged"),
        (made / "bin" / "python", "its interpreter"),
        (site / "paddle" / "base" / "libpaddle.so", "libpaddle.so cannot be read"),
        (site / "paddle" / "nn" / "__init__.py", "paddle/nn/__init__.py cannot be read"),
        (numpy, "numpy is missing where 1.26"),
    ):
        hidden = path.rename(path.with_name(path.name + "-hidden"))
        try:
            assert part in managed.fault(made)
        finally:
            hidden.rename(path)
    assert managed.fault(made) == ""


@pytest.mark.slow
def test_broken_environment_is_made_anew_from_the_cache_alone(root: Path, made: Path) -> None:
    """A file changed in place and in size: only ``--check`` sees that, and the network is gone."""
    manifest = read(made)
    assert manifest is not None
    file = site_packages(made, manifest.recipe.minor) / "paddle" / "hapi" / "model.py"
    text = file.read_text()
    file.unlink()  # the file may be shared with uv's cache: a new one takes its place
    file.write_text(text.replace("optimizer", "optimiser"))
    assert managed.fault(made) == ""
    process = command(root, "make", NEWEST, "--check", **NO_NETWORK)
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert stderr == f"making {NEWEST} anew: paddle/hapi/model.py has other content\n"
    assert "(was broken (paddle/hapi/model.py has other content) and made anew" in stdout
    assert file.read_text() == text
    assert managed.fault(made) == ""
    assert not [path for path in root.iterdir() if path.name.startswith((".gone-", f".part-{made.name}"))]


@pytest.mark.slow
def test_list_and_remove(root: Path, made: Path, tmp_path: Path) -> None:
    foreign = root / "mine"
    foreign.mkdir()
    (foreign / "file").write_text("")
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_text("")
    (root / "paddle-link-py3.11-0").symlink_to(target)
    process = command(root, "list", "--json")
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    rows = [row for row in json.loads(stdout) if "harness env make" not in row["note"]]  # engines, not made
    assert [row["name"] for row in rows[:-1]] == environments.known_releases()
    assert {row["status"] for row in rows[:-2]} == {"not made"}
    assert (rows[-2]["status"], rows[-2]["path"]) == ("made", str(made))
    assert rows[-2]["size"] > 500 * 2**20
    assert (rows[-1]["status"], rows[-1]["name"]) == ("broken", "paddle-link-py3.11-0")
    stdout, _ = command(root, "list").communicate()
    assert "GiB in" in stdout
    with pytest.raises(UsageError, match="was not made by this harness"):
        inventory.removable([sys.executable], root)
    assert inventory.removable([OLDEST], root) == []
    for text in (NEWEST, f"{NEWEST}@legacy-ir", "all", str(made)):
        assert inventory.removable([text], root) == [made]
    process = command(root, "remove", "--all")
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert f"removed {made}" in stdout
    left = sorted(path.name for path in root.iterdir() if path.suffix != ".lock")
    assert left == ["mine"], "what killed processes left is swept up, and nothing else"
    assert (target / "file").exists(), "a link is removed, never followed"
    process = command(root, "remove", NEWEST)
    assert process.communicate()[0].strip() == f"no such environment in {root}"


def test_remove_says_what(tmp_path: Path) -> None:
    process = command(tmp_path, "remove")
    assert process.communicate()[1].strip() == "name the environments to remove, or give --all"
    assert process.returncode == 2


def test_nothing_of_paddle_is_imported_here() -> None:
    assert "paddle" not in sys.modules
