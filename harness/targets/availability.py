"""Whether a target can run here, or on the other interpreter that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.core.errors import HarnessError
from harness.pool.workers import WorkerFailure, WorkerPool
from harness.targets.target import Target, repeats


def described(pool: WorkerPool, interpreter: str) -> dict[str, Any]:
    """Return the description of another interpreter's environment.

    Raises:
        HarnessError: nothing answers there, or Paddle does not work; the message says what to do.
    """
    try:
        found: dict[str, Any] = pool.call("protocol.environment.describe", spec=pool.default.at(interpreter))
    except WorkerFailure as error:
        raise HarnessError(
            f"Paddle does not work at {interpreter} ({error.sentence}): install it there, name another "
            "interpreter, or leave out the targets that name this one (--targets)"
        ) from error
    return found


def unavailable(
    pool: WorkerPool,
    target: Target,
    targets: Iterable[Target],
    here: Mapping[str, Any],
    where: Mapping[str, Any],
) -> str | None:
    """Return why a target cannot run, or None.

    Args:
        targets: all targets; the target may repeat one of them in another profile.
        here: description of the environment under test.
        where: description of the target's other interpreter; {} if it names none.
    """
    paddle = here["paddle"]["version"]
    if here["profile"] == "legacy-ir" and not where and repeats(target, targets):
        return f"Paddle {paddle} runs in legacy-IR mode already: the plain target is this one"
    pir = target.profile != "legacy-ir" and here["profile"] == "pir"
    if where and pir and not where["paddle"]["pir"] and target.runtime != "dygraph":
        return (
            f"Paddle {where['paddle']['version']} on {where['host']} does not read the programs that "
            f'Paddle {paddle} writes here: add profile = "legacy-ir" to the target'
        )
    spec = pool.default.at(target.interpreter)
    reason = pool.call("runtimes.available", spec=spec, runtime=target.runtime, options=target.options)
    if reason is None and target.options.get("tensorrt") and target.models == "any" and pir:
        reason = (
            "the predictor gives TensorRT programs of legacy IR only: run with --paddle-profile legacy-ir, "
            "or in Paddle 2"
        )
    return None if reason is None else str(reason)
