"""What runtimes state of themselves in their modules, such as the packages that they need beside Paddle."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from harness.core.errors import HarnessError
from harness.core.extensions import places
from harness.worker.protocol.stated import stated


class Package(msgspec.Struct, frozen=True):
    """A package of the environment under test that a runtime needs."""

    name: str
    version: str
    """PEP 440 specifier; '' for any."""
    purpose: str
    """What it is installed for, as the doctor says it: ``to run exported ONNX files``."""


@functools.cache
def of_runtimes(name: str, kind: Any) -> dict[str, Any]:
    """What each runtime's module states under a name, by runtime; ``kind`` is the type of all of them.

    Raises:
        HarnessError: a module computes it, or it is of another type.
    """
    folders = [str(folder / "runtimes") for folder in places("worker")]
    try:
        return {runtime: msgspec.convert(value, kind) for runtime, value in stated(folders, name).items()}
    except (ValueError, msgspec.ValidationError) as error:
        raise HarnessError(f"{name} of a runtime cannot be read: {error}") from error


@functools.cache
def packages() -> tuple[Package, ...]:
    """Every package that a runtime needs, those of extensions' runtimes last.

    Raises:
        HarnessError: a module does not state them as a literal table of names and versions.
    """
    wanted: dict[str, dict[str, str]] = of_runtimes("PACKAGES", dict[str, str])
    purposes: dict[str, str] = of_runtimes("PURPOSE", str)
    return tuple(
        Package(name, version, purposes.get(runtime, f"for the runtime {runtime}"))
        for runtime, needed in wanted.items()
        for name, version in needed.items()
    )
