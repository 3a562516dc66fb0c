"""Documents 000 and 002: inference models by `jit.save`, by static graph, and separate parameters."""

from __future__ import annotations

import contextlib
import glob
import os
from typing import Any, Dict, Iterator, List, Tuple

import paddle
from paddle.jit.dy2static.convert_call_func import convert_call

from harness.worker.inspection import programs
from harness.worker.inspection.programs import program_file
from harness.worker.models import networks, user
from harness.worker.recipes import Job, recipe


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
    prefix = job.path("inference_model", "model")
    paddle.jit.save(static, prefix)
    return os.path.relpath(program_file(prefix), job.out)


@contextlib.contextmanager
def built_statically(job: Job) -> Iterator[Tuple[Any, List[Any], List[Any], Any]]:
    """Build a static program with the checkpoint's values; yield program, inputs, outputs, executor."""
    with programs.static_mode():
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.utils.unique_name.guard(), paddle.static.program_guard(main, startup):
            inputs = networks.static_inputs(job.model)
            net = job.model.build(**job.model.arguments)
            net.eval()
            forward = convert_call(net.forward) if job.model.converted else net
            outputs = networks.outputs_of(forward(*inputs))
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(startup)
        values = paddle.load(job.of("checkpoint", "model.pdparams"), return_numpy=True)
        programs.set_layer_values(net, main, values)
        yield main, inputs, outputs, executor


@recipe("static", needs=("checkpoint",), needs_code=True)
def static(job: Job) -> Dict[str, Any]:
    """Build the network as a static program and `save_inference_model` it."""
    prefix = job.path("inference_model", "model")
    with built_statically(job) as (main, inputs, outputs, executor):
        paddle.static.save_inference_model(prefix, inputs, outputs, executor, program=main)
    return {"program": os.path.relpath(program_file(prefix), job.out)}


@recipe("serialized", needs=("checkpoint",), needs_code=True)
def serialized(job: Job) -> Dict[str, Any]:
    """Program and persistables serialized to bytes and saved piece by piece (both normalize first)."""
    with built_statically(job) as (main, inputs, outputs, executor):
        program = paddle.static.serialize_program(inputs, outputs, program=main)
        paddle.static.save_to_file(job.path("inference_model", "model.pdmodel"), program)
        values = paddle.static.serialize_persistables(inputs, outputs, executor, program=main)
        paddle.static.save_to_file(job.path("inference_model", "model.pdiparams"), values)
    return {"program": "inference_model/model.pdmodel"}


@recipe("separate", needs=("jit",))
def separate(job: Job) -> Dict[str, Any]:
    """Document 002: `load_inference_model` of the combined files, then `save_vars` of the persistables."""
    folder = job.of("jit", "inference_model")
    program = os.path.basename(program_file(os.path.join(folder, "model")))
    out = os.path.dirname(job.path("separate_persistables", "x"))
    programs.save_separately(folder, program, out)
    names = sorted(
        os.path.relpath(path, out) for path in glob.glob(out + "/**", recursive=True) if os.path.isfile(path)
    )
    names.remove("__model__")
    return {"parameters": names}
