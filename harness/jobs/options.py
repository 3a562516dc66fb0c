"""The options of commands whose work is jobs, and what they ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from harness.core.errors import UsageError
from harness.jobs.engine import (
    AT_ONCE,
    EngineName,
    Settings,
    must_be_installed,
    parsed_labels,
    parsed_resources,
)

EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="Where jobs run: here, or on a Ray cluster (docs/jobs.md).")
]
MaybeEngine = Annotated[
    EngineName | None,
    typer.Option("--engine", help="Run it as jobs, here or on a Ray cluster (docs/jobs.md)."),
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
    engine: EngineName | None,
    address: str,
    resources: str,
    labels: str,
    at_once: int = AT_ONCE,
    own: Sequence[str] = (),
) -> Settings:
    """What the options ask for. ``own``: models of the user's own.

    Raises:
        UsageError: an option cannot be meant, or what the engine needs is not installed.
    """
    if engine is EngineName.ray and own:
        raise UsageError("models of your own stay on this machine: leave out --engine ray, or --model")
    if engine is not EngineName.ray and address:
        raise UsageError("--address is a Ray cluster's: give --engine ray with it")
    if engine is None and (resources or labels):
        raise UsageError("--resources and --labels choose among machines: give --engine ray with them")
    engine = engine or EngineName.local
    must_be_installed(engine)
    return Settings(engine, address, at_once, parsed_resources(resources), parsed_labels(labels))
