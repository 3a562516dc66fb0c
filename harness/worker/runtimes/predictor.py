"""Paddle Inference in Python: `Config`, `create_predictor`, handles, `run`.

Files: ``model`` and ``params`` (two files), or ``folder`` (older layout: ``__model__`` and one
file per parameter). Options: ``device`` (``cpu``, ``gpu``, or the type of a custom device),
``precision`` (``"fp16"``, of a GPU or custom device), ``tensorrt`` (its precision: ``"fp32"``, ``"fp16"``,
``"int8"``), ``onednn`` (true, false, absent: the release's default), ``bfloat16``, ``int8`` (oneDNN's int8
kernels for what the program quantizes; a list: only for operators of these types), ``ir_optim``,
``memory_optim``, ``threads``, ``in_memory``, ``without`` (passes to remove), ``log``.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np
from paddle.inference import Config, PrecisionType, create_predictor

from harness.worker import runtimes
from harness.worker.machine import devices
from harness.worker.models.model import ReferenceModel

STAGES = {
    "predictor-no-ir": {
        "place": 80,
        "options": {"ir_optim": False, "onednn": False},
        "focus": ["predictor", "gate"],
    },
    "predictor-no-onednn": {"place": 90, "options": {"onednn": False}, "focus": ["predictor", "gate"]},
    "predictor": {"place": 100, "focus": ["predictor", "bf16", "gate"]},
    "predictor-memory": {
        "place": 110,
        "options": {"memory_optim": True},
        "like": "predictor",
        "focus": ["predictor"],
    },
    "predictor-bf16": {
        "place": 130,
        "options": {"onednn": True, "bfloat16": True},
        "like": "predictor",
        "focus": ["bf16"],
        "dear": True,
        "coarse": True,
    },
}
PLAIN = """
{{ calls.predictor("%r, %r" % (files.model, files.params) if files.model is defined else files.folder | repr,
    config, "INPUTS") }}
"""
PRECISIONS = {"fp32": PrecisionType.Float32, "fp16": PrecisionType.Half, "int8": PrecisionType.Int8}


def available(options: Mapping[str, Any]) -> Optional[str]:
    """Return why the device, or the processor's support of bfloat16, is missing; or None."""
    missing = devices.missing(str(options.get("device", "cpu")))
    if missing:
        return missing
    if options.get("bfloat16"):
        with open("/proc/cpuinfo") as file:
            flags = file.read().split()
        if "avx512f" not in flags:
            return "this processor has no AVX-512, which oneDNN needs for bfloat16"
    return None


def configure(files: Mapping[str, str], options: Mapping[str, Any]) -> Config:
    """Return the `Config` that the options describe."""
    if options.get("in_memory"):
        config = Config()
        with open(files["model"], "rb") as model, open(files["params"], "rb") as params:
            program, values = model.read(), params.read()
        config.set_model_buffer(program, len(program), values, len(values))
    elif "model" in files:
        config = Config(files["model"], files["params"])
    else:
        config = Config(files["folder"])
    device = str(options.get("device", "cpu"))
    precision = PRECISIONS[options.get("precision", "fp32")]
    if device == "gpu":
        memory = int(options.get("gpu_memory_mb", 256))
        config.enable_use_gpu(memory, int(options.get("gpu_id", 0)), precision)
    else:
        config.disable_gpu()
        if device != "cpu":
            config.enable_custom_device(device, 0, precision)
    if "onednn" in options:
        (config.enable_mkldnn if options["onednn"] else config.disable_mkldnn)()
    if options.get("bfloat16"):
        config.enable_mkldnn_bfloat16()
    int8 = options.get("int8")
    if int8:
        config.enable_mkldnn_int8(*([] if int8 is True else [set(int8)]))
    if options.get("tensorrt"):
        # The int8 scales are in the program: no calibration.
        config.enable_tensorrt_engine(
            workspace_size=1 << 28,
            max_batch_size=int(options.get("max_batch", 256)),
            min_subgraph_size=1,
            precision_mode=PRECISIONS[options["tensorrt"]],
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

    handles: Optional[Tuple[List[Any], List[Any]]] = None
    """Handles of inputs (in the model's order) and of outputs; the first run gets them for all runs."""

    def __init__(self, files: Mapping[str, str], model: ReferenceModel, options: Mapping[str, Any]) -> None:
        self.device = str(options.get("device", "cpu"))
        self.meter = devices.Meter(self.device)
        self.config = configure(files, options)
        self.in_memory = bool(options.get("in_memory"))
        self.predictor = create_predictor(self.config)
        self.inputs = [spec.name for spec in model.inputs if not spec.lod_of]
        self.lods = runtimes.lods(model)

    def infer(self, feed: List[np.ndarray]) -> List[np.ndarray]:
        """Do the five steps of document 002 §3.

        Raises:
            ValueError: the predictor's input names are not the model's.
        """
        inputs, outputs = self.handles or (self._input_handles(), [])
        feed, offsets = runtimes.parted(feed, self.lods)
        for handle, array in zip(inputs, feed):
            handle.reshape(list(array.shape))
            handle.copy_from_cpu(np.ascontiguousarray(array))
        for name, lod in offsets.items():
            inputs[self.inputs.index(name)].set_lod([lod.tolist()])
        self.predictor.run()
        if self.handles is None:  # in some releases the outputs are only known now
            outputs = [self.predictor.get_output_handle(n) for n in self.predictor.get_output_names()]
            self.handles = (inputs, outputs)
        return [handle.copy_to_cpu() for handle in outputs]

    def prepared(self, feed: List[np.ndarray]) -> Callable[[], List[np.ndarray]]:
        """Return a function to time: it runs this feed by the same steps, with no other code between them."""
        if self.handles is None:
            self.infer(feed)
        assert self.handles is not None
        inputs, outputs = self.handles
        feed, _ = runtimes.parted(feed, self.lods)  # the offsets of the first run stay
        given = [
            (handle.reshape, list(array.shape), handle.copy_from_cpu, np.ascontiguousarray(array))
            for handle, array in zip(inputs, feed)
        ]
        run, fetches = self.predictor.run, [handle.copy_to_cpu for handle in outputs]

        def once() -> List[np.ndarray]:
            for reshape, shape, copy_from_cpu, array in given:
                reshape(shape)
                copy_from_cpu(array)
            run()
            return [copy_to_cpu() for copy_to_cpu in fetches]

        return once

    def _input_handles(self) -> List[Any]:
        names = self.predictor.get_input_names()
        runtimes.check_inputs("predictor", names, self.inputs)
        return [self.predictor.get_input_handle(name) for name in self.inputs]

    def describe(self) -> Dict[str, Any]:
        """Return the configuration's settings, read back from it."""
        config = self.config
        used = self.meter.told()
        return {
            "device": self._used(used),
            **used,
            "tensorrt": bool(config.tensorrt_engine_enabled()),
            "onednn": bool(config.mkldnn_enabled()),
            "ir_optim": bool(config.ir_optim()),
            "threads": int(config.cpu_math_library_num_threads()),
            # The summary of a model from memory prints its bytes, which are not text.
            "summary": {} if self.in_memory else summary(config.summary()),
            "inputs": list(self.predictor.get_input_names()),
            "outputs": len(self.predictor.get_output_names()),
            "interface": self._interface(),
        }

    def _interface(self) -> Dict[str, List[str]]:
        """Return what a client asks for by name: inputs with their types, and outputs."""
        predictor = self.predictor
        return {
            "inputs": [
                f"{name} {str(predictor.get_input_handle(name).type()).rpartition('.')[2].lower()}"
                for name in predictor.get_input_names()
            ],
            "outputs": list(predictor.get_output_names()),
        }

    def _used(self, used: Mapping[str, float]) -> str:
        """Return the device in use; a custom device shows only by its memory, not in the configuration."""
        if self.config.use_gpu():
            return "gpu"
        return self.device if used.get("device_used_mib", 0.0) > 0 else "cpu"

    def close(self) -> None:
        self.handles = None
        self.predictor = None
        self.config = None


def summary(text: str) -> Dict[str, str]:
    """Return option and value of each row of `Config.summary`'s table."""
    rows = (line.strip("|").split("|") for line in text.splitlines() if line.startswith("|"))
    return {cells[0].strip(): cells[1].strip() for cells in rows if len(cells) == 2}
