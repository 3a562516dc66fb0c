"""Paddle Lite's runtime as a separate process, since its wheel needs another Python than Paddle's.

Started as ``python session.py MODEL.nb``. A message is eight bytes of length, then a letter and that
many bytes: ``a`` arrays (``.npz``), ``t`` a JSON text, ``e`` an error's text. It reports what it loaded,
then answers each message of arrays with one. Runs on Python 3.7 and imports nothing of the harness.
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
from typing import IO, Any, List, Optional, Tuple

import numpy as np

HEAD = struct.Struct("<cQ")


def send(wire: IO[bytes], kind: bytes, body: bytes) -> None:
    """One message."""
    wire.write(HEAD.pack(kind, len(body)) + body)
    wire.flush()


def receive(wire: IO[bytes]) -> Optional[Tuple[bytes, bytes]]:
    """Read the next message; None at the end."""
    head = wire.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    kind, length = HEAD.unpack(head)
    body = wire.read(length)
    return (kind, body) if len(body) == length else None


def packed(arrays: List[np.ndarray]) -> bytes:
    """Return arrays as the bytes of an ``.npz``."""
    file = io.BytesIO()
    np.savez(file, *arrays)
    return file.getvalue()


def unpacked(body: bytes) -> List[np.ndarray]:
    """Return the arrays in the bytes of an ``.npz``."""
    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        return [file[f"arr_{index}"] for index in range(len(file.files))]


def main(path: str) -> None:
    """Load the model and run each feed from standard input until the input ends."""
    wire, asked = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)  # the engine's output belongs in the log
    try:
        import paddlelite.lite as lite

        config = lite.MobileConfig()
        config.set_model_from_file(path)
        predictor = lite.create_paddle_predictor(config)
    except Exception as error:
        send(wire, b"e", f"{type(error).__name__}: {error}".encode())
        return
    names = list(predictor.get_input_names())
    description = {
        "version": predictor.get_version(),
        "python": ".".join(map(str, sys.version_info[:3])),
        "inputs": names,
        "outputs": list(predictor.get_output_names()),
    }
    send(wire, b"t", json.dumps(description).encode())
    while True:
        message = receive(asked)
        if message is None:
            return
        try:
            send(wire, b"a", packed(run(predictor, unpacked(message[1]))))
        except Exception as error:
            send(wire, b"e", f"{type(error).__name__}: {error}".encode())


def run(predictor: Any, feed: List[np.ndarray]) -> List[np.ndarray]:
    """Run once: inputs in the predictor's order; return copies of the outputs in its order."""
    for index, array in enumerate(feed):
        predictor.get_input(index).from_numpy(np.ascontiguousarray(array))
    predictor.run()
    count = len(predictor.get_output_names())
    return [np.array(predictor.get_output(index).numpy()) for index in range(count)]


if __name__ == "__main__":
    main(sys.argv[1])
