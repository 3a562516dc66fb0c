"""What can be disturbed between a check and Paddle, and the ways to spoil an answer.

Prefer what Paddle itself then does wrong (:class:`Arguments`, :class:`Files`) to an answer changed
in transit (:class:`Result`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.artifacts.store import Manifest
from harness.execution.executor import Executor
from suites.support import damage as damages


@dataclass(frozen=True)
class Call:
    """A call to the worker as the check made it; ``number`` counts the calls of that name from 1."""

    name: str
    arguments: dict[str, Any]
    number: int


When = Callable[[Call], bool]


def always(call: Call) -> bool:
    return True


def number(wanted: int) -> When:
    """The n-th call of that name."""
    return lambda call: call.number == wanted


def argument(**wanted: Any) -> When:
    """Calls with these arguments."""
    return lambda call: all(call.arguments.get(name) == value for name, value in wanted.items())


def runtime(name: str) -> When:
    """Executions on that runtime: where a check makes its oracle itself, that one is not meant."""
    return argument(runtime=name)


def path_has(text: str) -> When:
    """Calls of which an argument is a path with that text."""
    return lambda call: any(text in path for path in _texts(call.arguments))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


@dataclass(frozen=True)
class Arguments:
    """Paddle is asked for something else: other arguments, or another function (``instead``)."""

    call: str
    change: Callable[[dict[str, Any], Executor], dict[str, Any]]
    when: When = always
    instead: str = ""


def setting(call: str, when: When = always, **changed: Any) -> Arguments:
    """The call with some arguments replaced."""
    return Arguments(call, lambda arguments, executor: {**arguments, **changed}, when)


def option(call: str, when: When = always, drop: str = "", **changed: Any) -> Arguments:
    """The call with some of the target's options replaced, or one dropped: a target in disguise."""

    def change(arguments: dict[str, Any], executor: Executor) -> dict[str, Any]:
        options = {name: value for name, value in arguments["options"].items() if name != drop}
        return {**arguments, "options": {**options, **changed}}

    return Arguments(call, change, when)


def config(call: str, when: When = always, **changed: Any) -> Arguments:
    """The call with some of a training's configuration replaced."""
    return Arguments(call, lambda a, executor: {**a, "config": {**a["config"], **changed}}, when)


@dataclass(frozen=True)
class Files:
    """Paddle is given copies of the files, damaged: every path is led to a copy of its folder.

    ``damage`` says whether it found in a copy what it damages.
    """

    call: str
    damage: Callable[[Path, Executor], bool]
    when: When = always


def flipped(
    pattern: str, weight: str = "linear3.bias", model: str = "lenet", of: str = ""
) -> Callable[[Path, Executor], bool]:
    """One exponent bit of one value of a weight, in the file of that pattern.

    The weight's bytes are those of the model's checkpoint, or of the saved state ``of`` beside
    the file. Several matches (one file per parameter): the one that holds them.
    """

    def damage(folder: Path, executor: Executor) -> bool:
        found = [file for file in sorted(folder.rglob(pattern)) if file.is_file()]
        if not found:
            return False
        state = (
            str(folder / of) if of else executor.builder.artifact("checkpoint", model).file("model.pdparams")
        )
        payload = damages.payload_of(executor.pool.call("models.states.flat", path=state)[weight])
        (file,) = [file for file in found if payload in file.read_bytes()]
        file.write_bytes(damages.flip_value(file.read_bytes(), payload))
        return True

    return damage


@dataclass(frozen=True)
class Result:
    """What came back is not what the worker answered; ``change`` may alter it in place."""

    call: str
    change: Callable[[Any], Any]
    when: When = always


@dataclass(frozen=True)
class Printed:
    """What the process printed reads otherwise."""

    change: Callable[[str], str]


@dataclass(frozen=True)
class Made:
    """What a recipe's manifest says (a copy: the store's stays)."""

    recipe: str
    change: Callable[[Manifest], Manifest]


def values(recipe: str, change: Callable[[dict[str, Any]], Any]) -> Made:
    """The manifest with other values; ``change`` alters a deep copy in place."""

    def changed(manifest: Manifest) -> Manifest:
        copied = copy.deepcopy(manifest.values)
        change(copied)
        return msgspec.structs.replace(manifest, values=copied)

    return Made(recipe, changed)


Disturbance = Arguments | Files | Result | Printed | Made


# Ways to spoil an answer


def outputs(change: Callable[[list[list[Any]]], Any], when: When = always) -> Result:
    """`runtimes.execute` with other outputs: ``change`` alters ``outputs[run][output]`` in place."""

    def changed(answer: Any) -> Any:
        answer["outputs"] = [[np.array(array) for array in run] for run in answer["outputs"]]
        change(answer["outputs"])
        return answer

    return Result("runtimes.execute", changed, when)


def within(change: Callable[[Any], Any], *path: Any) -> Callable[[Any], Any]:
    """An answer in which what lies at ``path`` is replaced by ``change`` of it."""

    def changed(answer: Any) -> Any:
        if not path:
            return change(answer)
        holder = answer
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = change(holder[path[-1]])
        return answer

    return changed


def last_bit(array: Any) -> Any:
    """The array with the last bit of its last element flipped: one unit in the last place."""
    array = np.array(array)
    octets = array.reshape(-1).view("uint8")
    octets[-array.dtype.itemsize] ^= 1
    return array


def without(key: Any) -> Callable[[Any], Any]:
    """A dict or list that lacks one entry."""

    def drop(value: Any) -> Any:
        del value[key]
        return value

    return drop


def put(value: Any) -> Callable[[Any], Any]:
    """That value, whatever was there."""
    return lambda _: value


def confused(runs: list[list[Any]]) -> None:
    """One row in twenty gets the class behind its own."""
    for run in runs:
        run[0][::20] = np.roll(run[0][::20], 1, axis=1)


def noisy(size: float) -> Callable[[list[list[Any]]], None]:
    """Normal noise of that size on the first output of every run."""

    def change(runs: list[list[Any]]) -> None:
        rng = np.random.default_rng(1)
        for run in runs:
            run[0] += size * rng.standard_normal(run[0].shape).astype("float32")

    return change


def asks_for_int8(call: Call) -> bool:
    """An execution on int8 kernels, and not of what they are held against."""
    return "int8" in call.arguments["options"]


CONVOLUTIONS = (option("runtimes.execute", asks_for_int8, int8=["conv2d"]),)
"""Int8 kernels for convolutions alone: those of a linear layer saturate on processors without VNNI."""
