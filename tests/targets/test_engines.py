"""Engines in environments of their own: made whole, listed, removed, or one sentence why not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from harness.core.errors import HarnessError, NotApplicable
from harness.environments import engines, inventory, uv
from harness.environments.engines import engines as known
from harness.pool.workers import WorkerPool
from harness.targets.engines import Engines

LITE = "lite"


def interpreter() -> bool:
    """Whether this machine has one that the engine's wheel is for."""
    try:
        uv.find_python(known()[LITE].python, Path.home())
    except uv.NoInterpreter:
        return False
    return True


needs_python = pytest.mark.skipif(
    not interpreter(), reason=f"no Python {known()[LITE].python} here: {known()[LITE].get}"
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


def row(root: Path) -> inventory.Row:
    (found,) = [row for row in inventory.rows(root) if row.name == known()[LITE].label]
    return found


def test_listed_before_it_is_made(tmp_path: Path) -> None:
    found = row(tmp_path)
    assert (found.status, found.python, found.profiles) == ("not made", "3.7", ())
    assert found.note == "harness env make lite"


@needs_python
def test_made_reused_repaired_and_removed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    python = engines.python_of(LITE, root, said.append)
    assert said == [f"making {known()[LITE].label}"]
    asked = "import paddlelite.lite as lite; print(lite.Opt().version())"
    done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "v2.12"
    tool = Path(python).with_name("paddle_lite_opt")
    assert subprocess.run([python, str(tool), "--version"], check=False).returncode == 0
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert engines.python_of(LITE, root, said.append) == python
    found = row(root)
    assert (found.status, found.path) == ("made", str(Path(python).parents[1]))
    (Path(found.path) / "lib" / "python3.7" / "site-packages" / "paddlelite" / "lite.so").unlink()
    assert row(root).status == "broken"
    assert engines.python_of(LITE, root, said.append) == python
    (_, again) = said
    assert "anew" in again
    for text in (LITE, known()[LITE].label, found.path):
        assert inventory.removable([text], root) == [Path(found.path)]


@needs_python
def test_without_network_or_cache_a_case_is_not_run_with_one_sentence(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(tmp_path / "environments"))
    found = Engines(pool)
    reason = found.refusal("paddle_lite")
    assert "cannot reach the package index" in reason
    assert len(reason.splitlines()) == 1
    with pytest.raises(NotApplicable, match="cannot reach"):
        found.parameters(LITE)
    assert not list((tmp_path / "environments").glob("paddle-*"))


def test_without_an_interpreter_the_command_that_gets_one_is_said() -> None:
    other = msgspec.structs.replace(known()[LITE], python="==3.19.*")
    with pytest.raises(HarnessError, match=r"3\.19.*`pyenv install 3\.7`"):
        engines.plan(other)


def test_runtimes_of_paddle_itself_need_no_engine(pool: WorkerPool) -> None:
    found = Engines(pool)
    assert (found.options("predictor"), found.refusal("jit"), found.profile("static")) == ({}, "", "")
    assert (found.parameters("jit"), found.origin("checkpoint")) == ({}, {})
    assert found.origin(LITE) == {"engine": known()[LITE].label}
    assert found.profile("paddle_lite") == "legacy-ir"
