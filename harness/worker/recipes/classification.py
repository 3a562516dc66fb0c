"""Document 004: compression by a configuration file, with the functions that the document's tools call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np
import paddle

from harness.worker.classification import compress, config, engine
from harness.worker.inspection import programs
from harness.worker.recipes import CompressionMethod, Job, methods_of, recipe
from harness.worker.recipes.pruning import keep_pruned

SMALL = ("resnet_vd_small",)
FULL_SIZE = (
    "Global.epochs=1",
    "DataLoader.Train.dataset.samples=16",
    "DataLoader.Train.sampler.batch_size=4",
    "DataLoader.Eval.dataset.samples=8",
)
"""Settings over the file's for a network that is not trained here: four steps at full size."""

OWN_PROCESS = """
import importlib.util, os, runpy, sys, types
root = sys.argv.pop(1)
near = types.ModuleType("harness")
near.__path__ = []
sys.modules["harness"] = near
for name in ("harness.worker", "reference_models"):
    folder = os.path.join(root, *name.split("."))
    spec = importlib.util.spec_from_file_location(
        name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
runpy.run_module("harness.worker.classification", run_name="__main__")
"""
"""Runs the tool as a worker is started: no module of the controller can be imported."""


def settings(job: Job, kind: str, **settings_of_run: Any) -> List[str]:
    """Return the tool's arguments: the model's configuration file, and the ``-o`` settings over it."""
    name = "_".join(filter(None, (job.model.name, kind)))
    overrides = {
        "Global.device": "cpu",
        "Global.output_dir": os.path.join(job.out, "output"),
        "Global.save_inference_dir": os.path.join(job.out, "inference"),
        "DataLoader.Train.dataset.root": job.digits,
        "DataLoader.Eval.dataset.root": job.digits,
        **settings_of_run,
    }
    found = ["-c", os.path.join(config.FOLDER, name + ".yaml")]
    for setting in (
        *(f"{place}={json.dumps(value)}" for place, value in overrides.items()),
        *(() if job.model.training else FULL_SIZE),
    ):
        found += ["-o", setting]
    return found


def load(arguments: List[str]) -> config.Config:
    """Return the configuration that the tool reads from its arguments."""
    return config.load(arguments[1], arguments[3::2])


def quiet(line: str) -> None:
    """Drop a message of the tools."""


def run_tool(command: str, arguments: List[str]) -> None:
    """Run one of the document's tools in a new process.

    Raises:
        RuntimeError: it failed; the message ends with the last line that it wrote.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    done = subprocess.run(
        [sys.executable, "-c", OWN_PROCESS, root, command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        print(done.stdout, file=sys.stderr)
        raise RuntimeError(f"{command} ended with {done.returncode}: {lines[-1] if lines else 'no message'}")


def examples(job: Job) -> Tuple[np.ndarray, np.ndarray]:
    """Return the test digits and their labels."""
    arrays, labels = job.examples("test")
    return arrays[0], labels


def feed(job: Job, configured: config.Config) -> np.ndarray:
    """Return the first 64 test digits; four at the configured size for a model that is not trained."""
    if job.model.training:
        return examples(job)[0][:64]
    tests = engine.Examples(configured.eval, configured.run.image_shape)
    return tests.sized(tests.images[:4])


def deploy(job: Job, program: str) -> str:
    """Copy an inference model to ``inference_model/model.*``; return its program's path in the artifact."""
    prefix, ending = os.path.splitext(program)
    for suffix in (ending, ".pdiparams"):
        shutil.copy(prefix + suffix, job.path("inference_model", "model" + suffix))
    return os.path.join("inference_model", "model" + ending)


def _configured(technique: str, graph: str, call: str) -> Callable[..., CompressionMethod]:
    api = f"paddleslim.{call}, by document 004's configuration"
    return methods_of(technique, graph, api, full=("mobilenet_v1", "resnet50_vd"))


@recipe(
    "configured_training",
    needs=("checkpoint",),
    methods=(
        _configured("qat", "dynamic", "QAT with PACT")("qat-config", SMALL, alike=True, kind="quantization"),
        _configured("prune", "dynamic", "FPGMFilterPruner")("prune-config", SMALL, kind="prune"),
    ),
)
def configured_training(job: Job) -> Dict[str, Any]:
    """Document 004: train as the Slim section says, then export the saved `best_model` in another process."""
    kind = job.parameters["kind"]
    configured = load(settings(job, kind, **{"Global.pretrained_model": job.of("checkpoint", "model")}))
    trained = engine.train(configured, quiet)
    layer = trained.network.layer
    engine.load_values(layer, trained.best_model)
    layer.eval()
    images = feed(job, configured)
    logits = layer(paddle.to_tensor(images)).numpy()
    np.savez(job.path("compressed.npz"), logits=logits, feed=images)
    exporting = settings(job, kind, **{"Global.pretrained_model": trained.best_model})
    run_tool("export", exporting)
    folder = load(exporting).run.save_inference_dir
    program = deploy(job, compress.program_of(folder, engine.INFERENCE))
    shutil.rmtree(folder)
    os.remove(trained.best_model + ".pdopt")
    values = {
        "program": program,
        "losses": trained.losses,
        "accuracy": trained.accuracy,
        "bits": 8,
        "quantizable": list(compress.QUANTIZABLE_LAYERS),
    }
    pruning = trained.network.pruning
    if pruning is not None:
        keep_pruned(job, pruning.original, pruning.pruned)
        values.update(criterion="fpgm", ratios=pruning.ratios, flops=pruning.flops)
        del values["bits"], values["quantizable"]
    return values


@recipe(
    "configured_calibration",
    needs=("checkpoint",),
    methods=(_configured("ptq", "static", "quant.quant_post_static")("ptq-config", SMALL),),
)
def configured_calibration(job: Job) -> Dict[str, Any]:
    """Document 004: export the float model, then quantize it offline into `quant_post_static_model`."""
    configured = load(settings(job, "", **{"Global.pretrained_model": job.of("checkpoint", "model")}))
    engine.export(configured, quiet)
    folder = engine.quantize(configured, quiet)
    program = compress.program_of(folder, "model")
    images = feed(job, configured)
    # The tool keeps no program in memory: what it saved is all that can be run.
    logits = programs.logits(folder, os.path.basename(program), [images])
    np.savez(job.path("compressed.npz"), logits=logits, feed=images)
    return {
        "program": deploy(job, program),
        "bits": 8,
        "quantizable": list(compress.QUANTIZABLE_OPERATORS),
    }


ARMS: Dict[str, Dict[str, Any]] = {
    "advised": {},
    "full-rate": {"Optimizer.lr.learning_rate": 0.1},
    "from-scratch": {
        "Optimizer.lr.learning_rate": 0.1,
        "Optimizer.lr.warmup_epoch": 0,
        "Global.pretrained_model": None,
    },
    "float-control": {"Slim.quant": None},
}
"""Settings over the advised configuration: quantization-aware at the usual rate; without a float model, with
the usual hyper-parameters; and fine-tuning as advised, without quantization."""


@recipe("hyperparameters", graph=False, deadlines=5)
def hyperparameters(job: Job) -> Dict[str, Any]:
    """Document 004 §5 as an experiment: one usual training, then each of `ARMS`; ``seed`` is a parameter.

    Writes ``predictions.npz``: the class of every test digit by each arm, int64 ``[n]``, and
    ``labels``; ``usual`` is the float model from which all arms but one start.
    """
    found: Dict[str, Any] = {}
    classes: Dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        usual, classes["usual"] = _trained(job, "", os.path.join(folder, "usual"))
        found["usual"] = {"losses": usual.losses, "accuracy": usual.accuracy}
        for arm, over in ARMS.items():
            start = {"Global.pretrained_model": usual.best_model, **over}
            trained, classes[arm] = _trained(job, "quantization", os.path.join(folder, arm), start)
            found[arm] = {"losses": trained.losses, "accuracy": trained.accuracy}
    np.savez(job.path("predictions.npz"), labels=examples(job)[1], **classes)
    return found


@recipe("aware_and_post", deadlines=3)
def aware_and_post(job: Job) -> Dict[str, Any]:
    """Train as usual; then do quantization-aware training as advised, and offline quantization.

    ``seed`` is a parameter. Writes ``predictions.npz``: the class of every test digit, int64 ``[n]``,
    by the float model (``usual``), ``aware`` and ``post``, and ``labels``.
    """
    arrays, labels = examples(job)
    classes: Dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        usual, classes["usual"] = _trained(job, "", os.path.join(folder, "usual"))
        start = {"Global.pretrained_model": usual.best_model}
        _, classes["aware"] = _trained(job, "quantization", os.path.join(folder, "aware"), start)
        exported = {"Global.save_inference_dir": os.path.join(folder, "exported"), **start, **_seed(job)}
        configured = load(settings(job, "", **exported))
        engine.export(configured, quiet)
        written = engine.quantize(configured, quiet)
        program = os.path.basename(compress.program_of(written, "model"))
        classes["post"] = programs.logits(written, program, [arrays]).argmax(axis=1)
    np.savez(job.path("predictions.npz"), labels=labels, **classes)
    return {name: float((found == labels).mean()) for name, found in classes.items()}


def _seed(job: Job) -> Dict[str, int]:
    return {"Global.seed": int(job.parameters["seed"])}


def _trained(
    job: Job, kind: str, folder: str, over: Optional[Mapping[str, Any]] = None
) -> Tuple[engine.Trained, np.ndarray]:
    """Train in the folder, with settings over the file's; return the result and each test digit's class."""
    given = {"Global.output_dir": folder, **_seed(job), **(over or {})}
    trained = engine.train(load(settings(job, kind, **given)), quiet)
    logits = trained.network.layer(paddle.to_tensor(examples(job)[0])).numpy()
    return trained, logits.argmax(axis=1).astype("int64")
