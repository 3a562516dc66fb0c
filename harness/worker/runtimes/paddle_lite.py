"""Paddle Lite: what `opt` converted for x86, run by Paddle Lite's own Python interface.

Files: ``model`` (``.nb``) and optionally ``about`` (a description of its conversion).
Options: ``python``, an interpreter that has paddlelite; the controller fills it in.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from harness.worker import runtimes
from harness.worker.lite import opt, session
from harness.worker.models.model import ReferenceModel

RECIPE = "lite"
ENGINE = "lite"
PROFILE = "legacy-ir"


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Return why there is no interpreter with paddlelite, or None."""
    if "python" not in options:
        return "Paddle Lite runs in a separate environment: make it with `harness env make lite`"
    if not os.access(options["python"], os.X_OK):
        return f"there is no interpreter {options['python']} to run Paddle Lite in"
    return None


class Session:
    """One process that has loaded ``files["model"]``."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        script = os.path.abspath(session.__file__)
        self.process = subprocess.Popen(
            [options["python"], script, files["model"]],
            env=opt.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.inputs = [spec.name for spec in model.inputs]
        try:
            self.described: Dict[str, Any] = json.loads(self._answer(b"t"))
        except BaseException:
            self.close()
            raise
        self.about: Dict[str, Any] = {}
        if "about" in files:
            with open(files["about"]) as file:
                self.about = json.load(file)

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        """Run the feed once; return the outputs.

        Raises:
            ValueError: the predictor's input names are not the model's.
            RuntimeError: Paddle Lite refused the feed, or its process died.
        """
        names = self.described["inputs"]
        runtimes.check_inputs("predictor", names, self.inputs)
        by_name = dict(zip(self.inputs, feed))
        assert self.process.stdin is not None
        # If it has died, reading the answer reports how.
        with contextlib.suppress(BrokenPipeError):
            body = session.packed([by_name[name] for name in names])
            session.send(self.process.stdin, b"a", body)
        return session.unpacked(self._answer(b"a"))

    def _answer(self, wanted: bytes) -> bytes:
        assert self.process.stdout is not None
        message = session.receive(self.process.stdout)
        if message is None:
            raise RuntimeError(f"Paddle Lite's process ended with {opt.ending(self.process.wait())}")
        kind, body = message
        if kind != wanted:
            raise RuntimeError(f"Paddle Lite: {body.decode('utf-8', 'replace')}")
        return body

    def describe(self) -> Dict[str, Any]:
        return {"device": "cpu", **self.described, **self.about, "outputs": len(self.described["outputs"])}

    def close(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()
