"""Two releases as one pool: one writes a network's files, the other reads them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness.fuzz.examine import CALL
from harness.pool.workers import RemoteError, Worker, WorkerFailure, WorkerPool, WorkerSpec

READ = "checks.generated.checks.read"
WRITTEN = ("dygraph", "export")
"""Stages that only the writer runs."""


class CrossVersion(WorkerPool):
    """A pool whose networks one release writes and another one reads.

    The call that executes a network goes to both. Oracle, conditioning and dynamic graph are the writer's,
    every other stage is the reader's; ``own`` has the writer's results on the same files. All other calls
    go to the writer.
    """

    def __init__(self, logs: Path, writer: WorkerPool, reader: WorkerPool) -> None:
        self.writer = writer
        self.reader = reader
        self.logs = logs
        self.deadline = reader.deadline

    def call(
        self, name: str, /, *, spec: WorkerSpec | None = None, deadline: float | None = None, **arguments: Any
    ) -> Any:
        """Call like a pool; if the writer cannot execute a network, the oracle refuses it.

        Raises:
            RemoteError, WorkerCrash, WorkerTimeout: as a pool does.
        """
        if name != CALL:
            return self.writer.call(name, spec=spec, deadline=deadline, **arguments)
        folder = tempfile.mkdtemp(prefix="crossing-")
        try:
            options, stages = arguments.pop("options", None), arguments["stages"]
            try:
                answer = self.writer.call(name, **arguments, folder=folder)
            except WorkerFailure as failure:
                raise RemoteError(name, failure.failure) from failure
            own = answer["stages"]
            answer["own"] = own
            answer["stages"] = {stage: own[stage] for stage in ("dygraph",) if stage in own}
            if "raised" not in own.get("export", {}):
                answer["stages"].update(
                    self.reader.call(
                        READ, network=arguments["network"], batches=arguments["batches"], folder=folder,
                        stages=[stage for stage in stages if stage not in WRITTEN], options=options,
                    )
                )  # fmt: skip
            return answer
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def warm(self, spec: WorkerSpec | None = None) -> Worker:
        """Return the reader's worker, because its log shows its passes."""
        return self.reader.warm(spec)

    def discard(self, spec: WorkerSpec | None = None) -> None:
        """End both warm workers."""
        self.writer.discard(spec)
        self.reader.discard(spec)

    def close(self) -> None:
        """End all workers of both."""
        self.writer.close()
        self.reader.close()
