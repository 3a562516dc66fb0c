"""Processes that a worker starts, and how they end."""

from __future__ import annotations

import signal


class ChildDied(RuntimeError):
    """A process that the worker had started ended where it should have answered.

    To the near side that is a crash, as if the worker itself had died; ``signal`` names what killed the
    process ('' where it ended by itself).
    """

    def __init__(self, what: str, status: int) -> None:
        """``status`` as `subprocess` gives it: negative for a signal."""
        self.signal = signal.Signals(-status).name if status < 0 else ""
        how = f"was killed by signal {self.signal}" if self.signal else f"ended with exit status {status}"
        super().__init__(f"{what} {how}")
