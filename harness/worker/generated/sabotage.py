"""Bugs on purpose, one in each stage, for the proof that the hunt finds and names them.

A worker that was asked for one keeps it until it ends.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

import paddle


def layer() -> None:
    """`F.relu` is wrong in float32, in dynamic graph only."""
    right = paddle.nn.functional.relu

    def relu(x: Any, name: Any = None) -> Any:
        found = right(x)
        return found * 1.01 if paddle.in_dynamic_mode() and x.dtype == paddle.float32 else found

    paddle.nn.functional.relu = relu


def export() -> None:
    """`jit.save` writes a sigmoid where the network has a tanh."""
    save = paddle.jit.save

    def wrong(*given: Any, **named: Any) -> Any:
        functional = paddle.nn.functional
        kept, functional.tanh = functional.tanh, functional.sigmoid
        try:
            return save(*given, **named)
        finally:
            functional.tanh = kept

    paddle.jit.save = wrong


def loader() -> None:
    """`jit.load` reads every parameter a hundredth too large."""
    load = paddle.jit.load

    def wrong(*given: Any, **named: Any) -> Any:
        loaded = load(*given, **named)
        for parameter in loaded.parameters():
            parameter.set_value(parameter * 1.01)
        return loaded

    paddle.jit.load = wrong


def executor() -> None:
    """The static executor's outputs are a row off."""
    right = paddle.static.Executor.run

    def wrong(self: Any, *given: Any, **named: Any) -> Any:
        found = right(self, *given, **named)
        return [array[::-1] for array in found] if named.get("fetch_list") else found

    paddle.static.Executor.run = wrong


def second_run() -> None:
    """A predictor's later runs give what its first gave, a bit off."""
    from harness.worker.runtimes import predictor

    right = predictor.Session.infer

    def wrong(self: Any, feed: Any) -> Any:
        found = right(self, feed)
        if hasattr(self, "ran"):
            found = [array * array.dtype.type(2) for array in found]
        self.ran = True
        return found

    setattr(predictor.Session, "infer", wrong)  # noqa: B010


BUGS: Dict[str, Callable[[], None]] = {
    "layer": layer,
    "export": export,
    "loader": loader,
    "executor": executor,
    "second run": second_run,
}


def inject(bug: str) -> None:
    """Put one of :data:`BUGS` into this process."""
    BUGS[bug]()
