"""The user's own models: what ``--add-model`` and ``[[model]]`` say of them.

A model is a Python file with a factory (form ``layer``), a deployed program with its parameters as
they are (``deployed``), or a captured graph as PaddlePaddle's GraphNet publishes them (``graph``).
:mod:`harness.models.files` finds them; :mod:`harness.models.first_run` has a worker run them once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.core.errors import HarnessError
from harness.models.files import FORMS, UserModel, found_at, safe

__all__ = [
    "FORMS", "InputSpec", "UserModel", "absolute", "all_from_table", "declaration",
    "input_spec", "parse", "table_text", "unique",
]  # fmt: skip

FILES = ("params", "inputs")
LISTS = ("spec", "uses")
"""Keys that may be given several times."""
KEYS = ("name", *FILES, *LISTS)
DTYPES = (
    "float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool",
    "complex64", "complex128",
)  # fmt: skip
RESERVED = ("none", "any")

_OPTION = re.compile(r",(?=\w+=)")
_PYTHON = re.compile(r"(?P<path>.+\.py):(?P<factory>[A-Za-z_][\w.]*)")
_SHAPE = re.compile(r"(\?|\d+)(x(\?|\d+))*")
_RANGE = re.compile(r"(?P<low>[-+.\deE]+?)\.\.(?P<high>[-+.\deE]+)")


class InputSpec(msgspec.Struct, frozen=True):
    """What a specification's text says about one input; None: as the model has it.

    ``shape`` has None where a dimension is open. ``low`` and ``high`` bound drawn values, both
    included for integers.
    """

    name: str
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    low: float | None = None
    high: float | None = None


def declaration(model: UserModel) -> dict[str, Any]:
    """Convert the model to plain values, for the workers."""
    specs = [msgspec.to_builtins(input_spec(text)) for text in model.spec]
    return {**msgspec.structs.asdict(model), "params": model.parameter_file, "spec": specs}


def input_spec(text: str) -> InputSpec:
    """Parse ``NAME[:DTYPE][:SHAPE][:LOW..HIGH]``; a part's form says which it is. SHAPE: ``?x3x224x224``.

    Raises:
        HarnessError: a part has none of these forms.
    """
    name, *parts = text.split(":")
    found: dict[str, Any] = {"name": name}
    for part in parts:
        interval = _RANGE.fullmatch(part)
        if part in DTYPES:
            found["dtype"] = part
        elif _SHAPE.fullmatch(part):
            found["shape"] = tuple(None if size == "?" else int(size) for size in part.split("x"))
        elif interval is not None:
            try:
                found["low"], found["high"] = float(interval["low"]), float(interval["high"])
            except ValueError:
                interval = None
        if part not in DTYPES and not _SHAPE.fullmatch(part) and interval is None:
            raise HarnessError(
                f"{part!r} in the input specification {text!r} is not a dtype, a shape such as ?x3x224x224, "
                "or a range such as 0..7"
            )
    if not name or len(found) < len(parts) + 1:
        raise HarnessError(f"an input specification reads NAME[:DTYPE][:SHAPE][:LOW..HIGH], not {text!r}")
    if found.get("low", 0.0) > found.get("high", 0.0):
        raise HarnessError(f"the range in the input specification {text!r} is empty")
    return InputSpec(**found)


def parse(text: str) -> list[UserModel]:
    """Return the models that ``PATH[:FACTORY][,key=value…]`` names: several where PATH is a folder of many.

    Raises:
        HarnessError: a file is missing, a key is unknown, or the file has no such factory.
    """
    head, *rest = _OPTION.split(text)
    options: dict[str, Any] = {key: [] for key in LISTS}
    for item in rest:
        key, _, value = item.partition("=")
        if key not in KEYS:
            raise HarnessError(f"--add-model {text!r}: unknown key {key}, choose from {', '.join(KEYS)}")
        if key in LISTS:
            options[key].append(value)
        elif key in options:
            raise HarnessError(f"--add-model {text!r} gives {key} twice")
        else:
            options[key] = value
    return _models(head, options)


def all_from_table(table: Mapping[str, Any]) -> list[UserModel]:
    """Return every model of a ``[[model]]`` table, whose path may be a folder of many.

    Raises:
        HarnessError: as :func:`parse`.
    """
    unknown = sorted(set(table) - {"path", *KEYS})
    if unknown or not isinstance(table.get("path"), str):
        wrong = f"unknown key {', '.join(unknown)}" if unknown else "path is missing"
        raise HarnessError(f"a [[model]] has a path and any of {', '.join(KEYS)}: {wrong}")
    lists = {key: table.get(key, []) for key in LISTS}
    options = {key: table.get(key, "") for key in KEYS if key not in LISTS}
    if not all(isinstance(value, str) for value in options.values()) or not all(
        isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        for value in lists.values()
    ):
        wrong = f"its values must be texts, {' and '.join(LISTS)} lists of texts"
        raise HarnessError(f"the [[model]] {table['path']}: {wrong}")
    return _models(table["path"], {**options, **lists})


def table_text(table: Mapping[str, Any]) -> str:
    """A ``[[model]]`` table as ``--add-model`` takes it, paths absolute: one text for a folder of many, too.

    Raises:
        HarnessError: as :func:`parse`.
    """
    found = all_from_table(table)
    if len(found) == 1:
        return found[0].text()
    return ",".join([absolute(table["path"]), *(f"uses={name}" for name in found[0].uses)])


def absolute(text: str) -> str:
    """Return the specification with absolute paths, so that it means the same from any folder."""
    head, *rest = _OPTION.split(text)
    path, factory = _located(head)
    found = [f"{path}:{factory}" if factory else str(path)]
    for item in rest:
        key, _, value = item.partition("=")
        found.append(f"{key}={_absolute(value)}" if key in FILES else item)
    return ",".join(found)


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _located(head: str) -> tuple[Path, str]:
    """A specification's path, and its factory or ''."""
    python = _PYTHON.fullmatch(head)
    return _absolute(python["path"] if python else head), python["factory"] if python else ""


def unique(models: Iterable[UserModel], taken: Iterable[str] = ()) -> list[UserModel]:
    """Return the models, after checking that their names differ from each other and from ``taken``.

    ``taken``: names of the reference models.

    Raises:
        HarnessError: a model has the name of another or of a reference model.
    """
    found: dict[str, UserModel] = {}
    names = set(taken)
    for model in models:
        if model.name in found:
            raise HarnessError(
                f"{found[model.name].path} and {model.path} are both named {model.name}: give one of them "
                "another name with ,name=…"
            )
        if model.name in names:
            raise HarnessError(
                f"{model.path} has the name of the reference model {model.name}: give it another with ,name=…"
            )
        found[model.name] = model
    return list(found.values())


def _models(head: str, options: Mapping[str, Any]) -> list[UserModel]:
    path, factory = _located(head)
    found = list(found_at(path, factory))
    several = ", ".join(key for key in KEYS if key != "uses" and options.get(key))
    if len(found) > 1 and several:
        raise HarnessError(f"{path} holds {len(found)} models: {several} can be given for a single one only")
    given = {key: _absolute(options[key]) for key in FILES if options.get(key)}
    for key, file in given.items():
        if not file.is_file():
            raise HarnessError(f"the file {options[key]} of the model {head} does not exist")
    for text in options.get("spec", ()):
        input_spec(text)
    uses = tuple(options.get("uses", ()))
    if len(found) > 1:
        return [msgspec.structs.replace(model, uses=uses) for model in found]
    model = found[0]
    name = options.get("name") or model.name
    if name != safe(name) or name in RESERVED:
        raise HarnessError(
            f"{name!r} cannot name a model: use letters, digits, dots and underscores, and not "
            f"{' or '.join(RESERVED)}"
        )
    files = {key: str(file) for key, file in given.items()}
    spec = tuple(options.get("spec", ()))
    model = msgspec.structs.replace(model, name=name, spec=spec, uses=uses, **files)
    if model.form == "deployed" and model.parameter_file and not Path(model.parameter_file).is_file():
        raise HarnessError(f"{model.path} has no parameters: {model.parameter_file} does not exist")
    return [model]
