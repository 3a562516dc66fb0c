"""pytest's options, made of the fields of :class:`~harness.core.options.Options`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from harness.core.errors import HarnessError, UsageError
from harness.core.option_parsing import Field, changed, fields, notice
from harness.core.options import Options
from harness.models import specification

if TYPE_CHECKING:
    import pytest

GROUP = "Paddle conformance harness"
USED = "former_names"
"""Where a parsed namespace keeps a line for each former name that was used."""
SHARED = ("--profile",)
"""Former names that other plugins of pytest have too."""


class _Former(argparse.Action):
    """An option under a former name: sets what the new one sets, and notes that it was used."""

    def __init__(self, *args: Any, now: str, repeated: bool, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.now, self.repeated = now, repeated

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        value = self.const if self.nargs == 0 else values
        if self.repeated:
            value = [*(getattr(namespace, self.dest, None) or ()), value]
        setattr(namespace, self.dest, value)
        said = notice(option_string or "", self.now)
        setattr(namespace, USED, list(dict.fromkeys([*getattr(namespace, USED, ()), said])))


def add_options(add: Callable[..., Any]) -> None:
    """Give each option to ``add``, which takes what argparse's ``add_argument`` takes."""
    for field in fields(Options):
        default = f" (default: {field.shown})" if field.shown else ""
        add(field.flag, help=(field.option.help + default).replace("%", "%%"), **_keywords(field))


def add_former(add: Callable[..., Any], taken: Iterable[str] = ()) -> None:
    """Give each former name to ``add`` that is not taken by somebody else."""
    for field in fields(Options):
        for old, now in field.former.items():
            if old not in taken:
                constant = now.partition("=")[2] or True
                nothing = {"nargs": 0, "const": constant} if "=" in now or field.type is bool else {}
                given = {"help": argparse.SUPPRESS, **_keywords(field), **nothing, "action": _Former}
                add(old, now=now, repeated=field.option.repeated, **given)


def _keywords(field: Field) -> dict[str, Any]:
    """What argparse has to know of an option."""
    found: dict[str, Any] = {"dest": field.name, "default": field.default}
    if field.type is bool:
        return {**found, "action": "store_true"}
    if field.option.repeated:
        found |= {"action": "append", "default": []}
    elif field.several:
        found["default"] = ""
    if field.choices:
        found["choices"] = list(field.choices)
    elif field.option.metavar:
        found["metavar"] = field.option.metavar
    return {**found, "type": field.type}


def names_in(parser: pytest.Parser) -> set[str]:
    """The names of all options that pytest has so far."""
    return {
        name
        for group in (parser._anonymous, *parser._groups)
        for option in group.options
        for name in option.names()
    }


def from_config(config: pytest.Config) -> Options:
    """Read the options of a pytest run.

    Raises:
        HarnessError: a number is out of its bounds, or a model's specification is wrong.
    """
    options = changed(Options(), vars(config.option))
    specs = tuple(specification.absolute(text) for text in options.add_model)
    return msgspec.structs.replace(options, add_model=specs)


def with_arguments(
    options: Options, given: Sequence[str], say: Callable[[str], None]
) -> tuple[Options, list[str]]:
    """Options as pytest arguments change them, and the other arguments.

    Args:
        say: given a line for each former name.

    Raises:
        UsageError: an argument has no value, or a wrong one.
    """
    parser = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False, argument_default=argparse.SUPPRESS
    )

    def add(*names: str, **keywords: Any) -> None:
        parser.add_argument(*names, **keywords).default = argparse.SUPPRESS

    add_options(add)
    add_former(add, SHARED)
    try:
        found, rest = parser.parse_known_args(list(given))
    except argparse.ArgumentError as error:
        raise UsageError(str(error)) from error
    values = vars(found)
    for line in values.pop(USED, ()):
        say(line)
    for field in fields(Options):
        if field.option.repeated and field.name in values:
            values[field.name] = [*getattr(options, field.name), *values[field.name]]
    return changed(options, values), rest


def choose(kind: str, wanted: tuple[str, ...], known: list[str]) -> list[str]:
    """Return the wanted names in the order of the known ones; all if none is wanted.

    Raises:
        HarnessError: a name is unknown; the message lists the known ones.
    """
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise HarnessError(f"no {kind} named {', '.join(unknown)}: choose from {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted]


def producer_of(text: str) -> tuple[str, str, str]:
    """Parse name, interpreter and profile of ``NAME=PYTHON[@PROFILE]``, or of a release.

    Raises:
        HarnessError: it is neither.
    """
    name, given, rest = text.partition("=")
    if not given:
        from harness.environments import resolve_one

        environment = resolve_one(text)
        return environment.name, environment.python, environment.profile
    python, _, profile = rest.partition("@")
    if not name or not python or profile not in ("", "default", "legacy-ir"):
        raise HarnessError(f"--producer {text} is not NAME=PYTHON, NAME=PYTHON@legacy-ir, or a release")
    return name, python, profile or "default"
