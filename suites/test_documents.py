"""The methods of documents 000, 002 and 003 as written, and the results that the documents promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.checks.case import Case, bitwise_all, close_all, close_runs
from harness.execution.executor import Executor
from harness.plugin.session import RunSession
from harness.targets.target import Target

pytestmark = [pytest.mark.area("Documents 000, 002 and 003 as written"), pytest.mark.runs("training")]

FULL_MNIST = 60_000


@pytest.mark.claims("000-train")
def test_000_training(case: Case, executor: Executor) -> None:
    """LeNet trains on the digits with Adam(0.001), batch 64, two epochs: loss falls, accuracy rises."""
    values = executor.builder.artifact("document_000", "lenet").values
    losses = values["losses"]
    steps = -(-executor.builder.dataset["train"] // 64)
    case.exact("updates", len(losses), 2 * steps)
    case.at_most(
        "mean loss of the second epoch", float(np.mean(losses[steps:])), 0.5 * float(np.mean(losses[:steps]))
    )
    case.at_most(
        "mean loss of the last ten updates", float(np.mean(losses[-10:])), 0.5 * float(np.mean(losses[:10]))
    )
    first, second = values["train_accuracy"]
    case.at_least("rise of training accuracy", second - first, 0.02)
    case.at_least("test accuracy", values["test_accuracy"], 0.88)
    case.measures.update(
        train_accuracy=[first, second], test_accuracy=values["test_accuracy"], loss_curve=losses
    )


@pytest.mark.claims("000-save", "000-export")
def test_000_files(case: Case, executor: Executor) -> None:
    """Document 000 writes `lenet.pdparams`, `lenet.pdopt`, and the two files of `inference_model/lenet`."""
    files = executor.builder.artifact("document_000", "lenet").values["files"]
    for name in ("lenet.pdparams", "lenet.pdopt", "inference_model/lenet.pdiparams"):
        case.exact(f"{name} written", name in files, True)
    programs = [
        name for name in files if name in ("inference_model/lenet.json", "inference_model/lenet.pdmodel")
    ]
    case.exact("programs written", len(programs), 1)


def test_002_program_name(case: Case, executor: Executor) -> None:
    """The program is `lenet.pdmodel`, the name that document 002's Python and C++ listings load."""
    files = executor.builder.artifact("document_000", "lenet").values["files"]
    programs = [name for name in files if name.endswith((".json", ".pdmodel"))]
    case.exact("program", programs, ["inference_model/lenet.pdmodel"])


@pytest.mark.claims("002-predictor")
def test_002_predictor(case: Case, executor: Executor) -> None:
    """The exported LeNet, run through the predictor's five steps on a random image, equals the network."""
    artifact = executor.builder.artifact("document_000", "lenet")
    feeds = [
        [np.random.default_rng(seed).standard_normal((1, 1, 28, 28)).astype("float32")] for seed in range(3)
    ]
    program = next(n for n in artifact.values["files"] if n.endswith((".json", ".pdmodel")))
    files = {"model": artifact.file(program), "params": artifact.file("inference_model/lenet.pdiparams")}
    weights = {"params": artifact.file("lenet.pdparams")}
    oracle = executor.execute(
        Target("o", "dygraph", {"dtype": "float64"}), "lenet", feeds, files=weights
    ).outputs
    dygraph = executor.execute(Target("d", "dygraph"), "lenet", feeds, files=weights).outputs
    from harness.checks.tolerance import Tolerance

    tolerances = [Tolerance([run[0] for run in dygraph], [run[0] for run in oracle])]
    got = executor.execute(Target("p", "predictor"), "lenet", feeds, files=files)
    case.exact("output is an array", all(type(run[0]) is np.ndarray for run in got.outputs), True)
    close_runs(case, "images: ", got.outputs, oracle, tolerances)


@pytest.mark.claims("003-fit")
def test_003_fit(case: Case, executor: Executor) -> None:
    """`Model.fit` with `save_dir` trains and writes a checkpoint per epoch plus `final`."""
    values = executor.builder.artifact("document_003", "lenet").values
    files = values["files"]
    for name in ("0", "1", "2", "final"):
        case.exact(f"mnist_checkpoint/{name}.pdparams", f"mnist_checkpoint/{name}.pdparams" in files, True)
    first, _, third = values["evaluations"]
    case.at_least("test accuracy after three epochs", third, 0.9)
    case.at_least("gain from first to third epoch", third - first, 0.01)
    case.measures["accuracy_by_epoch"] = values["evaluations"]
    case.measures["loss_curve"] = values["losses"]


@pytest.mark.claims("003-fit")
def test_003_evaluate_and_predict(case: Case, executor: Executor) -> None:
    """`evaluate` after `fit` repeats its last figure, and `predict`'s classes have that accuracy."""
    values = executor.builder.artifact("document_003", "lenet").values
    case.exact("evaluate", values["accuracy"], values["evaluations"][-1])
    case.at_most(
        "distance of predict's accuracy", abs(values["predicted_accuracy"] - values["accuracy"]), 1e-6
    )


@pytest.mark.claims("003-fit-files")
def test_003_fit_files(case: Case, executor: Executor) -> None:
    """`fit` saves only model parameters: one `.pdparams` per epoch and nothing else."""
    files = executor.builder.artifact("document_003", "lenet").values["files"]
    saved = sorted(
        name.split("/")[1] for name in files if name.startswith("mnist_checkpoint/") and "test" not in name
    )
    case.exact("files of fit", saved, ["0.pdparams", "1.pdparams", "2.pdparams", "final.pdparams"])


@pytest.mark.claims("003-save-train")
def test_003_save_for_training(case: Case, executor: Executor) -> None:
    """`Model.save(path)` writes `.pdparams` and `.pdopt`, equal to what `fit` wrote last."""
    artifact = executor.builder.artifact("document_003", "lenet")
    saved = sorted(n for n in artifact.values["files"] if n.startswith("mnist_checkpoint/test"))
    case.exact("files", saved, ["mnist_checkpoint/test.pdopt", "mnist_checkpoint/test.pdparams"])
    for ending in ("pdparams", "pdopt"):
        expected = executor.pool.call(
            "models.states.flat", path=artifact.file("mnist_checkpoint", f"final.{ending}")
        )
        got = executor.pool.call(
            "models.states.flat", path=artifact.file("mnist_checkpoint", f"test.{ending}")
        )
        bitwise_all(case, ending, got, expected)


@pytest.mark.claims("003-save-infer")
@pytest.mark.parametrize("runtime", ["jit", "static", "predictor"])
def test_003_save_for_inference(case: Case, executor: Executor, runtime: str) -> None:
    """`Model.save(path, training=False)` writes an inference model that gives the network's outputs."""
    artifact = executor.builder.artifact("document_003", "lenet")
    program = next(
        n
        for n in artifact.values["files"]
        if n.startswith("inference/") and n.endswith((".json", ".pdmodel"))
    )
    params = "lenet.pdiparams" if runtime == "static" else artifact.file("inference", "lenet.pdiparams")
    files = {
        "prefix": artifact.file("inference", "lenet"),
        "folder": artifact.file("inference"),
        "program": Path(program).name,
        "model": artifact.file(program),
        "params": params,
    }
    feeds = [executor.sample("lenet", batch, 0) for batch in (1, 4)]
    weights = {"params": artifact.file("mnist_checkpoint", "final.pdparams")}
    oracle = executor.execute(
        Target("o", "dygraph", {"dtype": "float64"}), "lenet", feeds, files=weights
    ).outputs
    dygraph = executor.execute(Target("d", "dygraph"), "lenet", feeds, files=weights).outputs
    from harness.checks.tolerance import Tolerance

    tolerances = [Tolerance([run[0] for run in dygraph], [run[0] for run in oracle])]
    got = executor.execute(Target(runtime, runtime), "lenet", feeds, files=files)
    close_runs(case, "", got.outputs, oracle, tolerances)


@pytest.mark.claims("003-accuracy")
def test_003_accuracy(case: Case, executor: Executor) -> None:
    """Three epochs on the full MNIST reach about 0.977, 0.984 and 0.988 on the test images."""
    if executor.builder.dataset["train"] < FULL_MNIST:
        pytest.skip(
            f"the document's figures are for {FULL_MNIST} training images, this run has "
            f"{executor.builder.dataset['train']}: give --dataset a folder with the full MNIST"
        )
    got = executor.builder.artifact("document_003", "lenet").values["evaluations"]
    figures = (0.9775, 0.9836, 0.9875)
    case.exact("epochs evaluated", len(got), len(figures))
    for epoch, (value, stated) in enumerate(zip(got, figures, strict=False)):
        # Three standard deviations of the difference of two proportions over 10,000 images each.
        spread = 3 * (2 * stated * (1 - stated) / 10_000) ** 0.5 + 0.003
        case.at_most(
            f"distance from the stated accuracy after epoch {epoch + 1}", abs(value - stated), spread
        )


@pytest.mark.claims("003-three-systems")
@pytest.mark.models(trained=True)
def test_003_three_systems(case: Case, executor: Executor, model: str, tmp_path: Path) -> None:
    """High-level API, dynamic graph and static graph each save and load the same parameters."""
    if executor.models[model].converted:
        pytest.skip("its Python control flow can't be built by a plain call in static graph mode")
    feed = executor.sample(model, 3, 0)
    weights = executor.builder.artifact("checkpoint", model).file("model.pdparams")
    found = executor.pool.call(
        "checks.high_level.three_systems", model=model, weights=weights, folder=str(tmp_path), feed=feed
    )
    expected = found.pop("network")
    (oracle,), tolerances = executor.oracle(model, [feed]), executor.tolerances(model, [feed])
    for control in ("untouched", "static emptied"):
        changed = bool(np.array_equal(found.pop(control)[0], expected[0]))
        case.exact(f"{control} network gives other outputs", changed, False)
    for system, outputs in found.items():
        close_all(case, system, outputs, oracle, tolerances)
        if system in ("paddle.save/load", "Model.save/load"):
            for index, value in enumerate(expected):
                case.bitwise(f"{system}: output {index}", outputs[index], value)
    case.exact("systems", len(found), 4)


@pytest.mark.claims("003-load-names")
def test_003_names_in_paddle_io(case: Case, executor: Executor) -> None:
    """`paddle.io.load` and `paddle.io.load_inference_model` exist, as the document names them."""
    case.exact(
        "names", executor.pool.call("checks.high_level.names_in_paddle_io"), ["load", "load_inference_model"]
    )


@pytest.mark.claims("003-load")
@pytest.mark.parametrize("reset", [False, True], ids=["keep", "reset_optimizer"])
def test_003_load(case: Case, executor: Executor, reset: bool) -> None:
    """`Model.load` restores parameters, and the optimizer unless `reset_optimizer=True`."""
    artifact = executor.builder.artifact("document_003", "lenet")
    with executor.pool.fresh(executor.spec()) as worker:
        got = worker.call(
            "checks.high_level.load",
            executor.pool.deadline,
            model="lenet",
            checkpoint=artifact.file("mnist_checkpoint", "test"),
            reset_optimizer=reset,
        )
    state = executor.pool.call(
        "checks.roundtrip.load_arrays", path=artifact.file("mnist_checkpoint", "test.pdparams")
    )
    bitwise_all(case, "parameters", got["after"], state)
    case.exact(
        "parameters were others before",
        all(np.array_equal(got["before"][name], value) for name, value in state.items()),
        False,
    )
    saved = executor.pool.call("models.states.flat", path=artifact.file("mnist_checkpoint", "test.pdopt"))
    moments = {name: value for name, value in saved.items() if "moment" in name}
    if reset:
        case.exact(
            "moments of the optimizer",
            [n for n, v in got["optimizer"].items() if "moment" in n and np.any(v)],
            [],
        )
    else:
        case.at_least("moments saved", float(len(moments)), 2.0)
        for name, value in moments.items():
            case.bitwise(f"optimizer: {name}", got["optimizer"].get(name), value)


@pytest.mark.claims("003-load")
@pytest.mark.parametrize(
    ("network", "other"),
    [
        ("control_flow", {"hidden": 32}),
        ("mobilenet_v1_x0_125", {"scale": 0.125, "repeats": 1, "num_classes": 7}),
    ],
    ids=["first-parameter", "last-parameter"],
)
def test_003_skip_mismatch(case: Case, executor: Executor, network: str, other: dict[str, int]) -> None:
    """`skip_mismatch=True` skips parameters of another shape and loads the rest; without it, load raises."""
    from harness.pool.workers import RemoteError

    path = executor.builder.artifact("checkpoint", network).file("model")
    arguments = {"model": network, "checkpoint": path, "other": other, "reset_optimizer": True}
    got = executor.pool.call("checks.high_level.load", skip_mismatch=True, **arguments)
    state = executor.pool.call("checks.roundtrip.load_arrays", path=path + ".pdparams")
    skipped = [name for name, value in state.items() if got["after"][name].shape != value.shape]
    case.at_least("parameters of another shape", float(len(skipped)), 1.0)
    case.at_least("parameters of the same shape", float(len(state) - len(skipped)), 1.0)
    for name, value in state.items():
        case.bitwise(name, got["after"][name], got["before"][name] if name in skipped else value)
    raised = "nothing"
    try:
        executor.pool.call("checks.high_level.load", **arguments)
    except RemoteError as error:
        raised = error.failure.type
    case.exact("exception without skip_mismatch", raised, "ValueError")


def resumed_epochs(case: Case, executor: Executor, run: RunSession, load_first: bool, epoch: int) -> None:
    """Resume from epoch 0's checkpoint in a fresh process; compare epoch 1, in the full tier also epoch 2."""
    artifact = executor.builder.artifact("document_003", "lenet")
    losses = np.asarray(artifact.values["losses"], "float32")
    steps = len(losses) // 3
    epochs = 2 if run.options.tier == "full" else 1
    with executor.pool.fresh(executor.spec()) as worker:
        got = worker.call(
            "checks.high_level.resume",
            executor.pool.deadline,
            model="lenet",
            digits=str(executor.builder.digits),
            checkpoint=artifact.file("mnist_checkpoint", "0"),
            epoch=epoch,
            load_first=load_first,
            epochs=epochs,
        )
    case.measures["curves"] = {
        "uninterrupted": [float(loss) for loss in losses],
        "resumed": [float(loss) for loss in got["losses"]],
        "interrupted_at": steps,
    }
    case.bitwise("losses after the resume", got["losses"], losses[steps : steps * (1 + epochs)])


@pytest.mark.claims("003-resume")
def test_003_resume(case: Case, executor: Executor, run_session: RunSession) -> None:
    """Resuming from epoch 0, optimizer loaded and data order continued, repeats the losses bit for bit."""
    resumed_epochs(case, executor, run_session, load_first=False, epoch=1)


@pytest.mark.claims("003-resume-example")
@pytest.mark.parametrize(
    ("load_first", "epoch"),
    [(True, 0), (True, 1), (False, 0)],
    ids=["as-written", "with-data-order", "with-load-after-prepare"],
)
def test_003_resume_example(
    case: Case, executor: Executor, run_session: RunSession, load_first: bool, epoch: int
) -> None:
    """The document's listing (`load` before `prepare`, `fit` with the dataset) repeats the later losses."""
    resumed_epochs(case, executor, run_session, load_first, epoch)
