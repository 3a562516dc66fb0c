"""Document 004: training by two processes that `python -m paddle.distributed.launch` starts."""

from __future__ import annotations

from typing import Any, Dict

from harness.worker.recipes import Job, recipe
from harness.worker.training import distributed


@recipe("data_parallel", graph=False)
def data_parallel(job: Job) -> Dict[str, Any]:
    """Two epochs of DataParallel on two processes; rank 0 saves a checkpoint after each.

    Parameters: those of ``harness.worker.training.data_parallel.training``.

    Raises:
        RuntimeError: the job did not end with status 0; the message has the end of the launcher's output.
    """
    config = {"model": job.model.name, **job.parameters}
    done = distributed.run(job.digits, config, out=job.out)
    if done["statuses"] != [0]:
        raise RuntimeError(
            f"the job ended {done['ended']} with statuses {done['statuses']}: {done['printed'][-1500:]}"
        )
    return {"seconds": done["seconds"], "left": done["left"]}
