"""Post-training quantization of exported inference models: with calibration, and of weights only."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, Iterator, List, Mapping

import numpy as np
import paddle

from harness.worker.inspection import programs
from harness.worker.models import networks
from harness.worker.recipes import COMPARED, CompressionMethod, Job, methods_of, recipe
from harness.worker.recipes.inference_formats import built_statically
from harness.worker.recipes.static_quantization import WITH_LINEAR
from harness.worker.training.static_graphs import numbered_from_zero

BATCH, BATCHES = 32, 8
"""Number of calibration examples: the first of the training set, in order."""
BOTH = ("lenet", "conv_bn")
PTQ, DYNAMIC = "paddleslim.quant.quant_post_static", "paddleslim.quant.quant_post_dynamic"
WEIGHTS = "paddle.static.quantization.WeightQuantization"


class Calibration(paddle.io.Dataset):
    """Training inputs without labels; a sample is a list of arrays."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.arrays, _ = job.examples("train", BATCH * BATCHES)

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
    folder, program = os.path.split(job.program)
    logits = programs.logits(job.path(folder), program, job.examples("test", COMPARED)[0])
    np.savez(job.path("compressed.npz"), logits=logits)
    return job.program


def _calibrated(job: Job, source: Mapping[str, Any]) -> Dict[str, Any]:
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
            quantize_model_path=os.path.dirname(job.prefix),
            batch_size=BATCH,
            batch_nums=BATCHES,
            **source,
            **options,
        )
    # The rule for an activation's scale, where the algorithm has a simple one.
    rule = {"abs_max": "largest", "avg": "mean"}.get(job.parameters["algo"])
    plain = "round_type" not in job.parameters and "bias_correction" not in job.parameters
    return {
        "program": hold(job),
        "bits": job.parameters.get("weight_bits", 8),
        "quantizable": job.parameters.get("quantizable_op_type", ALL),
        "nearest": plain,
        **({"scale_rule": rule} if rule else {}),
    }


ALL = [*WITH_LINEAR, "conv2d_transpose", "matmul"]
"""Operators that `quant_post_static` quantizes by default."""


_ptq = methods_of("ptq", "static", PTQ, "ptq-static-", BOTH)


@recipe(
    "ptq_static",
    needs=("jit",),
    methods=(
        _ptq("hist", algo="hist", models=BOTH, full=("mobilenet_v1_x0_125", "transformer")),
        _ptq("hist-fake", algo="hist", onnx_format=False),
        # Pure Python over 1,024 thresholds of 2,048 bins for each activation: half a minute.
        _ptq("kl", algo="KL", full=("lenet",)),
        _ptq("avg", algo="avg"),
        _ptq("abs-max", algo="abs_max", models=("lenet",), full=("conv_bn",)),
        _ptq("min-max", algo="min_max", models=("lenet",), full=("conv_bn",)),
        _ptq("mse", algo="mse"),
        _ptq("mse-fake", algo="mse", onnx_format=False),
        _ptq("emd", algo="emd"),
        _ptq("emd-fake", algo="emd", onnx_format=False),
        _ptq("ptf", algo="ptf"),
        _ptq("per-tensor", algo="hist", weight_quantize_type="abs_max"),
        _ptq("per-tensor-fake", algo="hist", weight_quantize_type="abs_max", onnx_format=False),
        _ptq("bias-correction", algo="hist", bias_correction=True),
        _ptq("bias-correction-fake", algo="hist", bias_correction=True, onnx_format=False),
        _ptq("adaround", algo="hist", round_type="adaround"),
        _ptq("adaround-fake", algo="hist", round_type="adaround", onnx_format=False),
        _ptq("16", algo="hist", weight_bits=16, activation_bits=16, full=("lenet",)),
        _ptq("16-fake", algo="hist", weight_bits=16, activation_bits=16, onnx_format=False, full=("lenet",)),
        _ptq("fused", algo="hist", optimize_model=True, full=("conv_bn",)),
        _ptq("conv-only", algo="hist", quantizable_op_type=WITH_LINEAR[:-1], full=("lenet",)),
        _ptq("full", algo="hist", is_full_quantize=True),
        _ptq("onednn", algo="hist", deploy_backend="MKLDNN", full=()),
        _ptq("samples", algo="hist", samples=True, full=()),
    ),
)
def ptq_static(job: Job) -> Dict[str, Any]:
    """`quant_post_static` of the exported model; parameters are its own, ``samples``: a sample generator."""
    return _calibrated(job, job.exported)


@recipe("ptq_static_separate", needs=("separate",), methods=(_ptq("separate", algo="hist", full=("lenet",)),))
def ptq_static_separate(job: Job) -> Dict[str, Any]:
    """`quant_post_static` of a folder with the program as `__model__` and one file per parameter."""
    folder = job.of("separate", "separate_persistables")
    return _calibrated(job, {"model_dir": folder, "model_filename": None, "params_filename": None})


def _weights(api: str) -> Callable[..., CompressionMethod]:
    return methods_of("weights", "static", api, "weights-", BOTH)


@recipe(
    "weights_static",
    needs=("jit",),
    methods=(
        _weights(DYNAMIC)("dynamic", ("lenet",), ("conv_bn", "mobilenet_v1_x0_125", "transformer")),
        _weights(DYNAMIC)("dynamic-16", weight_bits=16),
        _weights(WEIGHTS)("per-tensor", weight_quantize_type="abs_max"),
    ),
)
def weights_static(job: Job) -> Dict[str, Any]:
    """Weights in 8 or 16 bits without calibration, both as rounded float values and as integers.

    The first is PaddleSlim's `test_model`, for Paddle to run: the artifact's ``inference_model``. The
    second, `quantized_model`, is for Paddle Lite: ``int8``, for either width. With
    ``weight_quantize_type`` it calls Paddle's class, since PaddleSlim's function does not pass that
    argument on.
    """
    options = {"weight_bits": 8, **job.parameters}
    with numbered_from_zero():
        if "weight_quantize_type" in options:
            from paddle.static.quantization import WeightQuantization

            quantizer = WeightQuantization(**job.exported)
            quantizer.quantize_weight_to_int(save_model_dir=job.out, generate_test_model=True, **options)
        else:
            from paddleslim.quant import quant_post_dynamic

            quant_post_dynamic(save_model_dir=job.out, generate_test_model=True, **job.exported, **options)
    os.rename(os.path.join(job.out, "test_model"), os.path.join(job.out, "inference_model"))
    os.rename(os.path.join(job.out, "quantized_model"), os.path.join(job.out, "int8"))
    return {"program": hold(job), "bits": options["weight_bits"], "quantizable": ["conv2d", "mul"]}


@recipe(
    "weights_embedding",
    needs=("checkpoint",),
    methods=(_weights("paddleslim.quant.quant_embedding")("embedding", ("transformer",), ("two_inputs",)),),
)
def weights_embedding(job: Job) -> Dict[str, Any]:
    """`quant_embedding` of a static program: tables in int8, dequantized after the look-up."""
    from paddleslim.quant import quant_embedding

    arrays, _ = job.examples("test", COMPARED)
    with built_statically(job) as (_, main, inputs, outputs, executor), paddle.utils.unique_name.guard():
        quantized = quant_embedding(main, paddle.CPUPlace())
        feed = {variable.name: array for variable, array in zip(inputs, arrays)}
        logits = executor.run(quantized, feed=feed, fetch_list=[outputs[0].name])[0]
        np.savez(job.path("compressed.npz"), logits=logits)
        targets = [quantized.global_block().var(output.name) for output in outputs]
        paddle.static.save_inference_model(job.prefix, inputs, targets, executor, program=quantized)
    return {"program": job.program, "bits": 8, "quantizable": ["lookup_table_v2"]}
