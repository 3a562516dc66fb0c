"""User models as files: which models a folder contains, and which files belong to each.

Nothing is loaded here: a worker finds out what a model contains (``harness/models/first_run.py``).
"""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from harness.core.errors import HarnessError
from harness.core.hashing import sha256

Form = Literal["layer", "deployed", "graph"]
FORMS: tuple[Form, ...] = get_args(Form)

OLDER_PROGRAM = "__model__"
OLDER_PARAMS = ("__params__", "params", "__variables__")
"""Names of the combined parameters next to a ``__model__``; if none exists, each parameter has a file."""


class UserModel(msgspec.Struct, frozen=True):
    """One user model.

    ``path`` is absolute: the Python file, the program file, or the graph's folder. ``params`` is a
    ``.pdparams`` of a layer, or a deployed program's parameter file if its name differs from the
    program's; ``inputs`` an ``.npz`` with example inputs; ``spec`` texts for ``specification.input_spec``;
    ``uses`` the runtimes that deploy it, none for all.
    """

    path: str
    form: Form
    name: str
    factory: str = ""
    params: str = ""
    inputs: str = ""
    spec: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()

    def text(self) -> str:
        """The model as ``--add-model`` takes it, on its own."""
        options = [("name", self.name), ("params", self.params), ("inputs", self.inputs)]
        options += [(key, text) for key in ("spec", "uses") for text in getattr(self, key)]
        head = f"{self.path}:{self.factory}" if self.factory else self.path
        return head + "".join(f",{key}={value}" for key, value in options if value)

    @property
    def parameter_file(self) -> str:
        """A layer's ``params``; a deployed model's combined parameters, '' where each has a file."""
        program = Path(self.path)
        if self.params or self.form != "deployed":
            return self.params
        if program.name != OLDER_PROGRAM:
            return str(program.with_suffix(".pdiparams"))
        return next((str(program.parent / n) for n in OLDER_PARAMS if (program.parent / n).is_file()), "")

    @property
    def files(self) -> list[Path]:
        """The model's files, as far as they are known without running it."""
        path = Path(self.path)
        found = [Path(name) for name in (self.parameter_file, self.inputs) if name]
        if self.form == "graph":
            found += [path / f"{name}.py" for name in ("model", "input_meta", "weight_meta")]
        elif self.form == "deployed" and not self.parameter_file:
            found += sorted(item for item in path.parent.iterdir() if item.is_file())
        else:
            found.append(path)
        return [file for file in found if file.is_file()]


def digest(files: Iterable[Path]) -> str:
    """Hash the names and contents of files, in the order of their paths."""
    found = hashlib.sha256()
    for file in sorted(set(files)):
        found.update(file.name.encode())
        found.update(sha256(file).encode())
    return found.hexdigest()[:16]


def copy_deployed(model: UserModel, out: Path) -> dict[str, Any]:
    """Copy a deployed model's files to ``out``, under the names that readers of an artifact expect.

    Combined parameters: ``inference_model/model.json`` (or ``.pdmodel``) and ``model.pdiparams``;
    one file per parameter: ``separate_persistables``. Contents do not change.

    Returns:
        The values of the artifact's manifest.
    """
    program = Path(model.path)
    if not model.parameter_file:
        folder = out / "separate_persistables"
        folder.mkdir()
        for file in model.files:
            shutil.copyfile(file, folder / file.name)
        parameters = sorted(file.name for file in model.files if file != program)
        return {"program": f"separate_persistables/{program.name}", "parameters": parameters}
    folder = out / "inference_model"
    folder.mkdir()
    name = "model.json" if program.suffix == ".json" else "model.pdmodel"
    shutil.copyfile(program, folder / name)
    shutil.copyfile(model.parameter_file, folder / "model.pdiparams")
    return {"program": f"inference_model/{name}"}


def safe(name: str) -> str:
    """Make a name fit for files and case ids: letters, digits, dots, underscores; ``/`` becomes a dot.

    Letters outside ASCII are replaced by a hash of the name: two Chinese names stay two names.
    """
    found = re.sub(r"[^\w.]", "_", name.replace("/", "."), flags=re.ASCII).strip(".") or "model"
    if name.isascii():
        return found
    return f"{found.strip('._') or 'model'}_{hashlib.sha256(name.encode()).hexdigest()[:4]}"


# What a path holds


def found_at(path: Path, factory: str) -> Iterator[UserModel]:
    """Yield the models of a path: one, or all those in a folder of many.

    Raises:
        HarnessError: there is none, or the file has no such factory.
    """
    if factory:
        _require_factory(path, factory)
        yield UserModel(str(path), "layer", safe(path.stem), factory)
    elif path.suffix == ".py":
        raise HarnessError(
            f"{path} needs the name of the function or class that makes the layer: {path.name}:FACTORY"
        )
    elif path.is_dir():
        yield from _of_folder(path)
    else:
        yield UserModel(str(_program(path)), "deployed", safe(_stem(path)))


def _require_factory(path: Path, factory: str) -> None:
    if not path.is_file():
        raise HarnessError(f"the model file {path} does not exist")
    try:
        body = ast.parse(path.read_bytes()).body
    except SyntaxError:
        return  # another Python's syntax, or no Python: the interpreter under test will report it
    names: set[str] = set()
    for node in ast.walk(ast.Module(body, [])):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if factory.split(".")[0] not in names and "*" not in names:
        raise HarnessError(f"{path} has no {factory}: name a function or class that makes the layer")


def _program(path: Path) -> Path:
    """Return the program file of a deployed model; ``path`` is that file or its prefix."""
    if path.is_file():
        if path.suffix in (".json", ".pdmodel") or path.name == OLDER_PROGRAM:
            return path
        raise HarnessError(
            f"{path} is not a model: give a Python file and factory (net.py:build), a program (.pdmodel, "
            ".json or __model__), its prefix, or a folder"
        )
    # Not with_suffix: a prefix may have a dot in it.
    found = [Path(f"{path}{ending}") for ending in (".json", ".pdmodel") if Path(f"{path}{ending}").is_file()]
    if len(found) > 1:
        raise HarnessError(f"both {found[0].name} and {found[1].name} are in {path.parent}: name one of them")
    if not found:
        raise HarnessError(
            f"the model {path} does not exist, nor do {path.name}.json and {path.name}.pdmodel"
        )
    return found[0]


def _stem(path: Path) -> str:
    if path.name == OLDER_PROGRAM:
        return path.parent.name
    return path.stem if path.suffix in (".json", ".pdmodel") else path.name


def _of_folder(folder: Path) -> list[UserModel]:
    """Find every graph and every deployed model in the folder or below it, named by its relative path.

    Where a folder has one program, the model has the folder's name, since many programs are named
    `inference`.
    """
    found = []
    for place in [folder, *sorted(item for item in folder.rglob("*") if item.is_dir())]:
        here = [] if place == folder else [str(place.relative_to(folder))]
        if (place / "model.py").is_file() and (place / "input_meta.py").is_file():
            found.append(UserModel(str(place), "graph", safe("/".join(here) or folder.name)))
        programs = sorted(_programs(place))
        stems = [_stem(program) for program in programs]
        for program, stem in zip(programs, stems, strict=True):
            last = [] if len(programs) == 1 and here else [program.name if stems.count(stem) > 1 else stem]
            found.append(UserModel(str(program), "deployed", safe("/".join([*here, *last]))))
    if not found:
        raise HarnessError(
            f"{folder} holds no model: no program (.pdmodel, .json with .pdiparams, or __model__), and no "
            "model.py with input_meta.py"
        )
    if len(found) == 1:
        path = Path(found[0].path)
        return [msgspec.structs.replace(found[0], name=safe((path if path.is_dir() else path.parent).name))]
    return list(_with_distinct_names(found, folder))


def _programs(folder: Path) -> Iterator[Path]:
    if (folder / OLDER_PROGRAM).is_file():
        yield folder / OLDER_PROGRAM
    for params in folder.glob("*.pdiparams"):
        # Not every .json is a program; a program has its parameters next to it.
        yield from (p for e in (".json", ".pdmodel") if (p := params.with_suffix(e)).is_file())


def _with_distinct_names(models: list[UserModel], folder: Path) -> Iterator[UserModel]:
    """Append a hash of the path to names that several models have: it does not depend on other models."""
    counts = Counter(model.name for model in models)
    for model in models:
        if counts[model.name] > 1:
            mark = hashlib.sha256(str(Path(model.path).relative_to(folder)).encode()).hexdigest()[:4]
            model = msgspec.structs.replace(model, name=f"{model.name}_{mark}")
        yield model
