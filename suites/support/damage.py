"""Ways a model file gets damaged, as pure functions from bytes to bytes.

Every position is found by its meaning, never by an offset: a byte of a known weight, a letter of an
operator's name, the first byte. So a damage does the same to every release's files, and does not
move when a checkout's path (which programs carry in their call stacks) is longer.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32_BYTES = 4
EXPONENT_BIT = 0x40
"""In the most significant byte of a float32: the exponent's highest bit, 2^128 in the value."""

OPERATOR_NAME = re.compile(rb'(?:"\d\.|\x1a\x04)relu')
"""An operator's type in a ``.json`` program (``"1.relu"``) and in a ``.pdmodel`` (field 3, length 4).
Variables' names and the call stack contain the word too, but not in this form."""


def flip(data: bytes, position: int, mask: int) -> bytes:
    """Return the bytes with the bits of ``mask`` flipped at ``position``."""
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]


def flip_value(data: bytes, payload: bytes) -> bytes:
    """Flip the highest exponent bit of the middle element of a float32 array whose bytes are ``payload``.

    Raises:
        ValueError: the array is not in the data, or more than once.
    """
    if not payload or data.count(payload) != 1:
        raise ValueError(f"the array's {len(payload)} bytes occur {data.count(payload)} times in the file")
    element = len(payload) // FLOAT32_BYTES // 2
    return flip(data, data.index(payload) + FLOAT32_BYTES * element + FLOAT32_BYTES - 1, EXPONENT_BIT)


def flip_operator(data: bytes) -> bytes:
    """Flip one bit of the first ``relu`` of a program, so that it reads ``selu``, another valid operator.

    Raises:
        ValueError: the program has no ``relu``.
    """
    found = OPERATOR_NAME.search(data)
    if found is None:
        raise ValueError("the program has no operator named relu")
    return flip(data, found.end() - len("relu"), ord("r") ^ ord("s"))


def flip_first_byte(data: bytes) -> bytes:
    """Flip the lowest bit of the first byte: the file's magic number, or its first length or version."""
    return flip(data, 0, 0x01)


def png() -> bytes:
    """Return a whole, valid PNG: one grey pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x80")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


ANY_FILE: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "truncated-half": lambda data: data[: len(data) // 2],
    "truncated-16-bytes": lambda data: data[:-16],
    "foreign-png": lambda data: png(),
    "bit-flip-first-byte": flip_first_byte,
}
"""Damages that need no knowledge of what the file holds."""

DAMAGES = (*ANY_FILE, "bit-flip-content", "missing")
"""``bit-flip-content`` is a weight's exponent in parameters, an operator's name in a program."""


def damage(file: Path, kind: str, payload: bytes | None) -> None:
    """Damage a file in place; ``payload`` is the bytes of an array that it holds, None for a program.

    Raises:
        ValueError: the damage cannot be done to this file, or would leave it unchanged.
    """
    if kind == "missing":
        file.unlink()
        return
    data = file.read_bytes()
    if kind == "bit-flip-content":
        damaged = flip_operator(data) if payload is None else flip_value(data, payload)
    else:
        damaged = ANY_FILE[kind](data)
    if damaged == data:
        raise ValueError(f"{kind} leaves {file.name} as it was")
    # A new file: the copy may share its storage with what it was copied from.
    file.unlink()
    file.write_bytes(damaged)


def holder(folder: Path, payload: bytes) -> str:
    """Return the one file of a folder that holds the array (one file per parameter: names differ by release).

    Raises:
        ValueError: no file holds it, or several do.
    """
    found = [
        file.name for file in sorted(folder.iterdir()) if file.is_file() and payload in file.read_bytes()
    ]
    if len(found) != 1:
        raise ValueError(f"{len(found)} files of {folder} hold the array: {', '.join(found) or 'none'}")
    return found[0]


def payload_of(array: NDArray[Any]) -> bytes:
    """Return an array's bytes as they are in a file.

    Raises:
        ValueError: it is not a float32 array; the flip changes a float32 exponent.
    """
    if array.dtype != np.float32:
        raise ValueError(f"the array is {array.dtype}, not float32")
    return np.ascontiguousarray(array).tobytes()
