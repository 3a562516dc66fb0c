"""The text of a script of plain Paddle calls: load, run and compare, for every runtime.

What is written here imports Paddle and NumPy only; the harness that writes it imports no Paddle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.compare import Yardstick
from harness.errors import HarnessError
from harness.lab import ModelInfo
from harness.targets import Target
from harness.types import Record

_HEAD = '''"""{title}

Case {case} of the Paddle conformance harness, as plain Paddle calls.
Run with Paddle {paddle}: python {script}
Exit status 0: all outputs are within what they may differ from the float64 oracle by; 1: not.
"""

import os
import sys

# Read when Paddle is imported, so set before.
os.environ.update({env!r})

import numpy as np
import paddle

os.chdir(os.path.dirname(os.path.abspath(__file__)))

INPUTS = {inputs!r}
RUNS = {runs}
# Allowed root mean square and largest error of each output.
ALLOWED = {allowed!r}

print("Paddle", paddle.__version__)
'''

_TAIL = """

wrong = 0
for run in range(1, RUNS + 1):
    feed = [np.load(f"feed-{run}-{name}.npy") for name in INPUTS]
    outputs = infer(feed)
    if len(outputs) != len(ALLOWED):
        sys.exit(f"run {run}: {len(outputs)} outputs where {len(ALLOWED)} were expected")
    for index, got in enumerate(outputs):
        expected = np.load(f"expected-{run}-{index}.npy")
        got = np.asarray(got)
        place = f"run {run} (batch {len(feed[0])}), output {index}"
        if got.shape != expected.shape:
            print(f"{place}: shape {got.shape} where {expected.shape} was expected")
            wrong += 1
            continue
        if not np.issubdtype(expected.dtype, np.floating):
            bad, text = not np.array_equal(got, expected), f"{int((got != expected).sum())} elements differ"
        else:
            error = np.abs(got.astype("float64") - expected)
            rms, largest = float(np.sqrt(np.mean(error**2))), float(error.max())
            # Written so that a NaN is a disagreement.
            bad = not (rms <= ALLOWED[index][0] and largest <= ALLOWED[index][1])
            text = "rms error %.3g (allowed %.3g), largest %.3g (allowed %.3g)" % (
                rms, ALLOWED[index][0], largest, ALLOWED[index][1]
            )
        if bad:
            wrong += 1
            text += f"\\n  got      {got.reshape(-1)[:6]}\\n  expected {expected.reshape(-1)[:6]}"
        print(f"{place}: {'DISAGREES' if bad else 'agrees'}: {text}")
print(f"{wrong} of {RUNS * len(ALLOWED)} outputs disagree")
sys.exit(1 if wrong else 0)
"""

_OUTPUTS = """

def flat(result):
    if isinstance(result, (list, tuple)):
        return [array for item in result for array in flat(item)]
    return [result.numpy()]
"""

LOAD = {
    "dygraph": """
import model

(chosen,) = [m for m in (getattr(model, "MODELS", None) or [model.MODEL]) if m.name == {model!r}]
network = chosen.build(**chosen.arguments)
missing, unexpected = network.set_state_dict(paddle.load({params!r}))
assert not missing and not unexpected, (missing, unexpected)
network.eval()
"""
    + _OUTPUTS
    + """

def infer(feed):
    with paddle.no_grad():
        return flat(network(*map(paddle.to_tensor, feed)))
""",
    "jit": """
layer = paddle.jit.load({prefix!r})
layer.eval()
"""
    + _OUTPUTS
    + """

def infer(feed):
    with paddle.no_grad():
        return flat(layer(*map(paddle.to_tensor, feed)))
""",
    "static": """
paddle.enable_static()
executor = paddle.static.Executor(paddle.CPUPlace())
program, feed_names, fetches = paddle.static.load_inference_model(
    {folder!r}, executor, model_filename={program!r}, params_filename={params!r}
)


def infer(feed):
    return executor.run(program, feed=dict(zip(feed_names, feed)), fetch_list=fetches)
""",
    "predictor": """
from paddle.inference import Config, create_predictor

{config}
predictor = create_predictor(config)


def infer(feed):
    for name, array in zip(INPUTS, feed):
        handle = predictor.get_input_handle(name)
        handle.reshape(list(array.shape))
        handle.copy_from_cpu(np.ascontiguousarray(array))
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
""",
}


def text_of(
    record: Record,
    target: Target,
    model: ModelInfo,
    files: Mapping[str, str],
    env: Mapping[str, str],
    yardsticks: Sequence[Yardstick],
    runs: int,
    paddle: str,
) -> str:
    """The whole of ``repro.py`` for a case of this target and model.

    Args:
        files: the artifact's files, as seen from the script's folder.
        env: environment variables to set before Paddle is imported.
        yardsticks: how far each output may be from the oracle.
        runs: how many feeds lie beside the script.
        paddle: the version to name.

    Raises:
        HarnessError: the target has an option that no plain call is known for.
    """
    head = _HEAD.format(
        title=(record.title or record.case).replace("\\", "").replace('"', "'"),
        case=record.case,
        paddle=paddle,
        script="repro.py",
        env=dict(env),
        inputs=[spec[0] for spec in model.inputs],
        runs=runs,
        allowed=[(yardstick.rmse, yardstick.largest) for yardstick in yardsticks],
    )
    values: dict[str, Any] = {
        "prefix": "",
        "folder": "",
        "program": "",
        "params": None,
        **files,
        "model": model.name,
    }
    if target.runtime == "predictor":
        values["config"] = "\n".join(_config(files, target.options))
    elif target.options:
        raise HarnessError(f"{target.name} has options: use `harness rerun` without --script")
    return head + LOAD[target.runtime].format(**values) + _TAIL


def _config(files: Mapping[str, str], options: Mapping[str, Any]) -> Iterator[str]:
    """The `Config` calls that the worker's predictor makes for these options.

    Raises:
        HarnessError: an option this writer does not know, which must not be left out in silence.
    """
    known = {
        "device",
        "gpu_memory_mb",
        "gpu_id",
        "onednn",
        "bfloat16",
        "ir_optim",
        "memory_optim",
        "threads",
        "log",
    }
    unknown = ", ".join(sorted(set(options) - known))
    if unknown:
        raise HarnessError(f"the option {unknown} has no plain call: use `harness rerun` without --script")
    yield (
        f"config = Config({files['model']!r}, {files['params']!r})"
        if "model" in files
        else (f"config = Config({files['folder']!r})")
    )
    if options.get("device") == "gpu":
        yield f"config.enable_use_gpu({options.get('gpu_memory_mb', 256)}, {options.get('gpu_id', 0)})"
    else:
        yield "config.disable_gpu()"
    if "onednn" in options:
        yield f"config.{'enable' if options['onednn'] else 'disable'}_mkldnn()"
    if options.get("bfloat16"):
        yield "config.enable_mkldnn_bfloat16()"
    if "ir_optim" in options:
        yield f"config.switch_ir_optim({bool(options['ir_optim'])})"
    if options.get("memory_optim"):
        yield "config.enable_memory_optim()"
    yield f"config.set_cpu_math_library_num_threads({int(options.get('threads', 1))})"
