"""Post-training quantization that searches: rounding by reconstruction, settings by hyper-parameters."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Any, Dict, Iterator

import paddle

from harness.worker.recipes import Job, methods_of, recipe
from harness.worker.recipes.post_training_static import BATCH, BATCHES, hold, loader
from harness.worker.recipes.static_quantization import WITH_LINEAR
from harness.worker.training.static_graphs import numbered_from_zero

RECON, HPO = "paddleslim.quant.quant_recon_static", "paddleslim.quant.quant_post_hpo"
OPERATORS = [*WITH_LINEAR, "matmul"]
"""Operators that `quant_recon_static` quantizes by default."""
CONVOLUTIONS = WITH_LINEAR[:-1]
"""Operators that `quant_post_hpo` quantizes by default."""


EPOCHS = 5
"""Passes over the calibration data per layer, a quarter of the default: they take most of the time."""


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Keep the search from changing the working directory and the environment.

    It writes into the working directory. Where SMAC is missing, it makes the first `python` of the path
    `pip install` it; here pip finds no index.
    """
    before, variables = os.getcwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["PIP_NO_INDEX"] = "1"
        try:
            yield
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(variables)


_recon = methods_of("ptq", "static", RECON, "ptq-recon", ("lenet",))
_hpo = methods_of("ptq", "static", HPO)


@recipe(
    "ptq_recon",
    needs=("jit",),
    methods=(
        _recon("", onnx_format=True, full=("lenet", "conv_bn")),
        _recon("-fake", full=("lenet", "conv_bn")),
        _recon("-regions-fake", recon_level="region-wise"),
        _recon("-drop-fake", simulate_activation_quant=True),
        _recon("-per-tensor-fake", weight_quantize_type="abs_max"),
    ),
)
def ptq_recon(job: Job) -> Dict[str, Any]:
    """`quant_recon_static`: calibration, then each layer's rounding trained to give its float outputs.

    Parameters are that function's. It is PaddleSlim's AdaRound (arXiv 2004.10568), by regions BRECQ (arXiv
    2102.05426), and with ``simulate_activation_quant`` QDrop (arXiv 2203.05740).
    """
    from paddleslim.quant import quant_recon_static

    with numbered_from_zero():
        place = paddle.CPUPlace()
        quant_recon_static(
            executor=paddle.static.Executor(place),
            data_loader=loader(job, place),
            batch_size=BATCH,
            batch_nums=BATCHES,
            epochs=EPOCHS,
            quantize_model_path=os.path.dirname(job.prefix),
            **job.exported,
            **job.parameters,
        )
    return {"program": hold(job), "bits": 8, "quantizable": OPERATORS, "nearest": False}


@recipe(
    "ptq_hpo",
    needs=("jit",),
    methods=(_hpo("ptq-hpo", full=("lenet",), algo=["hist", "mse"], tries=4),),
)
def ptq_hpo(job: Job) -> Dict[str, Any]:
    """`quant_post_hpo`: SMAC searches the settings of `quant_post_static` whose outputs move the least."""
    from paddleslim.quant import quant_post_hpo

    with numbered_from_zero(), _contained():
        place = paddle.CPUPlace()
        quant_post_hpo(
            executor=paddle.static.Executor(place),
            place=place,
            train_dataloader=loader(job, place),
            eval_dataloader=loader(job, place),
            # The default has a comma in place of the dot.
            save_model_filename="model.pdmodel",
            algo=job.parameters["algo"],
            runcount_limit=job.parameters["tries"],
            quantize_model_path=os.path.dirname(job.prefix),
            **job.exported,
        )
    return {"program": hold(job), "bits": 8, "quantizable": CONVOLUTIONS, "nearest": False}
