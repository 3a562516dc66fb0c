"""Conformance and benchmark harness for what Paddle saves, exports and runs.

This package is the controller: it never imports paddle.  What touches Paddle
lives in :mod:`harness.worker` and runs in a separate process.
"""

__version__ = "0.1.0"
