"""Document 001: quantization-aware training of a static program, and what `convert` makes of it."""

from __future__ import annotations

import functools
import os
from collections import Counter
from typing import Any, Dict, Iterable, List

import numpy as np
import paddle

from harness.worker.inspection import programs
from harness.worker.models.digits import FILES
from harness.worker.recipes import COMPARED, Job, methods_of, recipe
from harness.worker.training import static_graphs
from harness.worker.training.fine_tuning import batches
from harness.worker.training.loops import FINE_TUNING, make_optimizer
from harness.worker.training.static_graphs import numbered_from_zero

WITH_LINEAR = ["conv2d", "depthwise_conv2d", "mul", "matmul_v2"]
"""PaddleSlim's default operator types, and the type that a `Linear` becomes, which the default lacks."""
FAKE: Dict[str, Any] = {"onnx_format": False}
"""The older form, with `fake_quantize_...` operators and float weights; only it has an int8 program."""
PER_TENSOR = {"quantize_op_types": WITH_LINEAR, "weight_quantize_type": "abs_max"}


def operator_counts(program: Any) -> Dict[str, int]:
    """Return how often each operator type occurs in a program, by name."""
    return _counts(op["name"] for op in programs.operators(program))


def _counts(names: Iterable[str]) -> Dict[str, int]:
    return dict(sorted(Counter(names).items()))


_method = methods_of("qat", "static", "paddleslim.quant.quant_aware", "qat-static", full=("lenet", "conv_bn"))


@recipe(
    "qat_static",
    needs=("checkpoint",),
    methods=(
        _method("", models=("lenet",), full=("conv_bn", "mobilenet_v1_x0_125", "resnet_vd_small")),
        _method("-fake", config=FAKE, save_int8=True, models=("lenet",), full=("conv_bn",)),
        _method(
            "-matmul", config={"quantize_op_types": WITH_LINEAR}, full=("lenet", "conv_bn", "transformer")
        ),
        _method("-16", config={"weight_bits": 16}, full=("lenet",)),
        _method("-16-fake", config={"weight_bits": 16, **FAKE}, full=("lenet",)),
        _method(
            "-matmul-fake",
            config={"quantize_op_types": WITH_LINEAR, **FAKE},
            save_int8=True,
            full=("lenet", "conv_bn", "mobilenet_v1_x0_125"),
        ),
        _method("-per-tensor", config=PER_TENSOR, full=("lenet", "conv_bn", "mobilenet_v1_x0_125")),
        _method("-per-tensor-fake", config={**PER_TENSOR, **FAKE}, save_int8=True),
        _method(
            "-range-fake",
            config={"activation_quantize_type": "range_abs_max", **FAKE},
            save_int8=True,
            full=("lenet", "conv_bn"),
        ),
        _method("-pact", pact=["train", "test"]),
        _method("-pact-fake", pact=["train", "test"], config=FAKE, full=("lenet",)),
        _method("-pact-train-only", pact=["train"], full=("lenet",)),
    ),
)
def qat_static(job: Job) -> Dict[str, Any]:
    """`quant_aware` on train and eval programs, one epoch of fine-tuning, `convert`, both forms saved.

    ``config`` is PaddleSlim's quantization configuration (``None``: the default). ``save_int8`` makes
    `convert` also return the int8 program, which is saved in ``int8/``. ``pact`` names the programs that get
    PACT (arXiv 1805.06085) as PaddleSlim writes it: both in its demo, only the train program in its
    `quant_aware_with_infermodel`.
    """
    from paddleslim.quant import convert, quant_aware

    config, save_int8 = job.parameters.get("config"), bool(job.parameters.get("save_int8"))
    paddle.seed(job.model.seed)
    with numbered_from_zero():
        place = paddle.CPUPlace()
        optimizer = functools.partial(make_optimizer, job.training, None, FINE_TUNING)
        built = static_graphs.trainable(job.model, optimizer, as_in_001=True)
        values = paddle.load(job.of("checkpoint", "model.pdparams"), return_numpy=True)
        programs.set_layer_values(built.net, built.train, values)
        clipped = job.parameters.get("pact", ())
        trained, evaluated = (
            quant_aware(program, place, config, for_test=test, **(_pact(built) if name in clipped else {}))
            for name, program, test in (("train", built.train, False), ("test", built.evaluate, True))
        )
        losses = static_graphs.tune(built, trained, batches(job.model, job.digits, epochs=1))
        logits = static_graphs.logits_of(built, evaluated, job.examples("test", COMPARED)[0])
        np.savez(job.path("compressed.npz"), logits=logits)
        converted = convert(evaluated, place, config, save_int8=save_int8)
        prefixes = {"inference_model": converted}
        if save_int8:
            prefixes = {"inference_model": converted[0], "int8": converted[1]}
        for folder, program in prefixes.items():
            static_graphs.save(built, program, job.path(folder, "model"))
        counts = {name: operator_counts(program) for name, program in prefixes.items()}
        thresholds = [
            float(np.asarray(paddle.static.global_scope().find_var(name).get_tensor()))
            for name in evaluated.global_block().vars
            if name.endswith("_pact")
        ]
    return {
        "program": job.program,
        "losses": losses,
        "bits": (config or {}).get("weight_bits", 8),
        "quantizable": (config or {}).get("quantize_op_types", WITH_LINEAR[:-1]),
        "operators": {**counts, "quantized_eval": operator_counts(evaluated)},
        "thresholds": thresholds,
    }


def _pact(built: static_graphs.Trainable) -> Dict[str, Any]:
    """Return `quant_aware`'s arguments that clip activations at trained thresholds."""
    from paddleslim.quant import quanter

    return {
        "act_preprocess_func": quanter.pact,
        "optimizer_func": quanter.get_pact_optimizer,
        "executor": built.executor,
    }


def _loaders(job: Job, built: static_graphs.Trainable, place: Any) -> Dict[str, Any]:
    """Return document 001's loaders: batches of 64 images in [-1, 1] and labels ``[64, 1]``, all full."""
    import paddle.vision.transforms as T

    transform = T.Compose([T.Transpose(), T.Normalize([127.5], [127.5])])
    return {
        split: paddle.io.DataLoader(
            paddle.vision.datasets.MNIST(
                *(os.path.join(job.digits, name) for name in FILES[split]),
                mode=split,
                transform=transform,
                download=False,
                backend="cv2",
            ),
            places=place,
            feed_list=built.inputs,
            drop_last=True,
            batch_size=64,
            return_list=False,
            shuffle=split == "train",
        )
        for split in FILES
    }


@recipe("document_001")
def document_001(job: Job) -> Dict[str, Any]:
    """Document 001: train, `clone(for_test=True)`, `quant_aware`, fine-tune, `convert`, save both forms.

    ``onnx_format`` in the configuration is off unless the parameter of that name sets it: with PaddleSlim's
    default, which the document uses, `convert(save_int8=True)` refuses. As in the document, `float` and
    `int8` are saved with the loss as target, which needs a label that is not fed. ``logits/`` has the same
    programs with the logits as target.
    """
    from paddleslim.quant import convert, quant_aware

    config = {"onnx_format": bool(job.parameters.get("onnx_format"))}
    optimizer = functools.partial(paddle.optimizer.Momentum, learning_rate=0.01, momentum=0.9)
    paddle.seed(job.model.seed)
    with numbered_from_zero():
        place = paddle.CPUPlace()
        built = static_graphs.trainable(job.model, optimizer, as_in_001=True)
        loaders = _loaders(job, built, place)

        def passed(program: Any, split: str) -> List[List[float]]:
            """Return top-1, top-5 and loss of every batch of one pass."""
            return [
                [
                    float(np.asarray(value).mean())
                    for value in built.executor.run(program, feed=batch, fetch_list=built.fetches)
                ]
                for batch in loaders[split]()
            ]

        def tested(program: Any) -> List[float]:
            return [float(value) for value in np.mean(passed(program, "test"), axis=0)]

        losses = {"float": [row[-1] for row in passed(built.train, "train")]}
        measured = {"float": tested(built.evaluate)}
        trained = quant_aware(built.train, place, config, for_test=False)
        evaluated = quant_aware(built.evaluate, place, config, for_test=True)
        counts = {
            "train": operator_counts(built.train),
            "eval": operator_counts(built.evaluate),
            "quantized_train": _counts(
                op.name() for op in paddle.framework.IrGraph(trained._graph).all_op_nodes()
            ),
            "quantized_eval": operator_counts(evaluated),
        }
        losses["quantized"] = [row[-1] for row in passed(trained, "train")]
        measured["quantized"] = tested(evaluated)
        float_prog, int8_prog = convert(evaluated, place, config, save_int8=True)
        counts.update(float_prog=operator_counts(float_prog), int8_prog=operator_counts(int8_prog))
        for name, program in (("float", float_prog), ("int8", int8_prog)):
            static_graphs.save(built, program, job.path("inference_model", name), built.fetches[-1])
            static_graphs.save(built, program, job.path("logits", name))
    return {
        "losses": losses["float"],
        "quantized_losses": losses["quantized"],
        "measured": measured,
        "operators": counts,
        "files": job.files,
    }
