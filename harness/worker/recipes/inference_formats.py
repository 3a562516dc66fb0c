"""Documents 000 and 002: inference models by `jit.save`, by static graph, and separate parameters."""

from __future__ import annotations

import contextlib
import glob
import os
from typing import Any, Dict, Iterator

import paddle

from harness.worker.inspection import programs
from harness.worker.models import networks, user
from harness.worker.recipes import Job, recipe
from harness.worker.training import static_graphs


@recipe("jit", needs=("checkpoint",))
def jit(job: Job) -> Dict[str, Any]:
    """Load the checkpoint, `to_static` with input specifications, `jit.save`."""
    net = networks.network(job.model)
    net.set_state_dict(paddle.load(job.of("checkpoint", "model.pdparams")))
    # Document 000 exports straight after training. The network stays in train mode on purpose, so
    # that the export shows whether Paddle itself cuts the topology. A user model may do other things
    # in train mode, so it is exported in eval mode, as it is deployed.
    own = user.declared(job.model.name)
    (net.eval if own else net.train)()
    return {"program": saved(job, net), "was_training": not own}


def saved(job: Job, net: Any) -> str:
    """`to_static` and `jit.save` of the network as it is; the program's path in the artifact."""
    static = paddle.jit.to_static(net, input_spec=networks.input_specs(job.model))
    paddle.jit.save(static, job.prefix)
    return job.program


@contextlib.contextmanager
def built_statically(job: Job) -> Iterator[static_graphs.Inference]:
    """Build a static program with the checkpoint's values."""
    with programs.static_mode():
        built = static_graphs.inference(job.model)
        values = paddle.load(job.of("checkpoint", "model.pdparams"), return_numpy=True)
        programs.set_layer_values(built.net, built.program, values)
        yield built


@recipe("static", needs=("checkpoint",), needs_code=True)
def static(job: Job) -> Dict[str, Any]:
    """Build the network as a static program and `save_inference_model` it."""
    with built_statically(job) as (_, main, inputs, outputs, executor):
        paddle.static.save_inference_model(job.prefix, inputs, outputs, executor, program=main)
    return {"program": job.program}


@recipe("serialized", needs=("checkpoint",), needs_code=True)
def serialized(job: Job) -> Dict[str, Any]:
    """Program and persistables serialized to bytes and saved piece by piece (both normalize first)."""
    with built_statically(job) as (_, main, inputs, outputs, executor):
        program = paddle.static.serialize_program(inputs, outputs, program=main)
        paddle.static.save_to_file(job.path("inference_model", "model.pdmodel"), program)
        values = paddle.static.serialize_persistables(inputs, outputs, executor, program=main)
        paddle.static.save_to_file(job.path("inference_model", "model.pdiparams"), values)
    return {"program": "inference_model/model.pdmodel"}


@recipe("separate", needs=("jit",))
def separate(job: Job) -> Dict[str, Any]:
    """Document 002: `load_inference_model` of the combined files, then `save_vars` of the persistables."""
    out = os.path.dirname(job.path("separate_persistables", "x"))
    programs.save_separately(job.exported["model_dir"], job.exported["model_filename"], out)
    names = sorted(
        os.path.relpath(path, out) for path in glob.glob(out + "/**", recursive=True) if os.path.isfile(path)
    )
    names.remove("__model__")
    return {"parameters": names}
