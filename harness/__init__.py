"""Conformance and benchmark harness for what Paddle saves, exports and runs.

This package is the controller: it never imports paddle.  What touches Paddle
lives in :mod:`harness.worker` and runs in a separate process.
"""

__version__: str


def __getattr__(name: str) -> str:
    """The version that was installed, which the build takes from git's tags; "0+unknown" where none was."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import metadata  # a tenth of a second, which only headers and pages need

    try:
        return metadata.version("paddle-conformance")
    except metadata.PackageNotFoundError:
        return "0+unknown"
