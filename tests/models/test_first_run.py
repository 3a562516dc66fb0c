"""The first run of the user's own models: usable or refused, what they are fed, what is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.example_models import WORDS, specifications, write_graphs, write_layers

from harness.artifacts.builder import ArtifactBuilder
from harness.checks.tolerance import bitwise
from harness.core.choices import Limits
from harness.core.errors import NotApplicable
from harness.execution.executor import Executor
from harness.models.first_run import FirstRun, FirstRuns, total
from harness.models.specification import parse
from harness.pool.workers import WorkerPool
from harness.targets.target import Target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_layers(folder / "layers")
    write_graphs(folder / "graphs")
    return folder


@pytest.fixture(scope="module")
def own(
    executor: Executor, folder: Path, tmp_path_factory: pytest.TempPathFactory, python: str
) -> Iterator[Executor]:
    """An executor with the example models, and with LeNet as a deployed one."""
    pool = WorkerPool(tmp_path_factory.mktemp("logs"), python, 60.0)
    exported = executor.builder.artifact("jit", "lenet").file("inference_model", "model")
    texts = [*specifications(folder / "layers").values(), str(folder / "graphs"), f"{exported},name=served"]
    models = [model for text in texts for model in parse(text)]
    shared = executor.builder
    limits = Limits(seconds=4.0, gib=4.0)
    builder = ArtifactBuilder(pool, shared.store, shared.digits, shared.dataset, models, limits)
    yield Executor(builder, executor.targets)
    pool.close()


GRAPHS = ("vision.conv_bn_relu", "vision.pooling", "vision.depthwise", "text.layer_norm_gelu",
          "text.attention", "text.embedding_gather", "shapes.reshape_concat", "shapes.reductions",
          "shapes.selection", "shapes.typed")  # fmt: skip
LAYERS = ("cnn", "blocks", "recurrent", "branches", "words", "regression", "nested", "one_row")


@pytest.mark.parametrize("name", [*GRAPHS, *LAYERS, "served"])
def test_usable_models(own: Executor, name: str) -> None:
    found = own.builder.usable(name)
    assert (found.refusal, found.kind) == ("", "")
    assert found.inputs
    assert found.outputs
    assert found.not_finite == 0
    # A deployed program fixes its types, and so does this graph.
    assert found.exact is (name not in ("shapes.typed", "served"))
    assert bool(found.notes) is (name == "shapes.typed")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("trouble.not_a_number", "not finite", "10 of its outputs' values are not finite"),
        ("trouble.unknown_operator", "not loaded", "answer_to_everything"),
        ("noise", "not repeatable", "does not repeat its outputs"),
        ("endless", "timeout", "no answer in 4 s"),
        ("hungry", "memory", "Fail to alloc memory of"),
        ("crash", "crash", "SIGSEGV"),
        ("syntax", "not loaded", "SyntaxError"),
        ("leaves", "not loaded", "SystemExit: weights are missing"),
        ("empty", "empty", "all its outputs are empty"),
    ],
)
def test_refused_models(own: Executor, name: str, kind: str, words: str) -> None:
    found = own.builder.usable(name)
    assert found.kind == kind
    assert words in found.refusal
    assert "\n" not in found.refusal
    assert own.builder.refusal(name) == found.refusal
    assert own.builder.usable(name) is found, "it is run once"


def test_model_that_needs_too_much_is_refused_before_anything_is_allocated(
    pool: WorkerPool, tmp_path: Path
) -> None:
    graph = tmp_path / "large"
    write_graphs(tmp_path / "graphs", ["shapes"])[0].rename(graph)
    meta = graph / "input_meta.py"
    meta.write_text(meta.read_text().replace("shape = [None, 4, 6]", "shape = [None, 400000, 60000]"))
    found = FirstRuns(pool, parse(str(graph)), Limits()).of("large")
    assert found.kind == "memory"
    assert found.refusal.startswith("memory: parameters and inputs alone take 89.4 GiB of ")
    assert found.failure is not None
    assert found.failure.call == "needs"


def test_total(own: Executor) -> None:
    results = [own.builder.usable(name) for name in ("cnn", "noise", "syntax", "trouble.unknown_operator")]
    said = "1 of 4 models of your own are usable here; refused: 1 not repeatable, 2 not loaded"
    assert total([run.kind for run in results]) == said
    assert total([run.kind for run in results[:1]]) == "1 of 1 models of your own are usable here"


def test_every_worker_knows_the_models(own: Executor) -> None:
    name = "regression"
    own.builder.usable(name)
    feed = own.sample(name, 2)
    with own.pool.fresh(own.spec()) as worker:
        assert (
            worker.call("models.networks.sample", 60.0, name=name, batch=2)[0].tobytes() == feed[0].tobytes()
        )
    with own.pool.fresh(own.spec()) as standby:
        assert (
            standby.call("models.networks.sample", 60.0, name=name, batch=2)[0].tobytes() == feed[0].tobytes()
        )


def test_batch_that_is_open_in_name_only(own: Executor) -> None:
    """Its other cases run at batch 1, whatever they ask for."""
    found = own.builder.usable("one_row")
    assert found.batch_failure is not None
    assert "Reshape" in found.batch_failure.sentence
    assert own.sample("one_row", 8)[0].shape == (1, 4, 4)
    assert own.builder.usable("cnn").batches == (1, 3)
    assert own.builder.usable("vision.pooling").open_batch is False


# What they are fed


def test_inputs_are_drawn_as_said(own: Executor) -> None:
    ids, weights = own.sample("words", 50)
    assert (ids.shape, str(ids.dtype), weights.shape) == ((50, 6), "int64", (50, 6))
    assert (ids.min(), ids.max()) == (0, 49)
    captured = own.sample("text.attention", 3, seed=4)[1]
    assert captured.reshape(-1).tolist() == [0, 0, 0, 0, -1e4, -1e4, 0, 0, 0, -1e4, -1e4, -1e4]
    image = own.sample("vision.conv_bn_relu", 8)[0]
    assert image.shape == (2, 3, 16, 16), "a captured graph keeps its batch"
    # GraphNet draws a fifth of the standard deviation around the mean.
    assert abs(image.mean() - 0.1) < 0.03
    assert abs(image.std() - 0.2) < 0.03
    low = own.sample("shapes.reshape_concat", 1)[1]
    assert low.min() > 0
    assert low.max() > 2
    assert set(np.unique(own.sample("shapes.selection", 1)[2])) == {False, True}
    different = own.sample("vision.conv_bn_relu", 1, seed=1)[0]
    assert bitwise("another seed", different, own.sample("vision.conv_bn_relu", 1)[0]).ok is False


def first_run(pool: WorkerPool, text: str) -> FirstRun:
    models = parse(text)
    return FirstRuns(pool, models, Limits()).of(models[0].name)


def test_example_inputs(pool: WorkerPool, folder: Path, tmp_path: Path) -> None:
    """Rows of the examples, over again for larger batches; they can also say what the inputs are."""
    rows = np.arange(5 * 6).reshape(5, 6)
    np.savez(tmp_path / "in.npz", weights=np.ones((5, 6), "float32"), ids=rows)
    file = folder / "layers" / "words.py"
    found = first_run(pool, f"{file}:build,name=open,inputs={tmp_path / 'in.npz'},{WORDS}")
    assert found.refusal == ""
    assert found.inputs[0] == ("ids", (None, 6), "int64")
    ids, _ = pool.call("models.networks.sample", name="open", batch=7, seed=1)
    assert ids[:, 0].tolist() == [12, 18, 24, 0, 6, 12, 18]
    found = first_run(pool, f"{file}:build,name=fixed,inputs={tmp_path / 'in.npz'}")
    assert found.inputs == (("ids", (5, 6), "int64"), ("weights", (5, 6), "float32"))
    np.savez(tmp_path / "order.npz", rows, np.ones((5, 6), "float32"))
    assert first_run(pool, f"{file}:build,name=order,inputs={tmp_path / 'order.npz'},{WORDS}").refusal == ""
    np.savez(tmp_path / "strange.npz", tokens=rows, mask=np.ones((5, 6), "float32"))
    found = first_run(pool, f"{file}:build,name=strange,inputs={tmp_path / 'strange.npz'},{WORDS}")
    assert "example inputs tokens, mask are not among ids, weights" in found.refusal
    np.savez(tmp_path / "wrong.npz", ids=rows, other=rows)
    found = first_run(pool, f"{file}:build,name=wrong,inputs={tmp_path / 'wrong.npz'},{WORDS}")
    assert "example inputs other are not among ids, weights" in found.refusal


def test_parameters_of_a_file(own: Executor, folder: Path, tmp_path: Path) -> None:
    """A `.pdparams` replaces the factory's values; one of another network is refused."""
    own.builder.usable("cnn")
    saved = own.builder.artifact("checkpoint", "cnn").file("model.pdparams")
    cnn, pool = folder / "layers" / "cnn.py", own.pool
    assert first_run(pool, f"{cnn}:build,name=cnn_saved,params={saved}").refusal == ""
    regression = folder / "layers" / "regression.py"
    found = first_run(pool, f"{regression}:build,name=other,params={saved}")
    assert "model.pdparams is of another network: missing" in found.refusal


def test_file_without_inputs_says_what_to_do(pool: WorkerPool, folder: Path) -> None:
    found = first_run(pool, f"{folder / 'layers' / 'words.py'}:build,name=unsaid")
    assert "words.py has no input_spec: add one, or describe the inputs with" in found.refusal


def test_modules_of_one_name_in_two_folders(pool: WorkerPool, tmp_path: Path) -> None:
    """Each file imports its own folder's `parts`, and leaves no byte code there."""
    texts = []
    for number in (1, 2):
        place = write_layers(tmp_path / str(number), ["good"])
        parts = place / "parts.py"
        parts.write_text(parts.read_text().replace("return x +", f"return x + {number}.0 +"))
        texts.append(f"{place / 'blocks.py'}:Blocks,name=blocks_{number}")
    one, two = (first_run(pool, text) for text in texts)
    assert one.refusal == two.refusal == ""
    assert not np.array_equal(one.runs[0][0], two.runs[0][0])
    assert not list(tmp_path.rglob("__pycache__"))


# What is made of them


def test_key_of_an_artifact_hashes_all_the_files_a_model_is_made_of(own: Executor, tmp_path: Path) -> None:
    place = write_layers(tmp_path, ["good"])
    text = f"{place / 'blocks.py'}:Blocks,name=hashed"

    def digest() -> str:
        runs = FirstRuns(own.pool, parse(text), Limits())
        return runs.digest("hashed")

    first = digest()
    assert digest() == first
    (place / "cnn.py").write_text("# not imported\n")
    assert digest() == first
    (place / "parts.py").write_text((place / "parts.py").read_text() + "\n# imported\n")
    assert digest() != first


def test_deployed_files_are_copied_as_they_are(own: Executor, executor: Executor) -> None:
    copied, exported = own.builder.artifact("jit", "served"), executor.builder.artifact("jit", "lenet")
    for name in ("inference_model/model.pdiparams", exported.values["program"]):
        assert copied.manifest.files[name] == exported.manifest.files[name]
    with pytest.raises(NotApplicable, match="served is deployed: it has no Python code"):
        own.builder.artifact("checkpoint", "served")
    with pytest.raises(NotApplicable, match="no network for the dynamic graph"):
        own.builder.files(Target("x", "dygraph"), "served")
    with pytest.raises(NotApplicable, match="which legacy IR does not read"):
        own.builder.files(Target("x", "jit", profile="legacy-ir"), "served")


def test_yardstick_without_an_oracle_is_like_the_one_with_it(own: Executor, executor: Executor) -> None:
    """LeNet as a network with its float64 oracle, and as a deployed program that has none."""
    feeds = [executor.sample("lenet", batch, batch) for batch in (1, 3, 8)]
    for storage in ("float32", "bfloat16"):
        (known,), (moved,) = (
            executor.tolerances("lenet", feeds, storage),
            own.tolerances("served", feeds, storage),
        )
        assert 0.5 < moved.rmse / known.rmse < 3
        assert 0.5 < moved.largest / known.largest < 3
    (reference,) = own.oracle("served", feeds[:1])
    plain = executor.execute(Target("s", "static"), "lenet", feeds[:1]).outputs[0]
    assert bitwise("reference", reference[0], plain[0]).ok


def test_wrapper_of_a_graph_is_a_file_with_named_arguments(own: Executor) -> None:
    own.builder.usable("text.attention")
    wrappers = [file.read_text() for file in (own.pool.logs / "wrappers").glob("captured_*.py")]
    (found,) = [text for text in wrappers if "text/attention" in text]
    assert "def forward(self, data_0, data_1):" in found
    assert "parameter_1=self.parameter_1," in found
