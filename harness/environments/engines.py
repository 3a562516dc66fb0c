"""Engines other than Paddle (``engines.toml``), each in a managed environment with its interpreter."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import msgspec

from harness.core.errors import HarnessError
from harness.core.extensions import places
from harness.environments import managed, uv
from harness.environments.managed import Say
from harness.environments.manifest import Recipe, default_folder
from harness.environments.plan import Plan
from harness.environments.specs import Spec
from harness.environments.uv import NoInterpreter

TABLE = "engines.toml"
KIND = "engine"
"""Kind of the recipes of such environments."""


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One section of ``engines.toml``."""

    name: str
    version: str
    python: str
    """PEP 440 specifier of the interpreters that have its wheels."""
    imports: str
    get: str
    requirements: dict[str, str]

    @property
    def label(self) -> str:
        """Name of its environment: ``lite-2.12``."""
        return f"{self.name}-{self.version}"


@functools.cache
def engines() -> dict[str, Engine]:
    """Every engine by its name, those of extensions among them."""
    sections = [item for table in places(TABLE) for item in tomllib.loads(table.read_text()).items()]
    return {name: msgspec.convert({"name": name, **own}, Engine) for name, own in sections}


def named(text: str) -> list[Spec]:
    """Return a list with the spec of the engine that ``text`` names; [] if it names no engine."""
    found = engines().get(text.strip())
    return [Spec("engine", found.name, version=found.version)] if found else []


def plan(engine: Engine) -> Plan:
    """Plan how to make an engine's environment.

    Raises:
        HarnessError: no interpreter here fits the engine's wheels.
    """
    try:
        base = uv.find_python(engine.python, Path.home())
    except NoInterpreter as error:
        raise HarnessError(f"{engine.label} has no interpreter here: {error} (`{engine.get}`)") from error
    lines = tuple(name + version for name, version in engine.requirements.items())
    recipe = Recipe(engine.label, KIND, engine.version, lines, base.version, imports=engine.imports)
    return Plan(recipe, base)


def python_of(name: str, folder: Path | None = None, say: Say | None = None) -> str:
    """Return the interpreter of an engine's environment; make the environment unless it exists.

    Raises:
        HarnessError: it cannot be made: no interpreter fits the engine's wheels, no network and nothing
            cached, a full disk.
    """
    root = (folder or default_folder()).absolute()
    return managed.get_or_make(root, plan(engines()[name]), say=say).python
