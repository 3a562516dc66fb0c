"""Static programs of both intermediate representations: helpers to build and inspect them."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np
import paddle


def program_file(prefix: str) -> str:
    """Return the program's path at ``prefix``: ``.json`` of the new IR, or ``.pdmodel``.

    Raises:
        FileNotFoundError: neither exists.
    """
    for ending in (".json", ".pdmodel"):
        if os.path.exists(prefix + ending):
            return prefix + ending
    raise FileNotFoundError(f"neither {prefix}.json nor {prefix}.pdmodel exists")


def load(folder: str, program: str, params: Optional[str] = "model.pdiparams") -> Tuple[Any, ...]:
    """`load_inference_model` in static mode: executor, program, names of the feeds, fetch targets.

    ``params``: the file of the combined parameters, None for one file a parameter.

    Raises:
        Whatever Paddle raises for files of another kind or release.
    """
    executor = paddle.static.Executor(paddle.CPUPlace())
    return (
        executor,
        *paddle.static.load_inference_model(folder, executor, model_filename=program, params_filename=params),
    )


def logits(folder: str, program: str, feed: List[np.ndarray]) -> np.ndarray:
    """The first output of a saved program, for the arrays of its inputs in their order."""
    with static_mode():
        executor, loaded, names, fetches = load(folder, program)
        found: np.ndarray = executor.run(loaded, feed=dict(zip(names, feed)), fetch_list=fetches)[0]
    return found


def save_separately(folder: str, program: str, out: str) -> None:
    """Document 002's older layout of combined files: `save_vars` of each persistable, and ``__model__``."""
    with static_mode():
        executor, loaded, _, _ = load(folder, program)
        paddle.static.save_vars(
            executor, dirname=out, main_program=loaded, predicate=paddle.static.io.is_persistable
        )
    shutil.copy(os.path.join(folder, program), os.path.join(out, "__model__"))


@contextlib.contextmanager
def static_mode() -> Iterator[None]:
    """Enter static graph mode with a new scope; return to dygraph afterwards, even after an error."""
    paddle.enable_static()
    try:
        with paddle.static.scope_guard(paddle.static.Scope()):
            yield
    finally:
        paddle.disable_static()


def is_pir(program: Any) -> bool:
    """Whether the program is of the new intermediate representation."""
    return not hasattr(program, "desc")


def set_layer_values(net: Any, program: Any, values: Dict[str, Any]) -> None:
    """Set a static-mode layer's floating parameters and buffers from values by structured name.

    Raises:
        KeyError: one has no value, or is not in the scope.
    """
    scope = paddle.static.global_scope()
    held = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    for name, variable in held.items():
        found = scope.find_var(variable.name)
        if "float" not in str(variable.dtype).lower() and "fp" not in str(variable.dtype).lower():
            continue  # an LSTM's dropout state: a byte buffer that is in no file and that no operator reads
        if found is None:
            raise KeyError(f"{name} ({variable.name}) is not in the scope")
        found.get_tensor().set(np.asarray(values[name]), paddle.CPUPlace())


def operators(program: Any) -> List[Dict[str, Any]]:
    """Return every operator of every block in order: name without dialect, and attributes that show modes."""
    found: List[Dict[str, Any]] = []
    if is_pir(program):
        for op in program.global_block().ops:
            _walk_pir(op, found)
    else:
        for block in program.blocks:
            for op in block.ops:
                found.append(
                    {
                        "name": op.type,
                        "attributes": _modes({n: op.attr(n) for n in op.attr_names if n in _MODES}),
                    }
                )
    return found


_MODES = ("is_test", "use_global_stats", "op_role", "dropout_implementation", "trainable_statistics")


def _modes(attributes: Dict[str, Any]) -> Dict[str, Any]:
    return {
        name: value
        for name, value in attributes.items()
        if name in _MODES and isinstance(value, (bool, int, str))
    }


def _walk_pir(op: Any, found: List[Dict[str, Any]]) -> None:
    found.append({"name": op.name().split(".", 1)[-1], "attributes": _modes(op.attrs())})
    for block in op.blocks():
        for inner in block.ops:
            _walk_pir(inner, found)


def taken_fetches(program: Any, fetches: List[Any]) -> List[Any]:
    """Return a loaded program's fetches, so that they can be fetched together with other values.

    From a program of the new IR this removes the fetch operators: they would take the columns of the
    other values.
    """
    if not is_pir(program):
        return fetches
    block = program.global_block()
    own = [op for op in block.ops if op.name() == "pd_op.fetch"]
    values = [op.operand_source(0) for op in own]
    for op in own:
        block.remove_op(op)
    return values


def parameters(program: Any) -> List[Dict[str, Any]]:
    """Return name, shape and dtype of every parameter (persistable variable) of a loaded program."""
    found = []
    if is_pir(program):
        for op in program.global_block().ops:
            if op.name() == "builtin.parameter":
                value = op.results()[0]
                found.append(
                    {
                        "name": op.attrs()["parameter_name"],
                        "shape": list(value.shape),
                        "dtype": str(value.dtype),
                    }
                )
    else:
        for variable in program.list_vars():
            if variable.persistable and variable.name not in ("feed", "fetch"):
                found.append(
                    {"name": variable.name, "shape": list(variable.shape), "dtype": str(variable.dtype)}
                )
    return sorted(found, key=lambda item: item["name"])
