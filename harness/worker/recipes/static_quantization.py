"""Document 001: quantization-aware training of a static program, and what `convert` makes of it."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import replace
from typing import Any, Dict, Iterator, List, NamedTuple

import numpy as np
import paddle

from harness.worker.inspection import programs
from harness.worker.inspection.programs import program_file
from harness.worker.models import networks
from harness.worker.models.digits import FILES, Digits
from harness.worker.models.model import Training
from harness.worker.recipes import CompressionMethod, Job, recipe
from harness.worker.training.loops import batches, make_optimizer

WITH_LINEAR = ["conv2d", "depthwise_conv2d", "mul", "matmul_v2"]
"""PaddleSlim's default operator types, and the type that a `Linear` becomes, which the default lacks."""
FAKE: Dict[str, Any] = {"onnx_format": False}
"""The older form, with `fake_quantize_...` operators and float weights; only it has an int8 program."""
PER_TENSOR = {"quantize_op_types": WITH_LINEAR, "weight_quantize_type": "abs_max"}
FINE_TUNING = 0.1
"""Share of the training's learning rate; document 004 asks for 1/20 to 1/10."""
HELD = 64
"""Number of test examples whose logits an artifact keeps."""


@contextlib.contextmanager
def numbered_from_zero() -> Iterator[None]:
    """Enter static graph mode, with generated names that do not depend on the process's history.

    Entering static mode restores its last name counters, and the quantizing passes continue them.
    """
    with programs.static_mode(), paddle.utils.unique_name.guard():
        yield


class Built(NamedTuple):
    """A static training program and its clone for evaluation, which share names and parameters."""

    net: Any
    train: Any
    evaluate: Any
    inputs: List[Any]
    outputs: List[str]
    """Names of top-1 and top-5 accuracy and of the mean loss, in document 001's order."""
    logits: str
    executor: Any


def build(job: Job, training: Training) -> Built:
    """Return the train program as document 001 builds it, and its `clone(for_test=True)`.

    Labels are int64 ``[n, 1]``, named ``label``; the parameters have the network's initial values.
    """
    main, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(main, startup):
        inputs = networks.static_inputs(job.model)
        label = paddle.static.data("label", [None, 1], "int64")
        net = job.model.build(**job.model.arguments)
        logits = networks.outputs_of(net(*inputs))[0]
        loss = paddle.mean(paddle.nn.functional.cross_entropy(logits, label))
        accuracies = [paddle.metric.accuracy(logits, label, k=k) for k in (1, min(5, logits.shape[-1]))]
        make_optimizer(training, None).minimize(loss)
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(startup)
    evaluate = main.clone(for_test=True)
    names = [variable.name for variable in (*accuracies, loss)]
    return Built(net, main, evaluate, [*inputs, label], names, logits.name, executor)


def run(built: Built, program: Any, fed: List[np.ndarray], labels: np.ndarray, fetch: List[str]) -> List[Any]:
    """Run a program once with `Executor.run` on arrays and labels ``[n, 1]``."""
    feed = {variable.name: array for variable, array in zip(built.inputs, [*fed, labels])}
    return list(built.executor.run(program, feed=feed, fetch_list=fetch))


def operator_counts(program: Any) -> Dict[str, int]:
    """Return how often each operator type occurs in a program, by name."""
    return dict(sorted(Counter(op["name"] for op in programs.operators(program)).items()))


def _method(
    name: str, *, full: Any = ("lenet", "conv_bn"), models: Any = (), **parameters: Any
) -> CompressionMethod:
    return CompressionMethod(
        "qat-static" + name, "qat", "static", "paddleslim.quant.quant_aware", parameters, models, full
    )


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
        _method("-16-fake", config={"weight_bits": 16, **FAKE}, models=(), full=("lenet",)),
        _method(
            "-matmul-fake",
            config={"quantize_op_types": WITH_LINEAR, **FAKE},
            save_int8=True,
            models=(),
            full=("lenet", "conv_bn", "mobilenet_v1_x0_125"),
        ),
        _method(
            "-per-tensor", config=PER_TENSOR, models=(), full=("lenet", "conv_bn", "mobilenet_v1_x0_125")
        ),
        _method("-per-tensor-fake", config={**PER_TENSOR, **FAKE}, save_int8=True),
        _method(
            "-range-fake",
            config={"activation_quantize_type": "range_abs_max", **FAKE},
            save_int8=True,
            models=(),
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

    training = job.model.training
    assert training is not None, job.model.name
    config, save_int8 = job.parameters.get("config"), bool(job.parameters.get("save_int8"))
    paddle.seed(job.model.seed)
    with numbered_from_zero():
        place = paddle.CPUPlace()
        built = build(job, replace(training, learning_rate=training.learning_rate * FINE_TUNING))
        values = paddle.load(job.of("checkpoint", "model.pdparams"), return_numpy=True)
        programs.set_layer_values(built.net, built.train, values)
        clipped = job.parameters.get("pact", ())
        trained, evaluated = (
            quant_aware(program, place, config, for_test=test, **(_pact(built) if name in clipped else {}))
            for name, program, test in (("train", built.train, False), ("test", built.evaluate, True))
        )
        arrays, labels = training.examples(Digits(job.digits), "train")
        rng = np.random.default_rng(job.model.seed)
        losses = [
            float(np.asarray(run(built, trained, fed, target, built.outputs)[-1]).mean())
            for fed, target in batches(arrays, labels, training.batch_size, rng)
        ]
        held, answers = training.examples(Digits(job.digits), "test")
        logits = run(built, evaluated, [a[:HELD] for a in held], answers[:HELD, None], [built.logits])[0]
        np.savez(job.path("compressed.npz"), logits=logits)
        converted = convert(evaluated, place, config, save_int8=save_int8)
        prefixes = {"inference_model": converted}
        if save_int8:
            prefixes = {"inference_model": converted[0], "int8": converted[1]}
        for folder, program in prefixes.items():
            save(built, program, job.path(folder, "model"))
        counts = {name: operator_counts(program) for name, program in prefixes.items()}
        thresholds = [
            float(np.asarray(paddle.static.global_scope().find_var(name).get_tensor()))
            for name in evaluated.global_block().vars
            if name.endswith("_pact")
        ]
    return {
        "program": os.path.relpath(program_file(job.path("inference_model", "model")), job.out),
        "losses": losses,
        "bits": (config or {}).get("weight_bits", 8),
        "quantizable": (config or {}).get("quantize_op_types", WITH_LINEAR[:-1]),
        "operators": {**counts, "quantized_eval": operator_counts(evaluated)},
        "thresholds": thresholds,
    }


def _pact(built: Built) -> Dict[str, Any]:
    """Return `quant_aware`'s arguments that clip activations at trained thresholds."""
    from paddleslim.quant import quanter

    return {
        "act_preprocess_func": quanter.pact,
        "optimizer_func": quanter.get_pact_optimizer,
        "executor": built.executor,
    }


def save(built: Built, program: Any, prefix: str, target: str = "") -> None:
    """Save a converted program with `save_inference_model`; it fetches the logits or the named ``target``."""
    variable = program.global_block().var(target or built.logits)
    paddle.static.save_inference_model(
        path_prefix=prefix,
        feed_vars=built.inputs[:-1],
        fetch_vars=[variable],
        executor=built.executor,
        program=program,
    )


def _loaders(job: Job, built: Built, place: Any) -> Dict[str, Any]:
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

    assert job.model.training is not None, job.model.name
    config = {"onnx_format": bool(job.parameters.get("onnx_format"))}
    training = replace(
        job.model.training, optimizer="Momentum", learning_rate=0.01, optimizer_arguments={"momentum": 0.9}
    )
    paddle.seed(job.model.seed)
    with numbered_from_zero():
        place = paddle.CPUPlace()
        built = build(job, training)
        loaders = _loaders(job, built, place)

        def passed(program: Any, split: str) -> List[List[float]]:
            """Return top-1, top-5 and loss of every batch of one pass."""
            return [
                [
                    float(np.asarray(value).mean())
                    for value in built.executor.run(program, feed=batch, fetch_list=built.outputs)
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
            "quantized_train": dict(
                sorted(
                    Counter(
                        op.name() for op in paddle.framework.IrGraph(trained._graph).all_op_nodes()
                    ).items()
                )
            ),
            "quantized_eval": operator_counts(evaluated),
        }
        losses["quantized"] = [row[-1] for row in passed(trained, "train")]
        measured["quantized"] = tested(evaluated)
        float_prog, int8_prog = convert(evaluated, place, config, save_int8=True)
        counts.update(float_prog=operator_counts(float_prog), int8_prog=operator_counts(int8_prog))
        for name, program in (("float", float_prog), ("int8", int8_prog)):
            save(built, program, job.path("inference_model", name), built.outputs[-1])
            save(built, program, job.path("logits", name))
    return {
        "losses": losses["float"],
        "quantized_losses": losses["quantized"],
        "measured": measured,
        "operators": counts,
        "files": sorted(
            os.path.relpath(os.path.join(parent, name), job.out)
            for parent, _, names in os.walk(job.out)
            for name in names
        ),
    }
