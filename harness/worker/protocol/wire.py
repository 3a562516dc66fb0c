"""How values cross to a worker: plain Python values pickled, arrays as ``.npy`` bytes.

Both sides import it, so it imports neither paddle nor anything of the controller. A message is sent
as one byte string: execnet's serializer refuses integers beyond 32 bits.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

_ARRAY = "__npy__"


def encode(value: Any) -> Any:
    """Replace arrays by tagged ``.npy`` bytes and NumPy scalars by Python's, in any nesting.

    Raises:
        TypeError: a value cannot be sent (an object array, a tensor, an instance).
    """
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        # bool, int, float and str subclasses (np.float64 is one) become plain values.
        plain: Any
        for plain in (bool, int, float, str, bytes):
            if isinstance(value, plain):
                return plain(value)
        return None
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("an object array cannot be sent to the other process")
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return {_ARRAY: buffer.getvalue()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {encode(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be sent to the other process")


def decode(value: Any) -> Any:
    """Undo :func:`encode`; tuples arrive as lists."""
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return np.load(io.BytesIO(value[_ARRAY]), allow_pickle=False)
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [decode(item) for item in value]
    return value


def pack(value: Any) -> bytes:
    """Return a message as bytes; pickle protocol 4, which every supported Python reads."""
    return pickle.dumps(encode(value), protocol=4)


class _Plain(pickle.Unpickler):
    """Unpickler of plain values only: a message may come from another host."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"a message holds {module}.{name}; only plain values may be sent")


def unpack(message: bytes) -> Any:
    """Undo :func:`pack`.

    Raises:
        pickle.UnpicklingError: it holds more than plain values.
    """
    return decode(_Plain(io.BytesIO(message)).load())
