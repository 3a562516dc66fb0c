"""A configuration of document 004's shape: read from YAML, overridden by ``-o``, checked. No Paddle here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from harness.worker.classification.sections import ConfigError, Section

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "configs")
"""The configurations that come with the harness."""


@dataclass(frozen=True)
class Global:
    """The section ``Global``: ``image_shape`` is channels, height, width; paths start at the working folder.

    ``pretrained_model`` is a path without ``.pdparams``: for training, of a float model; for export, of
    the model that the training saved.
    """

    device: str
    epochs: int
    output_dir: str
    pretrained_model: Optional[str]
    save_inference_dir: str
    image_shape: Tuple[int, int, int]
    seed: int


@dataclass(frozen=True)
class Arch:
    """A reference model by name; ``arguments`` replace those that the model states."""

    name: str
    class_num: Optional[int]
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Slim:
    """``quant`` and ``prune`` name the method, or are None; ``pruned_ratio`` applies to every convolution."""

    quant: Optional[str] = None
    prune: Optional[str] = None
    pruned_ratio: float = 0.0


@dataclass(frozen=True)
class LearningRate:
    """``decay_epochs`` and ``values`` are for Piecewise; there is one value more than epochs."""

    name: str
    learning_rate: float
    warmup_epoch: float
    decay_epochs: Sequence[int] = ()
    values: Sequence[float] = ()


@dataclass(frozen=True)
class Optimizer:
    momentum: float
    lr: LearningRate
    l2: float


@dataclass(frozen=True)
class Loader:
    """Digits of ``root``'s split, the first ``samples`` of them (0: all)."""

    root: str
    split: str
    samples: int
    batch_size: int
    shuffle: bool
    drop_last: bool


@dataclass(frozen=True)
class Config:
    run: Global
    arch: Arch
    slim: Slim
    optimizer: Optimizer
    train: Loader
    eval: Loader


def load(path: str, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML file, apply ``Section.key=value`` settings, and return the configuration.

    Raises:
        ConfigError: the file is missing or not YAML; a key is unknown or missing, or has a wrong type.
    """
    values = read(path)
    for override in overrides:
        _override(values, override)
    return parse(values)


def read(path: str) -> Dict[str, Any]:
    """Read the sections of a file, unchecked."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the configuration {path} is not a text file: {error}") from error
    values = _from_yaml(text, f"the configuration {path}")
    if not isinstance(values, dict):
        raise ConfigError(f"the configuration {path} has no sections")
    return values


def _override(values: Dict[str, Any], override: str) -> None:
    place, equals, text = override.partition("=")
    keys = place.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"-o {override}: write it as Section.key=value")
    for depth, key in enumerate(keys[:-1], 1):
        if values.get(key) is None:
            values[key] = {}
        values = values[key]
        if not isinstance(values, dict):
            raise ConfigError(f"-o {override}: {'.'.join(keys[:depth])} is not a section")
    values[keys[-1]] = _from_yaml(text, f"the value of -o {override}")


def _from_yaml(text: str, what: str) -> Any:
    # Imported here: PyYAML comes with PaddleSlim, and an environment without both still runs other recipes.
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{what} is not YAML: {' '.join(str(error).split())}") from error


def parse(values: Mapping[str, Any]) -> Config:
    """Return the configuration in the sections.

    Raises:
        ConfigError: a key is unknown or missing, or has a wrong type.
    """
    top = Section(values)
    class_num, run = _global(top.section("Global"))
    arch = _arch(top.section("Arch"), class_num)
    slim = _slim(top.section("Slim")) if top.has("Slim") else Slim()
    optimizer = _optimizer(top.section("Optimizer"))
    loaders = top.section("DataLoader")
    train, evaluation = _loader(loaders.section("Train"), "train"), _loader(loaders.section("Eval"), "test")
    top.end()
    return Config(run, arch, slim, optimizer, train, evaluation)


def _global(section: Section) -> Tuple[Optional[int], Global]:
    class_num = section.whole("class_num", None, least=2)
    channels, height, width = section.wholes("image_shape", 3)
    return class_num, Global(
        device=section.choice("device", ("cpu", "gpu")),
        epochs=section.whole("epochs", least=1),
        output_dir=section.text("output_dir", "./output"),
        pretrained_model=section.text("pretrained_model", None),
        save_inference_dir=section.text("save_inference_dir", "./inference"),
        image_shape=(channels, height, width),
        seed=section.whole("seed", 0),
    )


def _arch(section: Section, class_num: Optional[int]) -> Arch:
    name = section.text("name")
    own = section.whole("class_num", class_num, least=2)
    if class_num is not None and own != class_num:
        raise ConfigError(f"Arch.class_num is {own} and Global.class_num {class_num}: state one of them")
    return Arch(name, own, section.rest())


def _slim(section: Section) -> Slim:
    quant = prune = None
    ratio = 0.0
    if section.has("quant"):
        inner = section.section("quant")
        quant = inner.choice("name", ("pact",))
    if section.has("prune"):
        inner = section.section("prune")
        prune = inner.choice("name", ("fpgm", "l1_norm"))
        ratio = inner.number("pruned_ratio", below=1.0)
    return Slim(quant, prune, ratio)


def _optimizer(section: Section) -> Optimizer:
    section.choice("name", ("Momentum",))
    l2 = 0.0
    if section.has("regularizer"):
        regularizer = section.section("regularizer")
        regularizer.choice("name", ("L2",))
        l2 = regularizer.number("coeff")
    return Optimizer(section.number("momentum", 0.9, below=1.0), _learning_rate(section.section("lr")), l2)


def _learning_rate(section: Section) -> LearningRate:
    name = section.choice("name", ("Cosine", "Piecewise", "Constant"))
    epochs: List[int] = []
    values: List[float] = []
    if name == "Piecewise":
        epochs, values = section.wholes("decay_epochs"), section.numbers("values")
        if len(values) != len(epochs) + 1:
            raise ConfigError(
                f"{section.place('values')} has {len(values)} values for {len(epochs)} decay_epochs: "
                "it takes one more than those"
            )
    rate = values[0] if name == "Piecewise" else section.number("learning_rate")
    return LearningRate(name, rate, section.number("warmup_epoch", 0.0), epochs, values)


def _loader(section: Section, split: str) -> Loader:
    dataset, sampler = section.section("dataset"), section.section("sampler")
    dataset.choice("name", ("MNIST",))
    return Loader(
        root=dataset.text("root"),
        split=dataset.choice("split", ("train", "test"), split),
        samples=dataset.whole("samples", 0),
        batch_size=sampler.whole("batch_size", least=1),
        shuffle=sampler.truth("shuffle", False),
        drop_last=sampler.truth("drop_last", False),
    )
