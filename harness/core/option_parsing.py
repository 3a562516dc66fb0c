"""What parsers need of the options: their fields, their values checked, their arguments, former names."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from harness.core.errors import UsageError
from harness.core.options import FORMER_FIELDS, FORMER_OF_ONE_COMMAND, JobOptions, Option, Options

Struct = TypeVar("Struct", bound=msgspec.Struct)


class Field(msgspec.Struct, frozen=True):
    """An option with all that a parser needs of it."""

    name: str
    """The struct's field."""
    option: Option
    type: Any
    """``str``, ``int``, ``float`` or ``bool``; of one of several, theirs."""
    default: Any
    choices: tuple[str, ...] = ()
    several: bool = False

    @property
    def flag(self) -> str:
        return self.option.flag or "--" + self.name.replace("_", "-")

    @property
    def shown(self) -> str:
        """The default as help shows it; '' where there is nothing to show."""
        if self.option.shown or not self.default:
            return self.option.shown
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)

    @property
    def former(self) -> dict[str, str]:
        """Former names, each with what is written now."""
        pairs = (name.partition("=") for name in self.option.formerly)
        return {old: f"{self.flag}{equals}{value}" for old, equals, value in pairs}


@functools.cache
def fields(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The options that a struct declares, in its order."""
    found = []
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        kind, option = get_args(hints[field.name])
        alone = [one for one in get_args(kind) if one is not NoneType] if NoneType in get_args(kind) else []
        kind = alone[0] if alone else kind
        literal = get_origin(kind) is Literal
        several = get_origin(kind) is tuple
        plain = str if literal or several else kind
        choices = get_args(kind) if literal else ()
        found.append(Field(field.name, option, plain, field.default, choices, several))
    return tuple(found)


def taken_by(command: str, struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The options of a struct that a command has."""
    return tuple(field for field in fields(struct) if command in field.option.takers.split())


def names_of(text: str) -> tuple[str, ...]:
    """The parts of ``a,b``."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def changed(options: Struct, values: Mapping[str, Any]) -> Struct:
    """Options with other values, as a parser read them.

    Raises:
        UsageError: a number is out of its bounds.
    """
    known = [field for field in fields(type(options)) if field.name in values]
    given = {field.name: _value(field, values[field.name]) for field in known}
    return msgspec.structs.replace(options, **given)


def _value(field: Field, value: Any) -> Any:
    if field.several:
        return names_of(value) if isinstance(value, str) else tuple(value or ())
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check(field, value)
    return value


def _check(field: Field, value: float) -> None:
    option = field.option
    bounds = {
        "above": (option.above, operator.gt),
        "of at least": (option.least, operator.ge),
        "below": (option.below, operator.lt),
    }
    set_ = {words: (bound, holds) for words, (bound, holds) in bounds.items() if bound is not None}
    if not all(holds(value, bound) for bound, holds in set_.values()):
        wanted = " and ".join(f"{words} {bound:g}" for words, (bound, _) in set_.items())
        raise UsageError(f"{field.flag} {value:g}: give a number {wanted}")


def arguments(options: Options) -> list[str]:
    """The pytest arguments that give these options; those at their defaults are left out."""
    found: list[str] = []
    for field in fields(Options):
        value = getattr(options, field.name)
        if value == field.default:
            continue
        if field.option.repeated:
            found += [f"{field.flag}={one}" for one in value]
        elif field.type is bool:
            found.append(field.flag)
        else:
            found.append(f"{field.flag}={','.join(value) if field.several else value}")
    return found


# Former names


def former_of(command: str) -> dict[str, str]:
    """Former names of a command's options, each with its name now."""
    found = dict(FORMER_OF_ONE_COMMAND.get(command, {}))
    for struct in (Options, JobOptions):
        for field in taken_by(command, struct):
            found |= {old: new for old, new in field.former.items() if old not in found}
    return found


def notice(old: str, new: str) -> str:
    """One line on a former name that was used."""
    return f"{old} is now {new.replace('=', ' ')}."


def current(command: str, given: Iterable[str]) -> tuple[list[str], list[str]]:
    """A command's arguments with the names of now, and a line for each former name; pytest's stay."""
    former = former_of(command)
    found: list[str] = []
    said: list[str] = []
    rest = iter(given)
    for argument in rest:
        if argument == "--":
            found.append(argument)
            break
        old, equals, value = argument.partition("=")
        if old not in former and argument[:2] in former:  # -oVALUE
            old, equals, value = argument[:2], "=", argument[2:]
        if old in former:
            said.append(notice(old, former[old]))
            argument = f"{former[old]}{equals}{value}"
        found.append(argument)
    return [*found, *rest], list(dict.fromkeys(said))


def current_fields(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a recorded run by the names of now; a brief run of the quick tier is one of the gate's."""
    found = {FORMER_FIELDS.get(name, name): value for name, value in stored.items()}
    brief = found.pop("brief", False)
    if brief and found.get("tier", "quick") == "quick":
        found["tier"] = "gate"
    return found
