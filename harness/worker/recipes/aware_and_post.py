"""Document 004's comparison: what quantization-aware training and calibration lose from one float model."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Dict

import numpy as np
import paddle

from harness.worker.classification import compress, engine
from harness.worker.inspection import programs
from harness.worker.recipes import Job, recipe
from harness.worker.recipes.classification import examples, load, quiet, settings


@recipe("aware_and_post", deadlines=3)
def aware_and_post(job: Job) -> Dict[str, Any]:
    """Train as usual; then do quantization-aware training as advised, and offline quantization.

    ``seed`` is a parameter. Writes ``predictions.npz``: the class of every test digit, int64 ``[n]``,
    by the float model (``usual``), ``aware`` and ``post``, and ``labels``.
    """
    arrays, labels = examples(job)
    classes: Dict[str, np.ndarray] = {}
    seed = {"Global.seed": int(job.parameters["seed"])}
    with tempfile.TemporaryDirectory() as folder:
        places = {name: os.path.join(folder, name) for name in ("usual", "aware", "exported")}
        usual = engine.train(load(settings(job, "", **seed, **{"Global.output_dir": places["usual"]})), quiet)
        classes["usual"] = usual.network.layer(paddle.to_tensor(arrays)).numpy().argmax(axis=1)
        start = {**seed, "Global.pretrained_model": usual.best_model}
        aware = engine.train(
            load(settings(job, "quantization", **start, **{"Global.output_dir": places["aware"]})), quiet
        )
        classes["aware"] = aware.network.layer(paddle.to_tensor(arrays)).numpy().argmax(axis=1)
        configured = load(settings(job, "", **start, **{"Global.save_inference_dir": places["exported"]}))
        engine.export(configured, quiet)
        written = engine.quantize(configured, quiet)
        program = os.path.basename(compress.program_of(written, "model"))
        classes["post"] = programs.logits(written, program, [arrays]).argmax(axis=1)
    np.savez(job.path("predictions.npz"), labels=labels, **classes)
    return {name: float((found == labels).mean()) for name, found in classes.items()}
