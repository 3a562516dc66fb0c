"""Documents 000 and 002: training, and ``paddle.save`` of network and optimizer."""

from __future__ import annotations

from typing import Any, Dict

import paddle

from harness.worker.models import networks
from harness.worker.recipes import Job, recipe
from harness.worker.training import loops


@recipe("checkpoint", graph=False, needs_code=True)
def checkpoint(job: Job) -> Dict[str, Any]:
    """Train, then `paddle.save` the state of network and optimizer; untrained models stay as seeded."""
    if job.model.training is None:
        net = networks.network(job.model)
        paddle.save(net.state_dict(), job.path("model.pdparams"))
        return {"trained": False}
    net, optimizer, measures = loops.train(job.model, job.digits)
    paddle.save(net.state_dict(), job.path("model.pdparams"))
    paddle.save(optimizer.state_dict(), job.path("model.pdopt"))
    return {"trained": True, **measures}
