"""Post-training quantization of exported inference models: with calibration, and of weights only."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List

import numpy as np
import paddle

from harness.worker.inspection.programs import program_file
from harness.worker.models import networks
from harness.worker.models.digits import Digits
from harness.worker.recipes import CompressionMethod, Job, recipe
from harness.worker.recipes.inference_formats import built_statically
from harness.worker.recipes.static_quantization import HELD, WITH_LINEAR, numbered_from_zero
from harness.worker.training.fine_tuning import training_of

BATCH, BATCHES = 32, 8
"""Number of calibration examples: the first of the training set, in order."""
PTQ, DYNAMIC = "paddleslim.quant.quant_post_static", "paddleslim.quant.quant_post_dynamic"
WEIGHTS = "paddle.static.quantization.WeightQuantization"


class Calibration(paddle.io.Dataset):
    """Training inputs without labels; a sample is a list of arrays."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.arrays, _ = training_of(job.model).examples(Digits(job.digits), "train")

    def __getitem__(self, index: int) -> List[np.ndarray]:
        return [array[index] for array in self.arrays]

    def __len__(self) -> int:
        return BATCH * BATCHES


def loader(job: Job, place: Any) -> Any:
    """Return a loader of batches for a static program, as PaddleSlim's documents write it."""
    with paddle.static.program_guard(paddle.static.Program()):
        inputs = networks.static_inputs(job.model)
    return paddle.io.DataLoader(
        Calibration(job),
        places=place,
        feed_list=inputs,
        batch_size=BATCH,
        shuffle=False,
        drop_last=True,
        return_list=False,
    )


def hold(job: Job) -> str:
    """Keep the static executor's logits of the written program for the first test digits.

    A quantizer of files shows its program only in the files. Returns the program's path in the artifact.
    """
    path = program_file(job.path("inference_model", "model"))
    arrays, _ = training_of(job.model).examples(Digits(job.digits), "test")
    with paddle.static.scope_guard(paddle.static.Scope()):
        executor = paddle.static.Executor(paddle.CPUPlace())
        loaded, names, targets = paddle.static.load_inference_model(path.rsplit(".", 1)[0], executor)
        feed = dict(zip(names, (array[:HELD] for array in arrays)))
        logits = executor.run(loaded, feed=feed, fetch_list=targets)[0]
    np.savez(job.path("compressed.npz"), logits=logits)
    return os.path.relpath(path, job.out)


def _calibrated(job: Job, folder: str, program: Any, params: Any) -> Dict[str, Any]:
    from paddleslim.quant import quant_post_static

    options = dict(job.parameters)
    with numbered_from_zero():
        place = paddle.CPUPlace()
        if options.pop("samples", False):
            dataset = Calibration(job)

            def samples() -> Iterator[List[np.ndarray]]:
                return (dataset[index] for index in range(len(dataset)))

            options["sample_generator"] = samples
        else:
            options["data_loader"] = loader(job, place)
        quant_post_static(
            executor=paddle.static.Executor(place),
            model_dir=folder,
            quantize_model_path=os.path.dirname(job.path("inference_model", "model")),
            model_filename=program,
            params_filename=params,
            batch_size=BATCH,
            batch_nums=BATCHES,
            **options,
        )
        written = hold(job)
    # The rule for an activation's scale, where the algorithm has a simple one.
    rule = {"abs_max": "largest", "avg": "mean"}.get(job.parameters["algo"])
    plain = "round_type" not in job.parameters and "bias_correction" not in job.parameters
    return {
        "program": written,
        "bits": job.parameters.get("weight_bits", 8),
        "quantizable": job.parameters.get("quantizable_op_type", ALL),
        "nearest": plain,
        **({"scale_rule": rule} if rule else {}),
    }


ALL = [*WITH_LINEAR, "conv2d_transpose", "matmul"]
"""Operators that `quant_post_static` quantizes by default."""


def _ptq(
    name: str, *, models: Any = (), full: Any = ("lenet", "conv_bn"), **parameters: Any
) -> CompressionMethod:
    return CompressionMethod("ptq-static-" + name, "ptq", "static", PTQ, parameters, models, full)


@recipe(
    "ptq_static",
    needs=("jit",),
    methods=(
        _ptq("hist", algo="hist", models=("lenet", "conv_bn"), full=("mobilenet_v1_x0_125", "transformer")),
        _ptq("hist-fake", algo="hist", onnx_format=False),
        # Pure Python over 1,024 thresholds of 2,048 bins for each activation: half a minute.
        _ptq("kl", algo="KL", models=(), full=("lenet",)),
        _ptq("avg", algo="avg"),
        _ptq("abs-max", algo="abs_max", models=("lenet",), full=("conv_bn",)),
        _ptq("min-max", algo="min_max", models=("lenet",), full=("conv_bn",)),
        _ptq("mse", algo="mse"),
        _ptq("mse-fake", algo="mse", onnx_format=False, models=(), full=("lenet", "conv_bn")),
        _ptq("emd", algo="emd"),
        _ptq("emd-fake", algo="emd", onnx_format=False, models=(), full=("lenet", "conv_bn")),
        _ptq("ptf", algo="ptf"),
        _ptq("per-tensor", algo="hist", weight_quantize_type="abs_max"),
        _ptq("per-tensor-fake", algo="hist", weight_quantize_type="abs_max", onnx_format=False),
        _ptq("bias-correction", algo="hist", bias_correction=True),
        _ptq("bias-correction-fake", algo="hist", bias_correction=True, onnx_format=False),
        _ptq("adaround", algo="hist", round_type="adaround"),
        _ptq("adaround-fake", algo="hist", round_type="adaround", onnx_format=False),
        _ptq("16", algo="hist", weight_bits=16, activation_bits=16, full=("lenet",)),
        _ptq("16-fake", algo="hist", weight_bits=16, activation_bits=16, onnx_format=False, full=("lenet",)),
        _ptq("fused", algo="hist", optimize_model=True, models=(), full=("conv_bn",)),
        _ptq("conv-only", algo="hist", quantizable_op_type=WITH_LINEAR[:-1], models=(), full=("lenet",)),
        _ptq("full", algo="hist", is_full_quantize=True, models=(), full=("lenet", "conv_bn")),
        _ptq("onednn", algo="hist", deploy_backend="MKLDNN", full=()),
        _ptq("samples", algo="hist", samples=True, full=()),
    ),
)
def ptq_static(job: Job) -> Dict[str, Any]:
    """`quant_post_static` of the exported model; parameters are its own, ``samples``: a sample generator."""
    folder = job.of("jit", "inference_model")
    program = os.path.basename(program_file(os.path.join(folder, "model")))
    return _calibrated(job, folder, program, "model.pdiparams")


@recipe("ptq_static_separate", needs=("separate",), methods=(_ptq("separate", algo="hist", full=("lenet",)),))
def ptq_static_separate(job: Job) -> Dict[str, Any]:
    """`quant_post_static` of a folder with the program as `__model__` and one file per parameter."""
    return _calibrated(job, job.of("separate", "separate_persistables"), None, None)


def _weights(
    name: str, api: str, models: Any = (), full: Any = ("lenet", "conv_bn"), **parameters: Any
) -> CompressionMethod:
    return CompressionMethod("weights-" + name, "weights", "static", api, parameters, models, full)


@recipe(
    "weights_static",
    needs=("jit",),
    methods=(
        _weights("dynamic", DYNAMIC, ("lenet",), ("conv_bn", "mobilenet_v1_x0_125", "transformer")),
        _weights("dynamic-16", DYNAMIC, weight_bits=16),
        _weights("per-tensor", WEIGHTS, weight_quantize_type="abs_max"),
    ),
)
def weights_static(job: Job) -> Dict[str, Any]:
    """Weights in 8 or 16 bits without calibration, both as rounded float values and as integers.

    The first is PaddleSlim's `test_model`, for Paddle to run: the artifact's ``inference_model``. The
    second, `quantized_model`, is for Paddle Lite: ``int8``, for either width. With
    ``weight_quantize_type`` it calls Paddle's class, since PaddleSlim's function does not pass that
    argument on.
    """
    folder = job.of("jit", "inference_model")
    source = {
        "model_dir": folder,
        "model_filename": os.path.basename(program_file(os.path.join(folder, "model"))),
        "params_filename": "model.pdiparams",
    }
    options = {"weight_bits": 8, **job.parameters}
    with numbered_from_zero():
        if "weight_quantize_type" in options:
            from paddle.static.quantization import WeightQuantization

            quantizer = WeightQuantization(**source)
            quantizer.quantize_weight_to_int(save_model_dir=job.out, generate_test_model=True, **options)
        else:
            from paddleslim.quant import quant_post_dynamic

            quant_post_dynamic(save_model_dir=job.out, generate_test_model=True, **source, **options)
        os.rename(os.path.join(job.out, "test_model"), os.path.join(job.out, "inference_model"))
        os.rename(os.path.join(job.out, "quantized_model"), os.path.join(job.out, "int8"))
        written = hold(job)
    return {"program": written, "bits": options["weight_bits"], "quantizable": ["conv2d", "mul"]}


@recipe(
    "weights_embedding",
    needs=("checkpoint",),
    methods=(_weights("embedding", "paddleslim.quant.quant_embedding", ("transformer",), ("two_inputs",)),),
)
def weights_embedding(job: Job) -> Dict[str, Any]:
    """`quant_embedding` of a static program: tables in int8, dequantized after the look-up."""
    from paddleslim.quant import quant_embedding

    arrays, _ = training_of(job.model).examples(Digits(job.digits), "test")
    with built_statically(job) as (main, inputs, outputs, executor), paddle.utils.unique_name.guard():
        quantized = quant_embedding(main, paddle.CPUPlace())
        feed = {variable.name: array[:HELD] for variable, array in zip(inputs, arrays)}
        logits = executor.run(quantized, feed=feed, fetch_list=[outputs[0].name])[0]
        np.savez(job.path("compressed.npz"), logits=logits)
        prefix = job.path("inference_model", "model")
        targets = [quantized.global_block().var(output.name) for output in outputs]
        paddle.static.save_inference_model(prefix, inputs, targets, executor, program=quantized)
    return {
        "program": os.path.relpath(program_file(prefix), job.out),
        "bits": 8,
        "quantizable": ["lookup_table_v2"],
    }
