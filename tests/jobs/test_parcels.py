"""Artifacts on their way: whole, or refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness.artifacts.store import Store
from harness.core.errors import HarnessError
from harness.jobs.parcels import Parcel, pack, unpack

ORIGIN = {"recipe": "jit", "model": "lenet", "parameters": {"rate": 0.5}, "needs": {}}


def _made(store: Store) -> str:
    def make(folder: Path) -> dict[str, object]:
        (folder / "below").mkdir()
        (folder / "below/model.json").write_bytes(b"program")
        (folder / "model.pdiparams").write_bytes(bytes(range(256)))
        return {"program": "below/model.json", "sizes": [1, 2]}

    return store.get_or_make(ORIGIN, make).manifest.key


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    store = Store(tmp_path / "theirs")
    (parcel,) = pack(store.root, [_made(store), "0" * 32])
    return parcel


def test_an_artifact_arrives_as_it_was(parcel: Parcel, tmp_path: Path) -> None:
    mine = Store(tmp_path / "mine")
    unpack(mine, parcel)

    def never(folder: Path) -> dict[str, object]:
        raise AssertionError("it is there already")

    found = mine.get_or_make(ORIGIN, never)
    assert found.manifest == parcel.manifest
    assert Path(found.file("model.pdiparams")).read_bytes() == bytes(range(256))
    assert mine.used == {parcel.manifest.key}


@pytest.mark.parametrize("content", [b"", b"another program", None])
def test_what_arrives_damaged_is_refused(parcel: Parcel, tmp_path: Path, content: bytes | None) -> None:
    files = {**parcel.files, "below/model.json": content}
    files = {name: data for name, data in files.items() if data is not None}
    mine = Store(tmp_path / "mine")
    with pytest.raises(HarnessError, match=r"arrived damaged: below/model\.json"):
        unpack(mine, msgspec.structs.replace(parcel, files=files))
    assert not (mine.root / parcel.manifest.key).exists()


def test_another_origin_is_refused(parcel: Parcel, tmp_path: Path) -> None:
    other = msgspec.structs.replace(parcel.manifest, origin={**ORIGIN, "model": "lstm"})
    with pytest.raises(HarnessError, match="does not match its key"):
        unpack(Store(tmp_path / "mine"), msgspec.structs.replace(parcel, manifest=other))
