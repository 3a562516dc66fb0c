"""An exported model as one zip archive."""

import os
import zipfile
from typing import Any, Dict

from harness.worker.recipes import Job, recipe


@recipe("zip", needs=("jit",))
def zip_archive(job: Job) -> Dict[str, Any]:
    """Pack the files of `jit.save` into an archive."""
    folder = job.of("jit", "inference_model")
    with zipfile.ZipFile(job.path("model.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(os.listdir(folder)):
            archive.write(os.path.join(folder, name), name)
    return {"files": {"archive": "model.zip"}}
