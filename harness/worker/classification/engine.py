"""The engine of document 004: network, data, optimizer, training and export as a configuration says."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import paddle
import paddle.nn.functional as F

from harness.worker.classification import compress
from harness.worker.classification.config import Arch, Config, Loader, Optimizer
from harness.worker.classification.sections import ConfigError
from harness.worker.models import networks
from harness.worker.models.digits import FILES, Digits
from harness.worker.models.model import ReferenceModel

INFERENCE = "inference"
"""Name of the exported files in ``Global.save_inference_dir``."""

Say = Callable[[str], None]


@dataclass
class Network:
    """A network as built; ``quanter`` is PaddleSlim's object where it is quantization-aware, else None."""

    layer: Any
    quanter: Any = None
    pruning: Optional[compress.Pruning] = None


@dataclass
class Trained:
    """A training's result: losses of each step, test accuracy after each epoch, the best one's files."""

    network: Network
    best_model: str
    losses: List[float] = field(default_factory=list)
    accuracy: List[float] = field(default_factory=list)


def set_device(config: Config) -> None:
    """Select ``Global.device``.

    Raises:
        ConfigError: it is gpu, and this Paddle does not support GPUs or sees none.
    """
    if config.run.device == "gpu":
        if not paddle.device.is_compiled_with_cuda():
            raise ConfigError(
                f"Global.device is gpu, and Paddle {paddle.__version__} here is built without CUDA: "
                "use -o Global.device=cpu"
            )
        if not paddle.device.cuda.device_count():
            raise ConfigError("Global.device is gpu, and Paddle sees none here: use -o Global.device=cpu")
    paddle.set_device(config.run.device)


def architecture(arch: Arch, channels: int) -> Tuple[ReferenceModel, Dict[str, Any]]:
    """Return the reference model and the arguments to build it with.

    Raises:
        ConfigError: there is no such model, or it does not take such an argument.
    """
    try:
        model = networks.get(arch.name)
    except KeyError as error:
        raise ConfigError(f"Arch.name: {error.args[0]}") from error
    arguments = {**model.arguments, **arch.arguments}
    accepted = inspect.signature(model.build).parameters
    if arch.class_num is not None:
        arguments["num_classes"] = arch.class_num
    if "in_channels" in accepted:
        arguments["in_channels"] = channels
    for name in arguments:
        if name not in accepted:
            key = "class_num" if name == "num_classes" else name
            raise ConfigError(f"Arch.{key}: {arch.name} takes {', '.join(accepted) or 'no arguments'}")
    return model, arguments


def build(config: Config, exporting: bool = False) -> Network:
    """Build the network of ``Arch``, compressed as ``Slim`` says, with ``Global.pretrained_model``'s values.

    For training the values are a float model's, and are set before the compression. For export they are
    those that the training saved of the compressed network.

    Raises:
        ConfigError: an argument, or the file of the pretrained model, does not fit the network.
    """
    model, arguments = architecture(config.arch, config.run.image_shape[0])
    paddle.seed(config.run.seed)
    np.random.seed(config.run.seed)
    network = Network(model.build(**arguments))
    if not exporting:
        _load_pretrained(config, network)
    if config.slim.prune:
        network.pruning = compress.prune(network.layer, config)
    if config.slim.quant:
        network.quanter = compress.quantize_aware(network.layer, exporting)
    if exporting:
        _load_pretrained(config, network)
    return network


def _load_pretrained(config: Config, network: Network) -> None:
    if config.run.pretrained_model is not None:
        load_values(network.layer, config.run.pretrained_model)


def load_values(layer: Any, prefix: str) -> None:
    """Set a network's values from ``prefix.pdparams``.

    `set_state_dict` only warns where a name is missing or has another shape, and keeps the old value; here
    that is an error.

    Raises:
        ConfigError: the file does not exist, or does not fit the network.
    """
    path = prefix + ".pdparams"
    if not os.path.isfile(path):
        raise ConfigError(f"Global.pretrained_model is {prefix}, and there is no file {path}")
    state = paddle.load(path)
    for name, value in layer.state_dict().items():
        if compress.is_backup(name):
            continue
        if name not in state:
            raise ConfigError(f"{path} has no {name}: it belongs to another network")
        if list(state[name].shape) != list(value.shape):
            raise ConfigError(
                f"{path} has {name} of shape {list(state[name].shape)}, the network of {list(value.shape)}"
            )
    layer.set_state_dict(state)


class Examples(paddle.io.Dataset):
    """Digits at the configured size: images float32 ``[c, h, w]`` in [0, 1], labels int64 ``[1]``."""

    def __init__(self, loader: Loader, shape: Tuple[int, int, int]) -> None:
        """
        Raises:
            ConfigError: the digits are missing, or the size is not a multiple of theirs.
        """
        super().__init__()
        for name in FILES[loader.split]:
            if not os.path.isfile(os.path.join(loader.root, name)):
                raise ConfigError(f"the dataset folder {loader.root} lacks {name}")
        images, labels = Digits(loader.root).arrays(loader.split)
        end = loader.samples or len(labels)
        self.images, self.labels = images[:end], labels[:end]
        self.channels, height, width = shape
        self.scale = (height // images.shape[2], width // images.shape[3])
        if (height, width) != tuple(n * size for n, size in zip(self.scale, images.shape[2:])):
            raise ConfigError(
                f"Global.image_shape is {list(shape)}: height and width must be multiples of the digits' "
                f"{images.shape[2]}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Tuple[np.ndarray, np.ndarray]:
        return self.sized(self.images[row : row + 1])[0], self.labels[row : row + 1]

    def sized(self, images: np.ndarray) -> np.ndarray:
        """Scale ``[n, 1, 28, 28]`` to the configured channels, height and width by repeating pixels."""
        images = images.repeat(self.scale[0], axis=2).repeat(self.scale[1], axis=3)
        return images.repeat(self.channels, axis=1)


class Images(Examples):
    """The same examples without labels: samples ``[image]``."""

    def __getitem__(self, row: int) -> Any:
        return [super().__getitem__(row)[0]]


def data_loader(loader: Loader, shape: Tuple[int, int, int]) -> Any:
    """Return a `paddle.io.DataLoader`; it shuffles the digits by NumPy's generator, which `build` seeds."""
    return paddle.io.DataLoader(
        Examples(loader, shape),
        batch_size=loader.batch_size,
        shuffle=loader.shuffle,
        drop_last=loader.drop_last,
        num_workers=0,
    )


def schedule(optimizer: Optimizer, epochs: int, steps: int) -> Any:
    """Return the scheduler: warm-up from 0, then the configured one; ``steps`` is the steps per epoch."""
    rate = optimizer.lr
    warmup = round(rate.warmup_epoch * steps)
    if rate.name == "Cosine":
        after: Any = paddle.optimizer.lr.CosineAnnealingDecay(
            rate.learning_rate, T_max=max(1, epochs * steps - warmup)
        )
    elif rate.name == "Piecewise":
        bounds = [epoch * steps - warmup for epoch in rate.decay_epochs]
        after = paddle.optimizer.lr.PiecewiseDecay(bounds, list(rate.values))
    else:
        after = paddle.optimizer.lr.LambdaDecay(rate.learning_rate, lambda _: 1.0)
    if not warmup:
        return after
    return paddle.optimizer.lr.LinearWarmup(after, warmup, start_lr=0.0, end_lr=rate.learning_rate)


def train(config: Config, say: Say) -> Trained:
    """Train the configured network and save ``best_model`` in ``output_dir/<Arch.name>``.

    Raises:
        ConfigError: as :func:`build` and :class:`Examples`.
    """
    set_device(config)
    shape = config.run.image_shape
    network = build(config)
    loader, tests = data_loader(config.train, shape), data_loader(config.eval, shape)
    rates = schedule(config.optimizer, config.run.epochs, len(loader))
    optimizer = paddle.optimizer.Momentum(
        learning_rate=rates,
        momentum=config.optimizer.momentum,
        parameters=network.layer.parameters(),
        weight_decay=paddle.regularizer.L2Decay(config.optimizer.l2) if config.optimizer.l2 else None,
    )
    result = Trained(network, os.path.join(config.run.output_dir, config.arch.name, "best_model"))
    for epoch in range(1, config.run.epochs + 1):
        network.layer.train()
        for images, labels in loader:
            loss = F.cross_entropy(network.layer(images), labels)
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            rates.step()
            result.losses.append(float(loss))
        network.layer.eval()
        result.accuracy.append(_accuracy(network.layer, tests))
        say(f"epoch {epoch}: loss {result.losses[-1]:.4f}, top1 {result.accuracy[-1]:.4f}")
        if result.accuracy[-1] > max(result.accuracy[:-1], default=-1.0):
            paddle.save(network.layer.state_dict(), result.best_model + ".pdparams")
            paddle.save(optimizer.state_dict(), result.best_model + ".pdopt")
            say(f"saved {result.best_model}")
    return result


def _accuracy(layer: Any, tests: Any) -> float:
    right = total = 0
    with paddle.no_grad():
        for images, labels in tests:
            found = layer(images).numpy().argmax(axis=1)
            right += int((found == labels.numpy().reshape(-1)).sum())
            total += len(found)
    return right / total


def export(config: Config, say: Say) -> str:
    """Write the inference model of ``Global.pretrained_model``; return its program's path.

    Its outputs are the logits. PaddleSlim saves a quantized network, and writes a ``.pdmodel`` in every
    profile.

    Raises:
        ConfigError: as :func:`build`; or no pretrained model is named.
    """
    set_device(config)
    if config.run.pretrained_model is None:
        raise ConfigError("Global.pretrained_model is missing: name what is to be exported")
    network = build(config, exporting=True)
    network.layer.eval()
    shape = [None, *config.run.image_shape]
    inputs = [paddle.static.InputSpec(shape=shape, dtype="float32", name=compress.input_name(config))]
    prefix = os.path.join(config.run.save_inference_dir, INFERENCE)
    if network.quanter is not None:
        network.quanter.save_quantized_model(network.layer, prefix, input_spec=inputs)
    else:
        paddle.jit.save(paddle.jit.to_static(network.layer, input_spec=inputs), prefix)
    program = compress.program_of(config.run.save_inference_dir, INFERENCE)
    say(f"exported {program}")
    return program


def quantize(config: Config, say: Say) -> str:
    """Quantize the exported model in ``save_inference_dir`` offline; return the quantized model's folder.

    Raises:
        ConfigError: there is no exported model, or there are no digits to calibrate with.
    """
    set_device(config)
    architecture(config.arch, config.run.image_shape[0])
    images = Images(config.train, config.run.image_shape)
    np.random.seed(config.run.seed)
    folder = compress.quantize_offline(config, INFERENCE, images)
    say(f"quantized {folder}")
    return folder
