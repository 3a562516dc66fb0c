"""`harness prune` and what `harness doctor` says of the disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from conftest import InProcess
from harness.artifacts import pruning
from harness.artifacts.store import Store
from harness.cli import doctor
from harness.core.disk import DAY_S
from harness.environments.manifest import MANIFEST, Manifest, Recipe

RECIPE = Recipe("3.3.1", "release", "3.3.1", ("paddlepaddle==3.3.1",), "3.11.7")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two artifacts, of which one was used 40 days ago, and an environment used 50 days ago."""
    store = tmp_path / "store"
    for name, days in (("old", 40), ("new", 0)):
        path = Store(store).get_or_make({"recipe": name}, lambda folder: {}).path
        _used(path / "manifest.json", days)
    environment = tmp_path / "environments" / RECIPE.folder
    environment.mkdir(parents=True)
    made = Manifest(RECIPE, {}, 3 * 2**30, "2026-01-01T00:00:00Z", 60.0)
    (environment / MANIFEST).write_bytes(msgspec.json.encode(made))
    _used(environment / MANIFEST, 50)
    monkeypatch.setenv("HARNESS_STORE", str(store))
    monkeypatch.setenv("HARNESS_ENVIRONMENTS", str(tmp_path / "environments"))
    return tmp_path


def _used(path: Path, days: float) -> None:
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))


def kinds(root: Path) -> list[str]:
    return [one.kind for one in pruning.kept(root / "store")]


def test_dry_run_says_and_leaves(root: Path, in_process: InProcess) -> None:
    done = in_process(root, "prune", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{RECIPE.folder}: 3.0 GiB, unused for 50 days",
        f"would remove 1 environment, 1 artifact (3.0 GiB) from {root / 'store'} and {root / 'environments'}",
    ]
    assert kinds(root) == ["artifact"] * 2


def test_it_removes_what_no_run_used_for_30_days(root: Path, in_process: InProcess) -> None:
    done = in_process(root, "prune")
    assert done.returncode == 0, done.stderr
    assert "removed 1 artifact, 1 environment (3.0 GiB) from" in done.stdout
    assert kinds(root) == ["artifact"]
    assert not (root / "environments" / RECIPE.folder).exists()
    assert in_process(root, "prune").stdout.startswith("removed nothing from")


@pytest.mark.parametrize(
    ("options", "artifacts", "environments"),
    [
        (("--older-than", "45"), 2, 0),
        (("--older-than", "0", "--no-environments"), 0, 1),
        (("--older-than", "99", "--keep-size", "2.5"), 2, 0),
        (("--older-than", "99", "--keep-size", "3.5"), 2, 1),
    ],
)
def test_options(
    root: Path, in_process: InProcess, options: tuple[str, ...], artifacts: int, environments: int
) -> None:
    assert in_process(root, "prune", *options).returncode == 0
    assert kinds(root) == ["artifact"] * artifacts
    assert (root / "environments" / RECIPE.folder).exists() is bool(environments)


@pytest.mark.parametrize(
    ("folder", "why"), [(".", "is not a store of this harness"), ("none", "no store in")]
)
def test_another_folder_is_refused(root: Path, in_process: InProcess, folder: str, why: str) -> None:
    done = in_process(root, "prune", "--older-than", "0", "--store", folder)
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert kinds(root) == ["artifact"] * 2
    assert (root / "environments" / RECIPE.folder).exists(), "nothing is done where one folder is refused"


def test_doctor_says_what_they_take(root: Path) -> None:
    (store,) = doctor._store(root / "store")
    assert store.found.endswith("; 2 artifacts, 0 MiB, the longest unused for 40 days")
    row = doctor._environments(root / "environments")
    assert "; 1 environment, 3.0 GiB, the longest unused for 50 days (" in row.found
    assert doctor._environments(root / "none").found == f"{root / 'none'}; no environments"
    (empty,) = doctor._store(root / "empty")
    assert empty.found.endswith("; no artifacts")
    (other,) = doctor._store(root)
    assert other.found.endswith("; no store yet, and other files in it")
