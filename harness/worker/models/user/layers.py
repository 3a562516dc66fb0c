"""Form `layer`: a Python file and a factory that returns a `paddle.nn.Layer`.

Inputs come from the module's ``input_spec`` or ``INPUT_SPEC`` (a list of `paddle.static.InputSpec`), from
the user's specifications, or from the example inputs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import inspect
import os
import sys
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

import paddle

from harness.worker.models.model import Input
from harness.worker.models.user import inputs as users_inputs

SPECS = ("input_spec", "INPUT_SPEC")

_modules: Dict[str, Any] = {}
_imported: Dict[str, Dict[str, Any]] = {}
"""Modules that the files of each folder have imported from that folder."""


def model(given: Mapping[str, Any]) -> users_inputs.UserModel:
    """Return the declared model; its file is loaded, and its layer made once.

    Raises:
        Whatever the user's file raises, or ValueError: nothing describes its inputs.
    """
    build = functools.partial(_build, dict(given))
    examples = users_inputs.load_examples(given["inputs"]) if given["inputs"] else {}
    inputs = users_inputs.with_specs(_inputs(given, examples), given["spec"])
    return users_inputs.UserModel(
        name=given["name"],
        summary=os.path.basename(given["path"]) + ":" + given["factory"],
        build=build,
        inputs=tuple(inputs),
        outputs=tuple(given.get("outputs", ())),
        converted=True,
        form="layer",
        examples=users_inputs.matched(examples, inputs),
        structure=_structure(given),
    )


def load(path: str) -> Any:
    """Load the user's module once; its folder is first on ``sys.path`` while it loads."""
    if path not in _modules:
        name = "user_model_" + "".join(c if c.isalnum() else "_" for c in os.path.basename(path))
        spec = importlib.util.spec_from_file_location(name + "_" + str(len(_modules)), path)
        assert spec is not None, path
        assert spec.loader is not None, path
        module = importlib.util.module_from_spec(spec)
        with importable(os.path.dirname(path)):
            # Dataclasses, pickles and Paddle's source transformations look for a class's module there.
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
        sys.modules[spec.name] = module
        _modules[path] = module
    return _modules[path]


@contextlib.contextmanager
def importable(folder: str) -> Iterator[None]:
    """Put the folder first on ``sys.path``, and write no byte code into it.

    Modules imported from it leave ``sys.modules`` afterwards: the next model may have another ``layers.py``.
    """
    own = _imported.setdefault(folder, {})
    displaced = {name: sys.modules[name] for name in own if name in sys.modules}
    sys.modules.update(own)
    before = set(sys.modules) - set(own)
    sys.path.insert(0, folder)
    quiet, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = quiet
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name not in before and file and _inside(file, folder):
                own[name] = sys.modules.pop(name)
        sys.modules.update(displaced)


def _inside(file: str, folder: str) -> bool:
    path = os.path.abspath(file)
    # An environment inside the project's folder is not part of the model.
    return path.startswith(folder + os.sep) and (os.sep + "site-packages" + os.sep) not in path


def files(path: str) -> List[str]:
    """Return the module's file and the files in its folder that loading it has imported."""
    folder = os.path.dirname(path)
    imported = (os.path.abspath(module.__file__ or path) for module in _imported.get(folder, {}).values())
    return sorted({path, *imported})


def _build(given: Mapping[str, Any]) -> Any:
    with importable(os.path.dirname(given["path"])):
        factory: Any = load(given["path"])
        for part in given["factory"].split("."):
            factory = getattr(factory, part)
        net = factory()
    if not isinstance(net, paddle.nn.Layer):
        raise TypeError(f"{given['factory']}() gave a {type(net).__name__}, not a paddle.nn.Layer")
    if given["params"]:
        missing, unexpected = net.set_state_dict(paddle.load(given["params"]))
        if missing or unexpected:
            raise ValueError(
                f"{os.path.basename(given['params'])} is of another network: missing {_few(missing)}, "
                f"unexpected {_few(unexpected)}"
            )
    return net


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "none"


def _inputs(given: Mapping[str, Any], examples: Mapping[str, Any]) -> List[Input]:
    stated = _stated(given)
    if stated is not None:
        leaves, _ = _flattened(stated)
        # The layer, which may be large, is made for its argument names only where a name is missing.
        names = [] if all(spec.name for _, spec in leaves) else _arguments(given)
        return [
            users_inputs.plain(
                spec.name or _named(place, names), spec.shape, users_inputs.dtype_name(spec.dtype)
            )
            for place, spec in leaves
        ]
    names = _arguments(given)
    if any(said.get("shape") is not None for said in given["spec"]):
        found = users_inputs.from_specs(given["spec"])
    elif examples:
        found = users_inputs.from_examples(users_inputs.named(examples, names))
    else:
        raise ValueError(
            f"{os.path.basename(given['path'])} has no input_spec: add one, or describe the inputs with "
            "spec=x:float32:?x3x224x224 or inputs=examples.npz"
        )
    by_name = {spec.name: spec for spec in found}
    # In the order of `forward`, in which they are passed.
    return [by_name[n] for n in names if n in by_name] if set(by_name) <= set(names) else found


def _stated(given: Mapping[str, Any]) -> Any:
    module = load(given["path"])
    return next((getattr(module, name) for name in SPECS if hasattr(module, name)), None)


def _structure(given: Mapping[str, Any]) -> Any:
    """Return the stated arguments with leaves for inputs; None where each argument is an input."""
    stated = _stated(given)
    if stated is None or all(isinstance(item, paddle.static.InputSpec) for item in stated):
        return None
    return tuple(_flattened(stated)[1])


Place = Tuple[Any, ...]
"""Where an input is among the arguments: the argument's index, then keys and indexes inside it."""


def _flattened(stated: Any) -> Tuple[List[Tuple[Place, Any]], List[Any]]:
    """Return the input specifications with their places, and the arguments with leaves instead of them.

    The order is Paddle's: arguments and sequences in order, dicts by sorted keys. What is no specification
    is a constant argument.
    """
    leaves: List[Tuple[Place, Any]] = []

    def visited(value: Any, place: Place) -> Any:
        if isinstance(value, paddle.static.InputSpec):
            leaves.append((place, value))
            return users_inputs.Leaf(len(leaves) - 1)
        if isinstance(value, dict):
            return {key: visited(value[key], (*place, key)) for key in sorted(value)}
        if isinstance(value, (list, tuple)):
            return type(value)(visited(item, (*place, index)) for index, item in enumerate(value))
        return value

    return leaves, [visited(value, (index,)) for index, value in enumerate(stated)]


def _named(place: Place, names: Sequence[str]) -> str:
    """Return a name for an input without one: its argument's, its key's, or both."""
    head = names[place[0]] if place[0] < len(names) else f"x{place[0]}"
    return "_".join([head, *map(str, place[1:])])


def _arguments(given: Mapping[str, Any]) -> List[str]:
    parameters = inspect.signature(_build(given).forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter.name for parameter in parameters if parameter.kind in positional]
