"""A Paddle program that returns its input, for each type that an input can have."""

from __future__ import annotations

from typing import Dict

import paddle

from harness.worker.inspection import programs
from harness.worker.inspection.programs import program_file


def save(dtype: str, prefix: str) -> Dict[str, str]:
    """Write the program for inputs ``x [n, 3]`` of that type; return its files.

    Its outputs are the input's values in a row, ``[3n]``, and twice its one parameter, ``[3]``: 2.6.2 does
    not load a program without parameters.
    """
    with programs.static_mode():
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup):
            x = paddle.static.data("x", [None, 3], dtype)
            weight = paddle.static.create_parameter([3], "float32")
            outputs = [paddle.reshape(x, [-1]), weight + weight]
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(startup)
        paddle.static.save_inference_model(prefix, [x], outputs, executor, program=main)
    return {"model": program_file(prefix), "params": prefix + ".pdiparams"}
