"""Clones of one predictor, used one by one and at the same time."""

from __future__ import annotations

import copy
import threading
from typing import Any, Dict, List, Mapping

import numpy as np

from harness.worker.models import networks
from harness.worker.runtimes.predictor import Session


def clones(
    files: Mapping[str, str], model: str, feeds: List[List[np.ndarray]], rounds: int
) -> Dict[str, Any]:
    """Return each feed's outputs: from the original, from a clone per feed, and from all clones at once.

    The clones are made before any thread starts: making predictors from several threads is not what is
    checked. ``together[clone][round]`` are a clone's outputs while the others run too.

    Raises:
        Whatever a thread raised.
    """
    original = Session(files, networks.get(model), {})
    alone = [original.infer(feed) for feed in feeds]
    copies = []
    for _ in feeds:
        clone = copy.copy(original)
        clone.predictor, clone.handles = original.predictor.clone(), None
        copies.append(clone)
    one_by_one = [clone.infer(feed) for clone, feed in zip(copies, feeds)]
    together: List[List[Any]] = [[] for _ in feeds]
    raised: List[BaseException] = []
    barrier = threading.Barrier(len(feeds))

    def work(index: int) -> None:
        try:
            for _ in range(rounds):
                barrier.wait(timeout=60)
                together[index].append(copies[index].infer(feeds[index]))
        except BaseException as error:
            raised.append(error)
            barrier.abort()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(feeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
    return {"alone": alone, "clones": one_by_one, "together": together}
