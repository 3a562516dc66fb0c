"""Two releases as one pool: the one writes a network's files, the other reads them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness.fuzz.examine import CALL
from harness.pool.workers import RemoteError, Worker, WorkerFailure, WorkerPool, WorkerSpec

READ = "checks.generated.checks.read"
WRITTEN = ("dygraph", "export")
"""What the writer alone does."""


class CrossVersion(WorkerPool):
    """The pool of the newer release, whose networks are written, and judged, by the older one.

    The call that executes a network goes to both: oracle, its conditioning and the dynamic graph are the
    writer's, every other stage the reader's; ``own`` has the writer's of the same files. All other calls
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
        """As a pool's; an execution that the writer cannot do is the oracle's refusal.

        Raises:
            RemoteError, WorkerCrash, WorkerTimeout: as a pool's.
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
        """The reader's: what it printed tells of its passes."""
        return self.reader.warm(spec)

    def discard(self, spec: WorkerSpec | None = None) -> None:
        """End both warm workers."""
        self.writer.discard(spec)
        self.reader.discard(spec)

    def close(self) -> None:
        """End all workers of both."""
        self.writer.close()
        self.reader.close()
