"""The options of commands whose work is jobs, and what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from harness.core.errors import UsageError
from harness.jobs.backend import (
    AT_ONCE,
    BackendName,
    Settings,
    must_be_installed,
    parsed_labels,
    parsed_resources,
)

BackendOption = Annotated[
    BackendName, typer.Option("--backend", help="Where jobs run: here, or on a Ray cluster (docs/jobs.md).")
]
MaybeBackend = Annotated[
    BackendName | None,
    typer.Option("--backend", help="Run it as jobs, here or on a Ray cluster (docs/jobs.md)."),
]
Address = Annotated[
    str,
    typer.Option(
        "--address", metavar="HOST:PORT|auto", help="The Ray cluster (default: one of this machine alone)."
    ),
]
AtOnce = Annotated[int, typer.Option("--jobs", min=1, metavar="N", help="Jobs at the same time, here.")]
Resources = Annotated[
    str, typer.Option("--resources", metavar="NAME=N[,…]", help="What the machine of every job must have.")
]
Labels = Annotated[
    str, typer.Option("--labels", metavar="NAME=VALUE[,…]", help="How the machine of every job is labelled.")
]


def settings_of(
    backend: BackendName | None,
    address: str,
    resources: str,
    labels: str,
    at_once: int = AT_ONCE,
    own: Sequence[str] = (),
) -> Settings:
    """What the options ask for. ``own``: models of the user's own.

    Raises:
        UsageError: an option cannot be meant, or what the backend needs is not installed.
    """
    if backend is BackendName.ray and own:
        raise UsageError("models of your own stay on this machine: leave out --backend ray, or --model")
    if backend is not BackendName.ray and address:
        raise UsageError("--address is a Ray cluster's: give --backend ray with it")
    if backend is None and (resources or labels):
        raise UsageError("--resources and --labels choose among machines: give --backend ray with them")
    backend = backend or BackendName.local
    must_be_installed(backend)
    return Settings(backend, address, at_once, parsed_resources(resources), parsed_labels(labels))
