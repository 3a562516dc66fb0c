"""`paddle.jit.load` of a model that lies in a zip archive.

Files: ``archive``. Options: those of the runtime ``jit``.
"""

import os
import tempfile
import zipfile
from typing import Any, Dict, Mapping, Optional

from harness.worker.machine import engines
from harness.worker.models.model import ReferenceModel
from harness.worker.runtimes import jit

RECIPE = "zip"
PACKAGES = {"fsspec": ">=2024.1"}
PURPOSE = "to read models from archives"
STAGES = {"zipped": {"place": 55, "like": "jit", "focus": ["jit"], "dear": True}}
PLAIN = """
import tempfile

import fsspec

with tempfile.TemporaryDirectory() as folder:
    fsspec.filesystem("zip", fo={{ files.archive | repr }}).get("", folder, recursive=True)
    layer = paddle.jit.load(folder + "/model")
layer.eval()


def infer(feed):
    with paddle.no_grad():
        result = layer(*map(paddle.to_tensor, feed))
    return [tensor.numpy() for tensor in (result if isinstance(result, (list, tuple)) else [result])]
"""


def available(options: Mapping[str, Any]) -> Optional[str]:
    """It needs the package fsspec, and what `jit` needs."""
    return engines.missing(list(PACKAGES)) or jit.available(options)


def of_export(files: Mapping[str, str]) -> Dict[str, str]:
    """The archive of an exported program, beside it."""
    archive = os.path.join(files["folder"], "model.zip")
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (files["model"], files["params"]):
            if os.path.exists(path):
                packed.write(path, os.path.basename(path))
    return {"archive": archive}


class Session(jit.Session):
    """Needs ``files["archive"]``."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        import fsspec

        self.version = str(fsspec.__version__)
        with tempfile.TemporaryDirectory() as folder:
            fsspec.filesystem("zip", fo=files["archive"]).get("", folder, recursive=True)
            super().__init__({"prefix": os.path.join(folder, "model")}, model, options)

    def describe(self):
        return {**super().describe(), "version": self.version}
