"""Deliberate bugs, one in each stage: they prove that fuzzing finds and names them."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from typing import Any, Callable, Dict, Iterator

import numpy as np
import paddle

from harness.worker.checks.generated import checks
from harness.worker.runtimes import predictor

BUGS: Dict[str, Callable[[], Any]] = {}
"""Each puts its bug into the process for a block."""


@contextlib.contextmanager
def _instead(holder: Any, name: str, wrong: Callable[..., Any]) -> Iterator[None]:
    """Call ``wrong``, which gets the right function first, in the place of a function."""
    right = getattr(holder, name)

    def called(*given: Any, **named: Any) -> Any:
        return wrong(right, *given, **named)

    setattr(holder, name, called)
    try:
        yield
    finally:
        setattr(holder, name, right)


def _bug(title: str, holder: Any, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register what a function of Paddle or of the harness is to do instead."""

    def register(wrong: Callable[..., Any]) -> Callable[..., Any]:
        BUGS[title] = functools.partial(_instead, holder, name, wrong)
        return wrong

    return register


@_bug("layer", paddle.nn.functional, "relu")
def layer(right: Any, x: Any, name: Any = None) -> Any:
    """`F.relu` is wrong in float32, in dynamic graph only."""
    found = right(x)
    return found * 1.01 if paddle.in_dynamic_mode() and x.dtype == paddle.float32 else found


@_bug("export", paddle.jit, "save")
def export(right: Any, *given: Any, **named: Any) -> Any:
    """`jit.save` writes a sigmoid where the network has a tanh."""
    functional = paddle.nn.functional
    with _instead(functional, "tanh", lambda tanh, *given, **named: functional.sigmoid(*given, **named)):
        return right(*given, **named)


@_bug("loader", paddle.jit, "load")
def loader(right: Any, *given: Any, **named: Any) -> Any:
    """`jit.load` reads every parameter a hundredth too large."""
    loaded = right(*given, **named)
    for parameter in loaded.parameters():
        parameter.set_value(parameter * 1.01)
    return loaded


@_bug("executor", paddle.static.Executor, "run")
def executor(right: Any, self: Any, *given: Any, **named: Any) -> Any:
    """The static executor's numbers are one too large."""
    found = right(self, *given, **named)
    return [array + 1 for array in found] if named.get("fetch_list") else found


@_bug("second run", predictor.Session, "infer")
def second_run(right: Any, self: Any, feed: Any) -> Any:
    """A predictor's later runs give twice the numbers."""
    found = right(self, feed)
    if hasattr(self, "ran"):
        found = [array * array.dtype.type(2) for array in found]
    self.ran = True
    return found


@_bug("restoring", paddle.nn.Layer, "set_state_dict")
def restoring(right: Any, self: Any, state: Any, *given: Any, **named: Any) -> Any:
    """`set_state_dict` sets every second value of the state only."""
    return right(self, dict(list(state.items())[1::2]), *given, **named)


SPOILT_PASS = "constant_folding_pass"


@_bug("pass", predictor, "configure")
def spoilt_pass(right: Any, files: Any, options: Any) -> Any:
    """With one pass of the predictor's IR optimisation the last weight is another one."""
    if options.get("ir_optim", True) and SPOILT_PASS not in options.get("without", ()):
        files = {**files, "params": _last_weight_moved(files["params"])}
    return right(files, options)


def _last_weight_moved(params: str) -> str:
    """Copy a combined parameter file and change its end, which holds the last tensor's numbers."""
    with open(params, "rb") as file:
        content = file.read()
    weight = np.frombuffer(content[-4:], "<f4") + np.float32(1)
    with open(params + ".spoilt", "wb") as file:
        file.write(content[:-4] + weight.astype("<f4").tobytes())
    return params + ".spoilt"


@_bug("crash", predictor.Session, "infer")
def crash(right: Any, self: Any, feed: Any) -> Any:
    """The predictor's process dies of the first run."""
    os.kill(os.getpid(), signal.SIGSEGV)


_injected = contextlib.ExitStack()


def inject(bug: str) -> None:
    """Put one of :data:`BUGS` into this process, until it ends."""
    _injected.enter_context(BUGS[bug]())


def run(bug: str, **arguments: Any) -> Dict[str, Any]:
    """Return the result of :func:`checks.run` with one of :data:`BUGS` in the process."""
    with BUGS[bug]():
        return checks.run(**arguments)
