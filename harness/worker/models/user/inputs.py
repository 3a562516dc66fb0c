"""Inputs of user models: from the model, from the user's specifications, or from examples."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from harness.worker.models.model import Input, ReferenceModel

IMAGE_SIDE = 64
"""Size of an open dimension of a rank-4 input: an image, of which poolings would leave nothing if small."""


@dataclass(frozen=True)
class Leaf:
    """The place of an input among the arguments of ``forward``."""

    index: int


def filled(structure: Any, flat: Sequence[Any]) -> Any:
    """Return the structure with a value for each leaf."""
    if isinstance(structure, Leaf):
        return flat[structure.index]
    if isinstance(structure, dict):
        return {key: filled(value, flat) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(filled(value, flat) for value in structure)
    return structure


@dataclass(frozen=True)
class UserModel(ReferenceModel):
    """A user model. ``examples`` are the given inputs in order, None for those that are drawn."""

    form: str = "layer"
    examples: Tuple[Optional[np.ndarray], ...] = ()
    structure: Optional[Tuple[Any, ...]] = None
    """Arguments of ``forward`` with a :class:`Leaf` for each input; None where each argument is an input."""

    def packed(self, flat: Sequence[Any]) -> Tuple[Any, ...]:
        return super().packed(flat) if self.structure is None else filled(self.structure, flat)

    def sample(self, batch: int, seed: int = 0) -> List[np.ndarray]:
        """Return the given inputs and draw the others; see :func:`rows` for other batch sizes.

        Of an input of sequences, ``batch`` is the number of sequences.
        """
        drawn = super().sample(batch, seed)
        given = self.examples or (None,) * len(drawn)
        found = [
            array if example is None else rows(example, spec, batch, seed)
            for array, example, spec in zip(drawn, given, self.inputs)
        ]
        return self._in_sequences(found, batch, seed)

    def _in_sequences(self, feed: List[np.ndarray], batch: int, seed: int) -> List[np.ndarray]:
        """Replace inputs of sequences, and their offsets; the inputs of one model have the same lengths."""
        rng = np.random.default_rng([self.seed, seed, batch, 1])
        lengths = rng.integers(3, 9, size=batch)
        given = dict(zip((spec.name for spec in self.inputs), self.examples))
        places = {spec.name: index for index, spec in enumerate(self.inputs)}
        for index, spec in enumerate(self.inputs):
            if not spec.lod_of:
                continue
            base = places[spec.lod_of]
            values, offsets = given.get(spec.lod_of), given.get(spec.name)
            if values is None:
                feed[base], feed[index] = self.inputs[base].sample(int(lengths.sum()), rng), _offsets(lengths)
            elif offsets is None:
                feed[base], feed[index] = values, _offsets([len(values)])
            else:
                feed[base], feed[index] = _sequences(values, offsets, (seed * batch + np.arange(batch)))
        return feed


def _offsets(lengths: Any) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype("int64")


def _sequences(values: np.ndarray, offsets: np.ndarray, numbers: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return the rows of these sequences, counted from the first one again after the last, and offsets."""
    spans = [slice(*offsets[n : n + 2]) for n in numbers % (len(offsets) - 1)]
    return np.concatenate([values[span] for span in spans]), _offsets([s.stop - s.start for s in spans])


def digest(text: str) -> str:
    """Return a short hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rows(example: np.ndarray, spec: Input, batch: int, seed: int) -> np.ndarray:
    """Return ``batch`` rows of an example, different ones for each seed; all rows where axis 0 is fixed."""
    if not spec.shape or spec.shape[0] is not None:
        return example
    return example[(seed * batch + np.arange(batch)) % len(example)]


def dtype_name(dtype: Any) -> str:
    """Return NumPy's name of a Paddle dtype, however the release writes it.

    Raises:
        TypeError: NumPy has no such type, so no such array can be fed.
    """
    from paddle.base.data_feeder import convert_dtype

    name = str(convert_dtype(dtype))
    try:
        return np.dtype(name).name
    except TypeError:
        raise TypeError(f"an input is {name}, which NumPy has no arrays of") from None


def opened(shape: Sequence[Any]) -> Tuple[Optional[int], ...]:
    """Return a shape with None where a dimension is open (None or negative)."""
    return tuple(None if size is None or int(size) < 0 else int(size) for size in shape)


def plain(name: str, shape: Sequence[Any], dtype: str) -> Input:
    """Return an input without a known range: [0, 1) for floats, 0 and 1 for integers (in any vocabulary)."""
    floating = np.issubdtype(np.dtype(dtype), np.inexact)
    return Input(name, opened(shape), dtype, 0.0, 1.0 if floating else 2.0, dynamic=side(shape))


def lod(name: str) -> Input:
    """Return the input that holds the sequence offsets of another one, as an ``.npz`` names it."""
    return Input(f"{name}.lod", (None,), "int64", lod_of=name)


def side(shape: Sequence[Any]) -> int:
    """Return the size of open dimensions after the batch."""
    return IMAGE_SIDE if len(shape) == 4 else 8


def with_specs(inputs: Sequence[Input], specs: Sequence[Mapping[str, Any]]) -> List[Input]:
    """Return the inputs, changed by the user's specifications.

    Raises:
        ValueError: a specification names no input.
    """
    found = {spec.name: spec for spec in inputs}
    for said in specs:
        if said["name"] not in found:
            raise ValueError(f"no input is named {said['name']}: there are {', '.join(found) or 'none'}")
        found[said["name"]] = _changed(found[said["name"]], said)
    return list(found.values())


def from_specs(specs: Sequence[Mapping[str, Any]]) -> List[Input]:
    """Return the inputs where only the user's specifications describe them.

    Raises:
        ValueError: a specification has no shape.
    """
    for said in specs:
        if said.get("shape") is None:
            raise ValueError(f"input {said['name']} needs a shape: try spec={said['name']}:float32:?x8")
    return [
        _changed(plain(said["name"], said["shape"], said.get("dtype") or "float32"), said) for said in specs
    ]


def _changed(spec: Input, said: Mapping[str, Any]) -> Input:
    dtype = said.get("dtype") or spec.dtype
    shape = spec.shape if said.get("shape") is None else tuple(said["shape"])
    if dtype != spec.dtype:
        spec = plain(spec.name, shape, dtype)
    if said.get("low") is None:
        if shape == spec.shape:
            return spec
        return Input(spec.name, shape, dtype, spec.low, spec.high, dynamic=side(shape))
    whole = np.issubdtype(np.dtype(dtype), np.integer)
    # A range from the user is drawn from uniformly, whatever distribution the model states.
    return Input(
        spec.name, shape, dtype, said["low"], said["high"] + 1 if whole else said["high"], dynamic=side(shape)
    )


def from_examples(examples: Mapping[str, np.ndarray]) -> List[Input]:
    """Return inputs with the examples' shapes and dtypes; every dimension is fixed."""
    return [plain(name, array.shape, array.dtype.name) for name, array in examples.items()]


def load_examples(path: str) -> Dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` by name, in the order of the file."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def named(examples: Mapping[str, np.ndarray], names: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Give the inputs' names to arrays without one, which `numpy.savez` calls ``arr_0``, ``arr_1``, …"""
    unnamed = all(name == f"arr_{index}" for index, name in enumerate(examples))
    if not unnamed or set(examples) & set(names) or len(examples) > len(names):
        return examples
    return dict(zip(names, examples.values()))


def matched(examples: Mapping[str, np.ndarray], inputs: Sequence[Input]) -> Tuple[Optional[np.ndarray], ...]:
    """Assign the examples to inputs by name; in order where the file names none.

    Raises:
        ValueError: an array belongs to no input, or has another shape or kind of dtype.
    """
    if not examples:
        return ()
    names = [spec.name for spec in inputs]
    examples = named(examples, names)
    strange = [name for name in examples if name not in names]
    if strange:
        raise ValueError(f"the example inputs {', '.join(strange)} are not among {', '.join(names)}")
    for spec in inputs:
        array = examples.get(spec.name)
        if array is None:
            continue
        fits = len(array.shape) == len(spec.shape) and all(
            size is None or size == there for size, there in zip(spec.shape, array.shape)
        )
        if not fits or array.dtype.name != spec.dtype:
            raise ValueError(
                f"the example of {spec.name} is {array.dtype.name}{list(array.shape)}, the input "
                f"{spec.dtype}{['?' if size is None else size for size in spec.shape]}"
            )
    return tuple(examples.get(name) for name in names)
