"""Paddle Inference in Python: `Config`, `create_predictor`, handles, `run`.

Files: ``model`` and ``params`` (two files), or ``folder`` (older layout: ``__model__`` and one
file per parameter). Options: ``device`` (``cpu`` or ``gpu``), ``onednn`` (true, false, absent:
as the release has it), ``bfloat16``, ``int8`` (oneDNN's int8 kernels for what the program
quantizes), ``tensorrt`` (``"int8"``), ``ir_optim``, ``memory_optim``, ``threads``, ``in_memory``,
``without`` (passes that are taken out), ``log``.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import paddle
from paddle.inference import Config, PrecisionType, create_predictor

from harness.worker.model import ReferenceModel


def available(options: Mapping[str, Any]) -> Optional[str]:
    """GPU needs a CUDA build and a device; bfloat16 needs a processor that has it."""
    if options.get("device") == "gpu":
        if not paddle.is_compiled_with_cuda():
            return f"Paddle {paddle.__version__} here is a CPU build: this target needs paddlepaddle-gpu"
        if paddle.device.cuda.device_count() < 1:
            return "this build of Paddle sees no GPU"
    if options.get("bfloat16"):
        with open("/proc/cpuinfo") as file:
            flags = file.read().split()
        if "avx512f" not in flags:
            return "this processor has no AVX-512, which oneDNN needs for bfloat16"
    return None


def configure(files: Mapping[str, str], options: Mapping[str, Any]) -> Config:
    """The `Config` that the options describe."""
    if options.get("in_memory"):
        config = Config()
        with open(files["model"], "rb") as model, open(files["params"], "rb") as params:
            program, values = model.read(), params.read()
        config.set_model_buffer(program, len(program), values, len(values))
    elif "model" in files:
        config = Config(files["model"], files["params"])
    else:
        config = Config(files["folder"])
    if options.get("device") == "gpu":
        config.enable_use_gpu(int(options.get("gpu_memory_mb", 256)), int(options.get("gpu_id", 0)))
    else:
        config.disable_gpu()
    if "onednn" in options:
        (config.enable_mkldnn if options["onednn"] else config.disable_mkldnn)()
    if options.get("bfloat16"):
        config.enable_mkldnn_bfloat16()
    if options.get("int8"):
        config.enable_mkldnn_int8()
    if options.get("tensorrt") == "int8":
        # The scales are in the program: no calibration.
        config.enable_tensorrt_engine(
            workspace_size=1 << 28,
            max_batch_size=int(options.get("max_batch", 256)),
            min_subgraph_size=1,
            precision_mode=PrecisionType.Int8,
            use_static=False,
            use_calib_mode=False,
        )
    if "ir_optim" in options:
        config.switch_ir_optim(bool(options["ir_optim"]))
    if options.get("memory_optim"):
        config.enable_memory_optim()
    for name in options.get("without", ()):
        config.delete_pass(name)
    config.set_cpu_math_library_num_threads(int(options.get("threads", 1)))
    if not options.get("log"):
        config.disable_glog_info()
    return config


class Session:
    """A predictor; `clone()` gives another session on the same parameters."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        self.config = configure(files, options)
        self.in_memory = bool(options.get("in_memory"))
        self.predictor = create_predictor(self.config)
        self.inputs = [spec.name for spec in model.inputs]

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        """The five steps of document 002 §3.

        Raises:
            ValueError: the predictor's input names are not the model's.
        """
        names = self.predictor.get_input_names()
        if sorted(names) != sorted(self.inputs):
            raise ValueError(f"the predictor's inputs are {names}, the model's {self.inputs}")
        for name, array in zip(self.inputs, feed):
            handle = self.predictor.get_input_handle(name)
            handle.reshape(list(array.shape))
            handle.copy_from_cpu(np.ascontiguousarray(array))
        self.predictor.run()
        return [
            self.predictor.get_output_handle(name).copy_to_cpu() for name in self.predictor.get_output_names()
        ]

    def describe(self) -> Dict[str, Any]:
        """What the configuration says it will do (read back, not what was asked)."""
        config = self.config
        return {
            "device": "gpu" if config.use_gpu() else "cpu",
            "onednn": bool(config.mkldnn_enabled()),
            "ir_optim": bool(config.ir_optim()),
            "threads": int(config.cpu_math_library_num_threads()),
            # The summary of a model from memory prints its bytes, which are no text.
            "summary": {} if self.in_memory else _summary(config),
            "inputs": list(self.predictor.get_input_names()),
            "outputs": len(self.predictor.get_output_names()),
        }

    def close(self) -> None:
        self.predictor = None
        self.config = None


def _summary(config: Config) -> Dict[str, str]:
    rows = (line.strip("|").split("|") for line in config.summary().splitlines() if line.startswith("|"))
    return {cells[0].strip(): cells[1].strip() for cells in rows if len(cells) == 2}
