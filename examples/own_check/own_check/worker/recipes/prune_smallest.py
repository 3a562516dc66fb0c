"""A way to compress a model: the smallest half of every weight is set to zero."""

import os
from typing import Any, Dict

import numpy as np
import paddle

from harness.worker.inspection.programs import program_file
from harness.worker.models import networks
from harness.worker.recipes import CompressionMethod, Job, recipe
from harness.worker.recipes.dygraph_quantization import logits_of
from harness.worker.recipes.pruning import keep_pruned, values_of

SMALLEST = CompressionMethod(
    "prune-smallest", "prune", "dynamic", "paddle.Tensor.set_value", {"ratio": 0.5}, models=("lenet",)
)


@recipe("prune_smallest", needs=("checkpoint",), methods=(SMALLEST,))
def prune_smallest(job: Job) -> Dict[str, Any]:
    """Set weights to zero by their magnitude, without training on, and `jit.save`."""
    net = networks.network(job.model, job.of("checkpoint", "model.pdparams"))
    net.eval()
    names = list(net.state_dict())
    original, zeros, total = values_of(net, names), 0, 0
    for parameter in net.parameters():
        if parameter.ndim > 1:
            value = parameter.numpy()
            value[np.abs(value) <= np.quantile(np.abs(value), job.parameters["ratio"])] = 0
            parameter.set_value(value)
            zeros, total = zeros + int((value == 0).sum()), total + value.size
    keep_pruned(job, original, values_of(net, names))
    np.savez(job.path("compressed.npz"), logits=logits_of(job, net))
    prefix = job.path("inference_model", "model")
    paddle.jit.save(paddle.jit.to_static(net, input_spec=networks.input_specs(job.model)), prefix)
    program = os.path.relpath(program_file(prefix), job.out)
    return {"program": program, "criterion": "magnitude", "sparsity": zeros / total}
