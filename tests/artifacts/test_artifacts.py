"""The store: whole entries or none, made once, checked on each use."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import child_environment
from harness.artifacts.store import Store
from harness.core.errors import HarnessError
from harness.core.hashing import key_of

ORIGIN = {"recipe": "checkpoint", "model": "lenet", "parameters": {"seed": 1}}


class Recipe:
    """Writes two files; counts its calls."""

    def __init__(self, text: str = "weights") -> None:
        self.text = text
        self.calls = 0

    def __call__(self, folder: Path) -> Mapping[str, Any]:
        self.calls += 1
        assert not list(folder.iterdir()), "a recipe starts in an empty folder"
        (folder / "deep").mkdir()
        (folder / "deep" / "model.pdparams").write_text(self.text)
        (folder / "empty").write_text("")
        return {"accuracy": 0.9, "names": ["a"]}


def entries(root: Path) -> list[str]:
    """What is in the store but for locks."""
    return sorted(path.name for path in root.iterdir() if path.suffix != ".lock")


def test_made_once_then_reused(tmp_path: Path) -> None:
    recipe = Recipe()
    store = Store(tmp_path)
    first = store.get_or_make(ORIGIN, recipe)
    again = store.get_or_make(ORIGIN, recipe)
    later = Store(tmp_path).get_or_make(ORIGIN, recipe)
    assert recipe.calls == 1
    assert (store.made, store.reused) == (1, 1)
    assert first == again == later
    assert first.values == {"accuracy": 0.9, "names": ["a"]}
    assert sorted(first.manifest.files) == ["deep/model.pdparams", "empty"]
    assert first.manifest.sizes == {"deep/model.pdparams": 7, "empty": 0}
    assert first.manifest.origin == ORIGIN
    assert Path(first.file("deep", "model.pdparams")).read_text() == "weights"
    assert entries(tmp_path) == [first.manifest.key]


def test_another_origin_is_another_entry(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one = store.get_or_make(ORIGIN, Recipe())
    two = store.get_or_make({**ORIGIN, "parameters": {"seed": 2}}, Recipe())
    assert one.manifest.key != two.manifest.key
    assert len(entries(tmp_path)) == 2


NAMES = st.sampled_from(["recipe", "model", "é", "", "a b", "10", "9"])
NAMES = st.sampled_from(["recipe", "model", "é", "", "a b", "10", "9"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.sampled_from(["", "a", "ä", "1"])
ORIGINS = st.dictionaries(
    NAMES, SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(NAMES, SCALARS, max_size=3), max_size=4
)


@given(ORIGINS)
def test_key_does_not_depend_on_the_order_of_names(origin: dict[str, Any]) -> None:
    assert key_of(origin) == key_of(dict(reversed(origin.items())))


@given(ORIGINS, ORIGINS)
def test_keys_tell_origins_apart(one: dict[str, Any], two: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (key_of(one) == key_of(two)) is same


@pytest.mark.parametrize(
    "damage", ["changed", "emptied", "removed", "manifest gone", "manifest cut", "manifest empty"]
)
def test_damaged_entry_is_made_anew_and_said(tmp_path: Path, damage: str) -> None:
    recipe = Recipe()
    store = Store(tmp_path)
    artifact = store.get_or_make(ORIGIN, recipe)
    weights = artifact.path / "deep" / "model.pdparams"
    manifest = artifact.path / "manifest.json"
    if damage == "changed":
        weights.write_text("weightz")  # the same size
    elif damage == "emptied":
        weights.write_text("")
    elif damage == "removed":
        weights.unlink()
    elif damage == "manifest gone":
        manifest.unlink()
    else:
        manifest.write_bytes(manifest.read_bytes()[: 30 if damage == "manifest cut" else 0])
    repaired = store.get_or_make(ORIGIN, recipe)
    assert recipe.calls == 2
    assert weights.read_text() == "weights"
    assert repaired.manifest == artifact.manifest
    assert len(store.repairs) == 1
    assert artifact.manifest.key in store.repairs[0]
    store.get_or_make(ORIGIN, recipe)
    assert len(store.repairs) == 1


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_failed_recipe_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def make(folder: Path) -> Mapping[str, Any]:
        (folder / "half").write_text("half")
        raise error

    store = Store(tmp_path)
    with pytest.raises(type(error)):
        store.get_or_make(ORIGIN, make)
    assert entries(tmp_path) == []
    assert store.get_or_make(ORIGIN, Recipe()).values["accuracy"] == 0.9


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_full_disk_in_a_recipe_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    def make(folder: Path) -> Mapping[str, Any]:
        (folder / "half").write_text("half")
        Path("/dev/full").write_text("x")
        return {}

    with pytest.raises(HarnessError, match=r"No space left on device.*free some space"):
        Store(tmp_path).get_or_make(ORIGIN, make)
    assert entries(tmp_path) == []


def test_file_size_limit_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """A real refusal of the operating system, while the store's own file is written."""
    store = Store(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def make(folder: Path) -> Mapping[str, Any]:
        return {"long": "x" * 400_000}  # goes into the manifest

    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        with pytest.raises(HarnessError, match="File too large"):
            store.get_or_make(ORIGIN, make)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert entries(tmp_path) == []


@pytest.mark.parametrize("where", ["below a file", "/proc/harness-store"])
def test_store_that_cannot_be_written_is_a_sentence(tmp_path: Path, where: str) -> None:
    """Permissions stop no root user, so these are places where nobody can make a folder."""
    (tmp_path / "file").write_text("")
    root = tmp_path / "file" / "store" if where == "below a file" else Path(where)
    with pytest.raises(HarnessError, match=r"cannot be written.*HARNESS_STORE"):
        Store(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where permissions forbid it")
def test_read_only_store_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(HarnessError, match="cannot be written"):
            Store(tmp_path)
    finally:
        tmp_path.chmod(0o755)


def test_store_that_vanishes_is_a_sentence(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = Store(root)
    root.rmdir()
    root.write_text("a file now")
    with pytest.raises(HarnessError, match="the store cannot write"):
        store.get_or_make(ORIGIN, Recipe())


RACER = """
import pathlib, sys, time
from harness.artifacts.store import Store

def make(folder):
    with open(sys.argv[2], "a") as calls:
        calls.write("made\\n")
    time.sleep(0.5)
    (folder / "weights").write_text("w")
    return {}

root = pathlib.Path(sys.argv[1])
(root.parent / ("ready" + sys.argv[3])).write_text("")
while not (root.parent / "go").exists():
    time.sleep(0.005)
artifact = Store(root).get_or_make({"recipe": "slow"}, make)
assert pathlib.Path(artifact.file("weights")).read_text() == "w"
"""


def test_two_processes_at_once_make_an_entry_once(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path / "store"), str(calls), str(number)],
            env=child_environment(),
        )
        for number in range(2)
    ]
    while not all((tmp_path / f"ready{number}").exists() for number in range(2)):
        assert all(racer.poll() is None for racer in racers)
    (tmp_path / "go").write_text("")
    assert [racer.wait(30) for racer in racers] == [0, 0]
    assert calls.read_text() == "made\n"
    assert len(entries(tmp_path / "store")) == 1


def test_killed_maker_leaves_no_entry_and_no_lock(tmp_path: Path) -> None:
    """The lock is the operating system's, so it goes with the process that held it."""
    calls = tmp_path / "calls"
    (tmp_path / "go").write_text("")
    racer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            RACER.replace("sleep(0.5)", "sleep(60)"),
            str(tmp_path / "store"),
            str(calls),
            "0",
        ],
        env=child_environment(),
    )
    while not calls.exists():
        assert racer.poll() is None
    racer.kill()
    racer.wait()
    store = Store(tmp_path / "store")
    assert store.get_or_make({"recipe": "slow"}, Recipe()).values["accuracy"] == 0.9
    assert store.made == 1
    assert store.repairs == []
