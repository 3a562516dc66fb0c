"""Copies of an environment with one fault written into Paddle itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

DROPS_A_PARAMETER = (
    "framework/io.py",
    """
_load_as_it_was = load


def load(path, **configs):
    state = _load_as_it_was(path, **configs)
    if str(path).endswith(".pdparams") and isinstance(state, dict) and len(state) > 1:
        state.pop(list(state)[-1])
    return state
""",
)
ROUNDS_THROUGH_FLOAT16 = (
    "framework/io.py",
    """
_load_as_it_was = load


def _rounded(value):
    import numpy

    array = numpy.asarray(value)
    if array.dtype != numpy.float32:
        return value
    array = array.astype("float16").astype("float32")
    if isinstance(value, numpy.ndarray):
        return array
    value.set_value(array)
    return value


def load(path, **configs):
    state = _load_as_it_was(path, **configs)
    return {n: _rounded(v) for n, v in state.items()} if isinstance(state, dict) else state
""",
)
FORGETS_THE_STEP_COUNT = (
    "optimizer/optimizer.py",
    """
_set_state_dict_as_it_was = Optimizer.set_state_dict


def _set_state_dict(self, state_dict):
    import numpy

    first = {"beta1_pow": self._beta1, "beta2_pow": self._beta2} if hasattr(self, "_beta1") else {}
    state_dict = dict(state_dict)
    for name in state_dict:
        for part, value in first.items():
            if part in name:
                state_dict[name] = numpy.full([1], value, "float32")
    return _set_state_dict_as_it_was(self, state_dict)


Optimizer.set_state_dict = _set_state_dict
""",
)
SABOTAGES = {
    "a loader that drops one parameter": DROPS_A_PARAMETER,
    "a loader that rounds through float16": ROUNDS_THROUGH_FLOAT16,
    "an optimizer that forgets its step count": FORGETS_THE_STEP_COUNT,
}


def copy_of(python: str, folder: Path, sabotage: tuple[str, str] | None = None) -> str:
    """A copy of a virtual environment, the files linked; with code added to one module of Paddle.

    Returns:
        The copy's interpreter.
    """
    source = Path(python).parent.parent
    try:
        shutil.copytree(source, folder, symlinks=True, copy_function=os.link)
    except (OSError, shutil.Error):  # another file system
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder, symlinks=True)
    if sabotage is not None:
        name, code = sabotage
        (module,) = folder.glob(f"lib/python*/site-packages/paddle/{name}")
        text = module.read_text() + code
        module.unlink()  # a link to the original, which must stay as it is
        module.write_text(text)
        for compiled in (module.parent / "__pycache__").glob(f"{module.stem}.*.pyc"):
            compiled.unlink()
    return str(folder / "bin" / "python")
