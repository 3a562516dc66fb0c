"""Documents 001 and 004 sentence by sentence, and the four methods that document 000 links to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.artifacts.store import Artifact
from harness.checks import non_inferiority
from harness.checks.case import Case
from harness.core.errors import NotApplicable
from harness.execution.executor import Executor
from harness.models.catalogue import MethodInfo
from harness.plugin.session import RunSession
from harness.pool.workers import WorkerFailure
from harness.targets.target import Target
from suites.support.compression import INT8, PLAIN, Subject
from suites.support.logits import logits

pytestmark = [pytest.mark.area("Documents 001 and 004 as written"), pytest.mark.runs("compression")]

MOBILENET = "mobilenet_v1_x0_125"

WHOLE_MNIST = 60_000

SEEDS = (1, 2, 3)

profiles = pytest.mark.parametrize("profile", ["", "legacy-ir"], ids=["own", "legacy-ir"])


def document_001(executor: Executor, profile: str) -> Artifact:
    """Return the artifact of document 001's listing, in the run's profile or in legacy IR."""
    if profile == executor.profile:
        raise NotApplicable(
            f"Paddle {executor.paddle} already runs in legacy-IR mode: the plain case covers it"
        )
    return executor.builder.artifact("document_001", MOBILENET, profile)


def inspected(executor: Executor, profile: str, artifact: Artifact, name: str) -> dict[str, Any]:
    """Return what a saved program holds; ``name`` is the document's: ``float`` or ``int8``."""
    found: dict[str, Any] = executor.pool.call(
        "inspection.compressed.inspect",
        spec=executor.spec(Target("read", "static", profile=profile)),
        folder=artifact.file("logits"),
        program=f"{name}.pdmodel",
        params=f"{name}.pdiparams",
    )
    return found


def quantizers(operators: dict[str, int]) -> int:
    """Return the number of operators that quantize or dequantize; ``operators`` has counts by type."""
    return sum(count for kind, count in operators.items() if "quantize" in kind)


@pytest.mark.claims("001-build")
@profiles
def test_001_build(case: Case, executor: Executor, profile: str) -> None:
    """The static MobileNetV1 trains with Momentum(0.01, 0.9), and its clone for testing evaluates."""
    values = document_001(executor, profile).values
    losses, operators = values["losses"], values["operators"]
    case.exact("updates", len(losses), executor.builder.dataset["train"] // 64)
    case.at_most("loss of the last ten updates over the first ten", _fallen(losses), 0.9)
    case.exact("the clone trains too", "momentum" in operators["eval"], False)
    case.exact("the program trains", "momentum" in operators["train"], True)
    top1, top5, _ = values["measured"]["float"]
    case.at_least("top-1 accuracy, twice what guessing gives", top1, 0.2)
    case.at_least("top-5 accuracy over top-1", top5 / top1, 1.0)
    case.measures["accuracy"] = values["measured"]


def _fallen(losses: list[float]) -> float:
    return float(np.mean(losses[-10:]) / np.mean(losses[:10]))


@pytest.mark.claims("001-accuracy")
@profiles
def test_001_accuracy(case: Case, executor: Executor, profile: str) -> None:
    """One epoch on MNIST reaches a top-1 accuracy above 95 %."""
    there = executor.builder.dataset["train"]
    if there < WHOLE_MNIST:
        raise NotApplicable(
            f"the claim is about MNIST's 60,000 digits, not {there:,}: give the whole set with --dataset"
        )
    case.at_least("top-1 accuracy", document_001(executor, profile).values["measured"]["float"][0], 0.95)


@pytest.mark.claims("001-insert")
@profiles
def test_001_insert(case: Case, executor: Executor, profile: str) -> None:
    """`quant_aware` inserts quantizing operators into the train and the eval program."""
    operators = document_001(executor, profile).values["operators"]
    for name in ("train", "eval"):
        case.exact(f"quantizers in the {name} program before", quantizers(operators[name]), 0)
        case.at_least(f"quantizers in the {name} program", quantizers(operators[f"quantized_{name}"]), 2)


@pytest.mark.claims("001-lossless")
@profiles
def test_001_lossless(case: Case, executor: Executor, run_session: RunSession, profile: str) -> None:
    """After one epoch of fine-tuning the quantized model's accuracy is close to the float model's."""
    measured = document_001(executor, profile).values["measured"]
    lost = measured["float"][0] - measured["quantized"][0]
    case.at_most("points of top-1 accuracy lost", 100 * lost, run_session.options.accuracy_bound)
    case.measures["accuracy"] = measured


@pytest.mark.claims("001-convert")
@profiles
def test_001_convert(case: Case, executor: Executor, profile: str) -> None:
    """`convert(save_int8=True)` gives a float and an int8 program; both are saved, and the float one runs."""
    artifact = document_001(executor, profile)
    for name in ("float", "int8"):
        for ending in ("pdmodel", "pdiparams"):
            file = f"inference_model/{name}.{ending}"
            case.exact(f"{file} written", file in artifact.values["files"], True)
    examples = executor.pool.call(
        "training.loops.test_examples", model=MOBILENET, digits=str(executor.builder.digits)
    )
    # The document's loader has the digits in [-1, 1].
    feed = [2 * array - 1 for array in examples["feed"]]
    files = {
        "model": artifact.file("logits/float.pdmodel"),
        "params": artifact.file("logits/float.pdiparams"),
    }
    target = Target("p", "predictor", {"onednn": False}, profile=profile)
    got = logits(executor.execute(target, MOBILENET, [feed], files=files).outputs)
    accuracy = float((got.argmax(axis=1) == examples["labels"]).mean())
    case.at_most(
        "points between the predictor's accuracy and the program's before it was converted",
        100 * abs(accuracy - artifact.values["measured"]["quantized"][0]),
        2.0,
    )


@profiles
def test_001_saved_for_the_loss(case: Case, executor: Executor, profile: str) -> None:
    """The model that the document's last listing saves runs on an image, which is all it is fed."""
    artifact = document_001(executor, profile)
    files = {
        name: artifact.file(f"inference_model/float.{ending}")
        for name, ending in (("model", "pdmodel"), ("params", "pdiparams"))
    }
    target = Target("p", "predictor", {"onednn": False}, profile=profile)
    got = executor.execute(target, MOBILENET, [executor.sample(MOBILENET, 2)], files=files).outputs
    case.exact("outputs", len(got[0]), 1)


@pytest.mark.claims("001-float-range")
@profiles
def test_001_float_range(case: Case, executor: Executor, profile: str) -> None:
    """Weights of the float program are float32 with whole values in the range of int8."""
    layers = inspected(executor, profile, document_001(executor, profile), "float")["layers"]
    convolutions = [layer for layer in layers if "conv" in layer["op"]]
    case.at_least("convolutions", len(convolutions), 10)
    case.exact("types", sorted({layer["dtype"] for layer in convolutions}), ["float32"])
    case.exact("values", sorted({layer["stored"] for layer in convolutions}), ["integers"])


@pytest.mark.claims("001-int8-size")
@profiles
def test_001_int8_size(case: Case, executor: Executor, profile: str) -> None:
    """Weights of the int8 program are int8, and its file is visibly smaller."""
    artifact = document_001(executor, profile)
    layers = inspected(executor, profile, artifact, "int8")["layers"]
    convolutions = [layer["dtype"] for layer in layers if "conv" in layer["op"]]
    case.exact("types", sorted(set(convolutions)), ["int8"])
    sizes = artifact.manifest.sizes
    share = sizes["inference_model/int8.pdiparams"] / sizes["inference_model/float.pdiparams"]
    case.at_most("size over the float program's", share, 0.5)


@pytest.mark.claims("001-int8-unusable")
@profiles
def test_001_int8_unusable(case: Case, executor: Executor, profile: str) -> None:
    """The int8 program cannot be loaded for inference: it only shows the size."""
    artifact = document_001(executor, profile)
    files = {"model": artifact.file("logits/int8.pdmodel"), "params": artifact.file("logits/int8.pdiparams")}
    target = Target("p", "predictor", {"onednn": False}, profile=profile)
    try:
        executor.execute(target, MOBILENET, [executor.sample(MOBILENET, 2)], files=files)
        ended = "it ran"
    except WorkerFailure as failure:
        ended = failure.outcome
        case.notes.append(failure.sentence)
    case.exact("it ran", ended == "it ran", False)


LINKED = ("ptq-static-hist", "qat-static", "ptq-slim-hist", "qat-slim")
"""Post-training quantization and quantization-aware training, in static and in dynamic graph."""


@pytest.mark.claims("000-slim-links")
@pytest.mark.methods(names=LINKED)
def test_linked_flows(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """The method that document 000 links to exists: it writes a model that runs."""
    subject = Subject(case, executor, run_session, model, method)
    feeds = subject.few(1)
    got = logits(subject.run(subject.target(PLAIN), feeds).outputs)
    case.exact("outputs are numbers", bool(np.isfinite(got).all()), True)
    case.exact("examples", len(got), len(feeds[0][0]))


@pytest.mark.claims("004-qat")
@pytest.mark.methods(names=("qat-config",))
def test_004_qat(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """The configuration file trains ResNet-vd quantization-aware on the CPU, and its loss falls."""
    values = Subject(case, executor, run_session, model, method).values
    case.at_most("loss of the last ten updates over the first ten", _fallen(values["losses"]), 1.0)
    case.at_least("accuracy", values["accuracy"][-1], 0.8)


@pytest.mark.claims("004-ptq")
@pytest.mark.methods(names=("ptq-config",))
def test_004_ptq(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """Offline quantization of an exported model writes `quant_post_static_model/` next to it, which runs."""
    subject = Subject(case, executor, run_session, model, method)
    found = {Path(name).parent.name for name in subject.artifact.manifest.files}
    case.exact("quant_post_static_model written", "quant_post_static_model" in found, True)
    feeds, labels = subject.digits()
    got = logits(subject.run(subject.target(PLAIN), feeds).outputs)
    case.at_least("accuracy as it is deployed", float((got.argmax(axis=1) == labels).mean()), 0.8)


@pytest.mark.claims("004-int8-gain")
@pytest.mark.methods(names=("ptq-config",))
def test_004_int8_gain(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo
) -> None:
    """Int8 parameters are smaller, and the model is faster on int8 kernels than in float."""
    subject = Subject(case, executor, run_session, model, method)
    exported = executor.builder.artifact("jit", model, method.profile)
    sizes = [a.manifest.sizes["inference_model/model.pdiparams"] for a in (subject.artifact, exported)]
    case.at_most("size of the parameters", sizes[0] / sizes[1], 0.5)
    found = subject.latency(subject.target(INT8))
    if found["low"] <= 1 <= found["high"]:
        raise NotApplicable(
            f"not enough data: int8 takes {found['low']:.2f} to {found['high']:.2f} of the float time at 99 %"
        )
    case.at_most("time over the float model's, at 99 % confidence", found["high"], 1.0)


Right = dict[str, list[NDArray[np.bool_]]]
"""Which test digits each arm of an experiment recognises, for every seed."""


def trained(
    case: Case, executor: Executor, recipe: str, model: str, seeds: tuple[int, ...], profile: str = ""
) -> Right:
    """Train an experiment's arms once for every seed; return which digits each recognises."""
    found: Right = {}
    for seed in seeds:
        artifact = executor.builder.artifact(recipe, model, profile, seed=seed)
        classes = executor.pool.call("checks.simulation.arrays", path=artifact.file("predictions.npz"))
        labels = classes.pop("labels")
        for arm, given in classes.items():
            found.setdefault(arm, []).append(given == labels)
        case.measures[f"seed_{seed}"] = {arm: float(hits[-1].mean()) for arm, hits in found.items()}
    return found


def hold_order(case: Case, what: str, found: non_inferiority.SeedLoss) -> None:
    """Demand that the candidate loses some accuracy, over seeds.

    Raises:
        NotApplicable: the seeds are too few, or differ too much, to decide.
    """
    case.measures["over_seeds"] = msgspec.to_builtins(found)
    case.notes.append(found.sentence())
    stands = found.against(0.0)
    if stands is non_inferiority.Standing.undecided:
        raise NotApplicable(f"not enough data: {found.sentence()}")
    case.at_least(what, 100 * (found.low if stands is non_inferiority.Standing.worse else found.high), 0.0)


@pytest.mark.full
@pytest.mark.claims("004-hyperparams")
@pytest.mark.parametrize(("model", "seeds"), [("conv_bn", SEEDS)], ids=["conv_bn"])
def test_004_hyperparameters(case: Case, executor: Executor, model: str, seeds: tuple[int, ...]) -> None:
    """Fine-tuning with a tenth of the rate and warm-up beats training from scratch for as many epochs."""
    right = trained(case, executor, "hyperparameters", model, seeds)
    # The control: what plain fine-tuning gains without any quantization.
    control = non_inferiority.over_seeds(right["float-control"], right["advised"])
    case.notes.append(f"quantized against float fine-tuning: {control.sentence()}")
    found = non_inferiority.over_seeds(right["advised"], right["from-scratch"])
    hold_order(case, "points that training from scratch is behind, at least", found)


@pytest.mark.full
@pytest.mark.claims("004-ptq-vs-qat")
@profiles
@pytest.mark.parametrize(("model", "seeds"), [("conv_bn", SEEDS)], ids=["conv_bn"])
def test_004_ptq_against_qat(
    case: Case, executor: Executor, model: str, seeds: tuple[int, ...], profile: str
) -> None:
    """Post-training quantization loses more accuracy than quantization-aware training, over seeds."""
    if profile == executor.profile:
        raise NotApplicable(
            f"Paddle {executor.paddle} already runs in legacy-IR mode: the plain case covers it"
        )
    right = trained(case, executor, "aware_and_post", model, seeds, profile)
    found = non_inferiority.over_seeds(right["aware"], right["post"])
    hold_order(case, "points that post-training quantization loses more, at least", found)
