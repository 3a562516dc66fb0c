"""Targets: device, engine options and profile, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.errors import HarnessError

BUILT_IN = Path(__file__).with_name("targets.toml")
LEGACY_IR = {"FLAGS_enable_pir_api": "0"}


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how a runtime runs; see ``targets.toml`` for the fields."""

    name: str
    runtime: str
    options: dict[str, Any] = {}
    profile: str = ""
    tier: str = "quick"
    storage: str = "float32"
    models: Literal["any", "quantized"] = "any"

    @property
    def env(self) -> dict[str, str]:
        """Environment variables its worker starts with."""
        return LEGACY_IR if self.profile == "legacy-ir" else {}


def repeats(target: Target, targets: Iterable[Target]) -> bool:
    """Whether a legacy-IR target is a plain one but for its profile.

    Where there is no other IR, the two are the same.
    """
    return target.profile == "legacy-ir" and any(
        (other.runtime, other.options, other.profile) == (target.runtime, target.options, "")
        for other in targets
    )


def load(files: tuple[Path, ...] = (BUILT_IN,)) -> dict[str, Target]:
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
                found[name] = msgspec.convert({"name": name, **section}, Target)
            except (msgspec.ValidationError, TypeError) as error:
                raise HarnessError(f"{file}, target [{name}]: {error}") from error
    return found
