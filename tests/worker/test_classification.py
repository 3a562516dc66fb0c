"""Document 004's tools: their configuration without Paddle, and the three commands from end to end."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Command
from harness.artifacts.datasets import locate
from harness.artifacts.store import Store
from harness.core.choices import default_store
from harness.core.paths import ROOT

MODULE = "harness.worker.classification"
CONFIGS = ROOT / "harness" / "worker" / "classification" / "configs"
FLOAT, QUANTIZED = CONFIGS / "resnet_vd_small.yaml", CONFIGS / "resnet_vd_small_quantization.yaml"

Show = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def show(command: Command, tmp_path: Path) -> Show:
    """``show`` where Paddle can't be imported: exit status, lines of stdout stripped, stderr."""
    (tmp_path / "paddle.py").write_text("raise ImportError('the configuration needs no Paddle')\n")

    def run(file: Path, *overrides: str) -> tuple[int, list[str], str]:
        options = [part for override in overrides for part in ("-o", override)]
        done = command(tmp_path, MODULE, "show", "-c", str(file), *options)
        return done.returncode, [line.strip() for line in done.stdout.splitlines()], done.stderr.strip()

    return run


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_configuration_that_comes_with_the_harness_is_read(show: Show, file: Path) -> None:
    status, lines, errors = show(file)
    assert (status, errors) == (0, "")
    kind = file.stem.rpartition("_")[2]
    assert ("quant: pact" in lines) == (kind == "quantization")
    assert ("prune: fpgm" in lines) == (kind == "prune")


def test_an_override_takes_the_place_of_the_files_value(show: Show) -> None:
    status, lines, errors = show(
        QUANTIZED,
        "Global.device=gpu",
        "Optimizer.lr.learning_rate=1e-3",
        "Global.pretrained_model=./output/a=b",
        "DataLoader.Train.dataset.samples=12",
        "Global.epochs=3",
        "Global.epochs=7",
    )
    assert (status, errors) == (0, "")
    assert "device: gpu" in lines
    assert "learning_rate: 0.001" in lines
    assert "pretrained_model: ./output/a=b" in lines
    assert lines.count("samples: 12") == 1, "of the training's digits only"
    assert "epochs: 7" in lines, "the last one counts"


def test_an_override_makes_and_unmakes_sections(show: Show) -> None:
    _, lines, errors = show(FLOAT, "Slim.prune.name=fpgm", "Slim.prune.pruned_ratio=0.25")
    assert not errors
    assert {"prune: fpgm", "pruned_ratio: 0.25", "quant: None"} <= set(lines)
    _, lines, errors = show(QUANTIZED, "Slim=null", "Optimizer.regularizer=null")
    assert not errors
    assert {"quant: None", "l2: 0.0"} <= set(lines)


def test_settings_of_the_network_are_passed_on(show: Show) -> None:
    status, lines, _ = show(FLOAT, "Arch.width=16", "Arch.layers=[1, 2]")
    assert status == 0
    assert {"width: 16", "layers: [1, 2]"} <= set(lines)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("Global.epoch=1", "Global.epoch is unknown: did you mean epochs?"),
        ("Optimiser.momentum=0.9", "Optimiser is unknown: did you mean Optimizer?"),
        ("DataLoader.Train.sampler.zzz=1", "there are batch_size, shuffle, drop_last"),
        ("Global.epochs", "write it as Section.key=value"),
        ("Global..epochs=1", "write it as Section.key=value"),
        ("Global.epochs.first=1", "Global.epochs is not a section"),
        ("Global.epochs=[1", "the value of -o Global.epochs=[1 is not YAML"),
        ("Global=null", "the section Global is missing"),
        ("Global=1", "Global is 1: it must be a section"),
        ("Optimizer.lr=0.1", "Optimizer.lr is 0.1: it must be a section"),
        ("DataLoader.Eval=null", "the section DataLoader.Eval is missing"),
        ("Global.device=tpu", "Global.device is 'tpu': it must be one of cpu, gpu"),
        ("Global.epochs=0", "a whole number of at least 1"),
        ("Global.epochs=true", "a whole number of at least 1"),
        ("Global.epochs=1.5", "a whole number of at least 1"),
        ("Global.epochs=null", "Global.epochs is missing"),
        ("Global.image_shape=[1, 28]", "a list of 3 numbers"),
        ("Global.image_shape=[1, 28, many]", "a list of whole numbers above 0"),
        ("Global.output_dir=3", "Global.output_dir is 3: it must be a text"),
        ("Arch.name=null", "Arch.name is missing"),
        ("Global.class_num=7", "Arch.class_num is 10 and Global.class_num 7"),
        ("Slim.quant.name=lsq", "it must be pact"),
        ("Slim.prune.name=fpgm", "Slim.prune.pruned_ratio is missing"),
        ("Slim.prune={name: fpgm, pruned_ratio: 1}", "at least 0 and below 1"),
        ("Optimizer.name=Adam", "it must be Momentum"),
        ("Optimizer.lr.learning_rate=fast", "a number, at least 0"),
        ("Optimizer.lr.learning_rate=.nan", "a number, at least 0"),
        ("Optimizer.lr={name: Piecewise, decay_epochs: [3], values: [1]}", "has 1 values for 1 decay_epochs"),
        ("Optimizer.lr={name: Piecewise, decay_epochs: [], values: [1]}", "a list of whole numbers above 0"),
        ("DataLoader.Train.sampler.shuffle=1", "true or false"),
        ("DataLoader.Train.dataset.split=validation", "one of train, test"),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(show: Show, override: str, sentence: str) -> None:
    status, lines, errors = show(QUANTIZED, override)
    assert (status, lines) == (2, [])
    assert sentence in errors
    assert "\n" not in errors


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe\x00", "is not a text file"),
        (b"Global: [", "is not YAML"),
        (b"", "has no sections"),
        (b"- Global", "has no sections"),
        (b"Arch: {name: lenet}", "the section Global is missing"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence(
    show: Show, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / "given.yaml"
    if content is not None:
        file.write_bytes(content)
    status, lines, errors = show(file)
    assert (status, lines) == (2, [])
    assert sentence in errors
    assert "given.yaml" in errors or "section" in errors
    assert "\n" not in errors


@pytest.fixture
def with_digits(python: str) -> list[str]:
    """Options for a short training on the digits; skipped where the environment can't compress."""
    if importlib.util.find_spec("paddleslim") is None:
        pytest.skip(f"{python} has no PaddleSlim")
    digits, _ = locate("packaged", Store(Path(default_store())))
    settings = [f"DataLoader.{part}.dataset.root={digits}" for part in ("Train", "Eval")]
    settings += ["DataLoader.Train.dataset.samples=512", "DataLoader.Eval.dataset.samples=200"]
    return [part for setting in [*settings, "Global.epochs=1"] for part in ("-o", setting)]


@pytest.mark.slow
def test_the_documents_three_commands(
    command: Command, with_digits: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Train, export and quantize a float model; train it quantization-aware, and export that."""
    # PaddleSlim quantizes an exported model in the legacy IR only.
    monkeypatch.setenv("FLAGS_enable_pir_api", "0")

    def run(name: str, config: Path, *settings: str) -> str:
        options = [part for setting in settings for part in ("-o", setting)]
        done = command(tmp_path, MODULE, name, "-c", str(config), *with_digits, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    best = "output/resnet_vd_small/best_model"
    said = run("train", FLOAT)
    assert "epoch 1: loss" in said
    assert f"saved ./{best}" in said
    run("export", FLOAT, f"Global.pretrained_model={best}", "Global.save_inference_dir=float")
    run("quantize", FLOAT, "Global.save_inference_dir=float")
    run("train", QUANTIZED, f"Global.pretrained_model={best}", "Global.output_dir=compressed")
    run("export", QUANTIZED, f"Global.pretrained_model=compressed/{best.partition('/')[2]}")

    full, offline, trained = (
        (tmp_path / file).stat().st_size
        for file in (
            "float/inference.pdiparams",
            "float/quant_post_static_model/model.pdiparams",
            "inference/inference.pdiparams",
        )
    )
    assert (tmp_path / "inference" / "inference.pdmodel").is_file()
    assert offline < full / 2, "the weights are int8"
    assert trained < full / 2, "the weights are int8"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "override", "sentence"),
    [
        ("train", "Arch.name=resnet51", "Arch.name: there is no reference model 'resnet51': take one of"),
        ("train", "Arch.widht=16", "Arch.widht: resnet_vd_small takes layers, width"),
        ("train", "Global.pretrained_model=nowhere", "there is no file nowhere.pdparams"),
        ("train", "DataLoader.Train.dataset.root=nowhere", "the dataset folder nowhere lacks"),
        ("train", "Global.image_shape=[1, 30, 30]", "multiples of the digits' 28"),
        ("export", "Global.epochs=1", "Global.pretrained_model is missing"),
        ("quantize", "Global.epochs=1", "holds no exported inference model"),
    ],
)
def test_what_only_paddle_knows_is_told_in_one_sentence(
    command: Command, with_digits: list[str], tmp_path: Path, name: str, override: str, sentence: str
) -> None:
    done = command(tmp_path, MODULE, name, "-c", str(QUANTIZED), *with_digits, "-o", override)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_told_in_one_sentence(
    command: Command, with_digits: list[str], tmp_path: Path
) -> None:
    done = command(tmp_path, MODULE, "train", "-c", str(QUANTIZED), *with_digits, "-o", "Global.device=gpu")
    if done.returncode == 0:
        pytest.skip("this machine has a GPU and a Paddle that uses it")
    assert done.returncode == 2, done.stderr
    assert "use -o Global.device=cpu" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
