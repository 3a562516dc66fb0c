"""Targets: device, engine options and profile, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.core.choices import LEGACY_IR
from harness.core.errors import HarnessError
from harness.core.extensions import added, places
from harness.pool.remote import refusal

TABLE = "targets.toml"
ANY_CUSTOM = "custom"
"""The device of a target that stands for every type of custom device."""


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how a runtime runs; see ``targets.toml`` for the fields."""

    name: str
    runtime: str
    options: dict[str, Any] = {}
    profile: str = ""
    tier: str = "quick"
    storage: str = "float32"
    models: Literal["any", "quantized"] = "any"
    interpreter: str = ""
    price_per_hour: float = 0.0
    resources: dict[str, float] = {}
    """What a cluster node must have to run the target's cases: ``GPU``, or any name that a node declares."""
    labels: dict[str, str] = {}
    """Labels that such a node must have."""

    @property
    def device(self) -> str:
        """``"cpu"``, ``"gpu"``, or the type of a custom device."""
        return str(self.options.get("device", "cpu"))

    @property
    def env(self) -> dict[str, str]:
        """Environment variables that the target's worker starts with."""
        env = dict(LEGACY_IR) if self.profile == "legacy-ir" else {}
        if self.device == "gpu" and self.storage == "float32":
            # Else newer GPUs multiply in TF32, which keeps ten bits of the fraction.
            env["NVIDIA_TF32_OVERRIDE"] = "0"
        return env


def repeats(target: Target, targets: Iterable[Target]) -> bool:
    """Whether a legacy-IR target equals a plain one except for its profile.

    In a Paddle that has no other IR, the two are the same.
    """
    return target.profile == "legacy-ir" and any(
        (other.runtime, other.options, other.profile) == (target.runtime, target.options, "")
        for other in targets
    )


def load(files: Iterable[Path] = ()) -> dict[str, Target]:
    """The harness's targets and those of extensions, with the user's ``files``, which override them.

    Raises:
        HarnessError: as :func:`read`; or two tables have a target of one name.
    """
    found: dict[str, Target] = {}
    for table in places(TABLE):
        own = read([table])
        twice = ", ".join(sorted(found.keys() & own.keys()))
        if twice:
            raise HarnessError(f"{table} has targets of another table ({twice}): name them otherwise")
        found |= own
    return {**found, **read(files)}


def of_extensions() -> dict[str, Target]:
    """The targets that extensions add; raises as :func:`read`."""
    return read(added(TABLE))


def read(files: Iterable[Path]) -> dict[str, Target]:
    """Targets of all files by name, later files overriding earlier ones.

    Raises:
        HarnessError: a file is missing, is not TOML, or a section has a wrong key.
    """
    found: dict[str, Target] = {}
    for file in files:
        try:
            sections = tomllib.loads(file.read_text())
        except OSError as error:
            raise HarnessError(f"cannot read the targets file {file}: {error.strerror}") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise HarnessError(f"{file} is not valid TOML: {error}") from error
        for name, section in sections.items():
            try:
                target = msgspec.convert({"name": name, **section}, Target)
            except (msgspec.ValidationError, TypeError) as error:
                raise HarnessError(f"{file}, target [{name}]: {error}") from error
            wrong = refusal(target.interpreter) if target.interpreter else ""
            if wrong:
                raise HarnessError(f"{file}, target [{name}]: {wrong}")
            found[name] = target
    return found


def expanded(found: Mapping[str, Target], devices: Sequence[str]) -> dict[str, Target]:
    """Replace each target with ``device = "custom"`` by one target for each type of custom device.

    ``devices``: the types that the environment under test reports. ``predictor-custom`` becomes
    ``predictor-npu``, for example; without devices it stays as it is.
    """
    made: dict[str, Target] = {}
    for name, target in found.items():
        if target.device != ANY_CUSTOM or target.interpreter or not devices:
            made[name] = target
            continue
        for device in devices:
            new_name = name.replace(ANY_CUSTOM, device)
            options = {**target.options, "device": device}
            made[new_name] = msgspec.structs.replace(target, name=new_name, options=options)
    return made
