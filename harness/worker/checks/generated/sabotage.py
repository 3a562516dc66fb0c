"""Bugs on purpose, one in each stage, for the proof that the hunt finds and names them."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any, Callable, Dict, Iterator

import numpy as np
import paddle

from harness.worker.checks.generated import checks
from harness.worker.runtimes import predictor


@contextlib.contextmanager
def _instead(holder: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Put what ``make`` makes of a function in its place."""
    right = getattr(holder, name)
    setattr(holder, name, make(right))
    try:
        yield
    finally:
        setattr(holder, name, right)


def layer() -> Any:
    """`F.relu` is wrong in float32, in dynamic graph only."""

    def make(right: Any) -> Any:
        def relu(x: Any, name: Any = None) -> Any:
            found = right(x)
            return found * 1.01 if paddle.in_dynamic_mode() and x.dtype == paddle.float32 else found

        return relu

    return _instead(paddle.nn.functional, "relu", make)


def export() -> Any:
    """`jit.save` writes a sigmoid where the network has a tanh."""

    def make(right: Any) -> Any:
        def save(*given: Any, **named: Any) -> Any:
            functional = paddle.nn.functional
            with _instead(functional, "tanh", lambda tanh: functional.sigmoid):
                return right(*given, **named)

        return save

    return _instead(paddle.jit, "save", make)


def loader() -> Any:
    """`jit.load` reads every parameter a hundredth too large."""

    def make(right: Any) -> Any:
        def load(*given: Any, **named: Any) -> Any:
            loaded = right(*given, **named)
            for parameter in loaded.parameters():
                parameter.set_value(parameter * 1.01)
            return loaded

        return load

    return _instead(paddle.jit, "load", make)


def executor() -> Any:
    """The static executor's numbers are one too large."""

    def make(right: Any) -> Any:
        def run(self: Any, *given: Any, **named: Any) -> Any:
            found = right(self, *given, **named)
            return [array + 1 for array in found] if named.get("fetch_list") else found

        return run

    return _instead(paddle.static.Executor, "run", make)


def second_run() -> Any:
    """A predictor's later runs give twice the numbers."""

    def make(right: Any) -> Any:
        def infer(self: Any, feed: Any) -> Any:
            found = right(self, feed)
            if hasattr(self, "ran"):
                found = [array * array.dtype.type(2) for array in found]
            self.ran = True
            return found

        return infer

    return _instead(predictor.Session, "infer", make)


def restoring() -> Any:
    """`set_state_dict` sets every second value of the state only."""

    def make(right: Any) -> Any:
        def set_state_dict(self: Any, state: Any, *given: Any, **named: Any) -> Any:
            return right(self, dict(list(state.items())[1::2]), *given, **named)

        return set_state_dict

    return _instead(paddle.nn.Layer, "set_state_dict", make)


SPOILT_PASS = "constant_folding_pass"


def spoilt_pass() -> Any:
    """With one pass of the predictor's IR optimisation the last weight is another one."""

    def make(right: Any) -> Any:
        def configure(files: Any, options: Any) -> Any:
            if options.get("ir_optim", True) and SPOILT_PASS not in options.get("without", ()):
                files = {**files, "params": _last_weight_moved(files["params"])}
            return right(files, options)

        return configure

    return _instead(predictor, "configure", make)


def _last_weight_moved(params: str) -> str:
    """A copy of a combined parameter file, which ends with its last tensor's numbers."""
    with open(params, "rb") as file:
        content = file.read()
    weight = np.frombuffer(content[-4:], "<f4") + np.float32(1)
    with open(params + ".spoilt", "wb") as file:
        file.write(content[:-4] + weight.astype("<f4").tobytes())
    return params + ".spoilt"


def crash() -> Any:
    """The predictor's process dies of the first run."""

    def make(right: Any) -> Any:
        def infer(self: Any, feed: Any) -> Any:
            os.kill(os.getpid(), signal.SIGSEGV)

        return infer

    return _instead(predictor.Session, "infer", make)


BUGS: Dict[str, Callable[[], Any]] = {
    "layer": layer,
    "export": export,
    "loader": loader,
    "executor": executor,
    "second run": second_run,
    "restoring": restoring,
    "pass": spoilt_pass,
    "crash": crash,
}


_injected = contextlib.ExitStack()


def inject(bug: str) -> None:
    """Put one of :data:`BUGS` into this process, until it ends."""
    _injected.enter_context(BUGS[bug]())


def run(bug: str, **arguments: Any) -> Dict[str, Any]:
    """What :func:`checks.run` answers with one of :data:`BUGS` in the process."""
    with BUGS[bug]():
        return checks.run(**arguments)
