"""What a reference model states about itself: the contract of ``reference_models/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Sequence, Tuple

import numpy as np

if TYPE_CHECKING:
    from harness.worker.models.digits import Digits


@dataclass(frozen=True)
class Input:
    """One input of a network.

    ``shape`` has ``None`` where a dimension is dynamic; axis 0 is the batch.
    Sampled values are uniform in ``[low, high)``; integers for integer dtypes, true or false for
    booleans. Dynamic dimensions after the batch get the size ``dynamic``.
    """

    name: str
    shape: Tuple[Optional[int], ...]
    dtype: str = "float32"
    low: float = 0.0
    high: float = 1.0
    dynamic: int = 8
    lod_of: str = ""
    """The input whose sequences this one describes: their offsets, 0 first (LoD of level 1)."""

    def size(self, batch: int) -> Tuple[int, ...]:
        """Return the shape with ``batch`` rows; a fixed axis 0 is unchanged."""
        return tuple(
            (batch if axis == 0 else self.dynamic) if size is None else size
            for axis, size in enumerate(self.shape)
        )

    @property
    def nbytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self.size(1), dtype="int64")) * np.dtype(self.dtype).itemsize

    def sample(self, batch: int, rng: np.random.Generator) -> np.ndarray:
        """Return random values of ``batch`` rows."""
        shape = self.size(batch)
        if self.dtype == "bool":
            return rng.integers(0, 2, size=shape).astype("bool")
        if np.issubdtype(np.dtype(self.dtype), np.integer):
            return rng.integers(int(self.low), int(self.high), size=shape).astype(self.dtype)
        return rng.uniform(self.low, self.high, size=shape).astype(self.dtype)


@dataclass(frozen=True)
class Training:
    """A training configuration that reaches ``accuracy`` on the test examples.

    ``examples(digits, split)`` returns the input arrays (one per network input,
    rows first) and int64 labels of shape ``[n]``; split is ``"train"`` or ``"test"``.
    ``optimizer`` names a class of ``paddle.optimizer``; the loss is the cross
    entropy of the first output.
    """

    examples: Callable[[Digits, str], Tuple[List[np.ndarray], np.ndarray]]
    accuracy: float
    optimizer: str = "Adam"
    learning_rate: float = 0.001
    batch_size: int = 64
    epochs: int = 2
    optimizer_arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ReferenceModel:
    """A network with its input specifications, seed and training configuration.

    ``build(**arguments)`` returns the ``paddle.nn.Layer``; its forward takes the
    inputs in order and returns one tensor, or a list or tuple of ``len(outputs)``.
    ``document`` names the seed document it comes from (``""`` for none), ``tier``
    is the smallest tier that runs it, ``role`` says where it is used:
    ``"conformance"`` models go through every suite, ``"latency"`` ones are only timed.
    """

    name: str
    summary: str
    build: Callable[..., Any]
    inputs: Tuple[Input, ...]
    outputs: Tuple[str, ...] = ("logits",)
    document: str = ""
    seed: int = 2026
    tier: str = "quick"
    role: str = "conformance"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    training: Optional[Training] = None
    converted: bool = False
    """Whether its forward has Python control flow on tensors. Static graph mode then needs dy2static's
    `convert_call`, since a plain call there can't branch on a value."""

    def packed(self, flat: Sequence[Any]) -> Tuple[Any, ...]:
        """Return the arguments of ``forward``, made of one value for each input, in order."""
        return tuple(flat)

    def sample(self, batch: int, seed: int = 0) -> List[np.ndarray]:
        """Return a feed of ``batch`` rows: an array per input, in order."""
        rng = np.random.default_rng([self.seed, seed, batch])
        return [spec.sample(batch, rng) for spec in self.inputs]
