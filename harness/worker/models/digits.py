"""The MNIST digits, read as the documents read them."""

from __future__ import annotations

# Paddle 2.6.2 brings its own zlib; unless Python's is loaded first, reading any
# .gz file afterwards fails with "Error -2 ... inconsistent stream state".
import gzip  # noqa: F401
import os
import zlib  # noqa: F401
from functools import lru_cache
from typing import Any, Tuple

import numpy as np
import paddle

FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


class Digits:
    """The four idx-gz files of a folder, as datasets and as arrays."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def dataset(self, split: str, transform: Any = None) -> Any:
        """Return ``paddle.vision.datasets.MNIST`` of the local files; it never downloads."""
        images, labels = FILES[split]
        return paddle.vision.datasets.MNIST(
            image_path=os.path.join(self.folder, images),
            label_path=os.path.join(self.folder, labels),
            mode=split,
            transform=transform,
            download=False,
        )

    def arrays(self, split: str) -> Tuple[np.ndarray, np.ndarray]:
        """Return images float32 ``[n, 1, 28, 28]`` in [0, 1] and labels int64 ``[n]``."""
        return _arrays(self.folder, split)


@lru_cache(maxsize=8)
def _arrays(folder: str, split: str) -> Tuple[np.ndarray, np.ndarray]:
    dataset = Digits(folder).dataset(split)
    images = np.stack([np.asarray(image, dtype="float32").reshape(1, 28, 28) for image in dataset.images])
    labels = np.asarray(dataset.labels, dtype="int64").reshape(-1)
    return images / np.float32(255.0), labels
