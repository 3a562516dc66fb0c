"""`Executor.run` of a program from `load_inference_model`.

Files: ``folder`` and ``program`` (file name), and either ``params`` (file name of the combined
parameters) or nothing (one file per parameter in the folder). Option ``in_memory`` passes the
bytes of program and parameters instead; ``load_vars`` reads separate files with `load_vars`.
``perturb`` moves parameters and inputs by that relative size (``draw``: the number of the draw).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import paddle

from harness.worker import runtimes
from harness.worker.inspection import programs
from harness.worker.models import perturbation
from harness.worker.models.model import ReferenceModel

STAGES = {"static": {"place": 60, "focus": ["jit", "gate"]}}
PLAIN = """
{{ calls.static("%r, executor, model_filename=%r, params_filename=%r" % (
    files.folder, files.program, files.params)) }}
"""


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Return None: it needs only Paddle."""
    return None


def of_export(files: Mapping[str, str]) -> Dict[str, str]:
    """The session's files, of an exported program's."""
    return {**files, "params": os.path.basename(files["params"])}


class Session:
    """Needs ``files["folder"]`` and ``files["program"]``; ``files["params"]`` when combined."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        self.lods = runtimes.lods(model)
        self.scope = paddle.static.Scope()
        self.perturb = float(options.get("perturb", 0.0))
        self.rng = np.random.default_rng(int(options.get("draw", 0)))
        paddle.enable_static()
        try:
            with paddle.static.scope_guard(self.scope):
                self.executor = paddle.static.Executor(paddle.CPUPlace())
                self.program, self.feeds, self.fetches = self._load(files, options)
                if self.perturb:
                    perturbation.move_scope(self.program, self.perturb, self.rng)
        finally:
            paddle.disable_static()

    def _load(self, files: Mapping[str, str], options: Mapping[str, Any]) -> Any:
        if options.get("in_memory"):
            names = (files["program"], files["params"])
            program, params = (Path(files["folder"], name).read_bytes() for name in names)
            return paddle.static.load_inference_model(
                None, self.executor, model_filename=program, params_filename=params
            )
        if options.get("load_vars"):
            return self._load_vars(files)
        return paddle.static.load_inference_model(
            files["folder"],
            self.executor,
            model_filename=files["program"],
            params_filename=files.get("params"),
        )

    def _load_vars(self, files: Mapping[str, str]) -> Any:
        """Load the program, and its persistables from separate files with `load_vars`: the older way."""
        loaded, feeds, fetches = paddle.static.load_inference_model(
            files["folder"], self.executor, model_filename=files["program"], params_filename=None
        )
        scope = paddle.static.global_scope()
        for item in programs.parameters(loaded):
            tensor = scope.find_var(item["name"]).get_tensor()
            value = np.array(tensor)
            # Emptied first, so that the values can only come from `load_vars`.
            tensor.set(np.zeros_like(value), paddle.CPUPlace())
        paddle.static.load_vars(
            self.executor,
            dirname=files["folder"],
            main_program=loaded,
            predicate=paddle.static.io.is_persistable,
        )
        return loaded, feeds, fetches

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        if self.perturb:
            feed = perturbation.move_feed(feed, self.perturb, self.rng)
        feed, offsets = runtimes.parted(feed, self.lods)
        given: Dict[str, Any] = dict(zip(self.feeds, feed))
        for name, lod in offsets.items():
            lengths = [np.diff(lod).tolist()]
            given[name] = paddle.base.create_lod_tensor(given[name], lengths, paddle.CPUPlace())
        paddle.enable_static()
        try:
            with paddle.static.scope_guard(self.scope):
                outputs = self.executor.run(
                    self.program, feed=given, fetch_list=self.fetches, return_numpy=not offsets
                )
                return [np.asarray(output) for output in outputs]
        finally:
            paddle.disable_static()

    def describe(self) -> Dict[str, Any]:
        return {"device": "cpu", "inputs": list(self.feeds), "outputs": len(self.fetches)}

    def close(self) -> None:
        self.executor.close()
