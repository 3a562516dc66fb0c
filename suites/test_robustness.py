"""Damaged model files, given to every loader, end with clear outcomes, and each outcome is recorded.

The documents promise that loading brings back what saving wrote, and nothing about files that
were damaged in between. The checks here ask for the least a user may expect: a Python exception,
or exactly the values that were saved. A dead process and a silent wrong answer are findings.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from harness.checks import tolerance
from harness.checks.case import Case, bitwise_all
from harness.core.types import Comparison, RemoteFailure
from harness.execution.executor import Executor
from harness.pool.workers import RemoteError, Worker, WorkerCrash, WorkerFailure, WorkerTimeout
from suites.support import damage as damages

pytestmark = pytest.mark.area("Damaged files")

MODEL = "lenet"
EVERY = 16
"""Every 16th test digit is in the feed: real digits of every class, so that no unit is idle
and a damaged weight reaches the outputs."""
DEADLINE_S = 20.0
"""Seconds after which a load counts as hung; loading LeNet takes a fraction of a second."""

WEIGHT = "linear3.bias"
"""The array that a bit flip hits: it belongs to the last layer, so every output of its column changes."""

MOMENT = "linear_2.b_0_moment1_0"
"""Adam's first moment of the same parameter, as document 000's `state_dict` names it."""

SAID_AT_MOST = 300

Arrays = dict[str, tolerance.Array]


@dataclass(frozen=True)
class Loader:
    """One way to load; ``call`` is its name in ``harness.worker.checks.loaders``, ``roles`` what it reads.

    ``claim``: the claim its undamaged case decides, '' for a loader that no document names.

    ``legacy``: its files are written in legacy-IR mode. Paddle 3.3.1's predictor dies of an
    undamaged ``.json`` program in the older layout and in memory, which would hide the effect of damage.
    """

    name: str
    call: str
    layout: str
    roles: tuple[str, ...]
    claim: str
    legacy: bool = False


LOADERS = (
    Loader("paddle.load", "paddle.load-params", "checkpoint", ("params",), "000-save"),
    Loader("paddle.load", "paddle.load-optimizer", "checkpoint", ("optimizer",), "000-save"),
    Loader("Model.load", "Model.load", "checkpoint", ("params", "optimizer"), "003-load"),
    Loader("static.load", "static.load", "static.save", ("params",), ""),
    Loader("jit.load", "jit.load", "jit", ("program", "params"), "000-export"),
    Loader("load_inference_model", "static", "jit", ("program", "params"), "000-export"),
    Loader("load_inference_model", "static", "separate", ("parameter",), "002-separate-loads"),
    Loader("predictor", "predictor", "jit", ("program", "params"), "002-predictor"),
    Loader("predictor", "predictor", "separate", ("parameter",), "002-separate-loads", legacy=True),
    Loader(
        "predictor-memory", "predictor-memory", "jit", ("program", "params"), "002-predictor", legacy=True
    ),
)


NEVER_MISSING = {("predictor-memory", "program"), ("predictor-memory", "params"), ("Model.load", "optimizer")}
"""Loaders and roles whose file is never removed: the harness itself reads the files for in-memory loading,
and `Model.load` documents the optimizer's file as optional."""

CONTROLS = [
    pytest.param(
        loader,
        id=f"{loader.name}:{'+'.join(loader.roles)}",
        marks=[pytest.mark.claims(loader.claim)] if loader.claim else [],
    )
    for loader in LOADERS
]

DAMAGED = [
    pytest.param(loader, role, kind, id=f"{loader.name}:{role}:{kind}")
    for loader in LOADERS
    for role in loader.roles
    for kind in damages.DAMAGES
    if not (kind == "missing" and (loader.name, role) in NEVER_MISSING)
]


@dataclass(frozen=True)
class Files:
    """Copies of one artifact's files: the loader's arguments, and the path of each role."""

    given: dict[str, str]
    roles: dict[str, Path]
    payload: dict[str, bytes | None]
    """Bytes, by role, of the array whose exponent a bit flip hits; None for a program."""


def lay_out(executor: Executor, loader: Loader, folder: Path) -> Files:
    """Copy what the loader reads into ``folder``; the store's own files are never touched."""
    checkpoint = executor.builder.artifact("checkpoint", MODEL)
    values = executor.pool.call("checks.roundtrip.load_arrays", path=checkpoint.file("model.pdparams"))[
        WEIGHT
    ]
    weight = damages.payload_of(values)
    if loader.layout == "checkpoint":
        state = executor.pool.call("models.states.flat", path=checkpoint.file("model.pdopt"))
        shutil.copytree(checkpoint.path, folder)
        roles = {"params": folder / "model.pdparams", "optimizer": folder / "model.pdopt"}
        given = {role: str(path) for role, path in roles.items()} | {"prefix": str(folder / "model")}
        return Files(given, roles, {"params": weight, "optimizer": damages.payload_of(state[MOMENT])})
    if loader.layout == "static.save":
        # Made in place: no recipe writes these files, and they are small.
        folder.mkdir()
        prefix = str(folder / "model")
        executor.pool.call("checks.loaders.save_static", model=MODEL, weight=values, prefix=prefix)
        return Files({"prefix": prefix}, {"params": folder / "model.pdparams"}, {"params": weight})
    profile = "legacy-ir" if loader.legacy and executor.profile == "pir" else ""
    if loader.layout == "separate":
        shutil.copytree(
            executor.builder.artifact("separate", MODEL, profile).path / "separate_persistables", folder
        )
        given = {"folder": str(folder), "program": "__model__"}
        return Files(given, {"parameter": folder / damages.holder(folder, weight)}, {"parameter": weight})
    artifact = executor.builder.artifact("jit", MODEL, profile)
    shutil.copytree(artifact.path / "inference_model", folder)
    program, params = folder / Path(artifact.values["program"]).name, folder / "model.pdiparams"
    given = {
        "prefix": str(folder / "model"),
        "folder": str(folder),
        "program": program.name,
        "params": params.name if loader.call == "static" else str(params),
        "model": str(program),
    }
    return Files(given, {"program": program, "params": params}, {"program": None, "params": weight})


class Bench:
    """A worker that only this suite uses, so that damage to its process reaches no other check."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.undamaged: dict[Loader, Arrays] = {}
        self._stack = contextlib.ExitStack()
        self._worker: Worker | None = None
        examples = executor.pool.call(
            "training.loops.test_examples", model=MODEL, digits=str(executor.builder.digits)
        )
        self.feed: list[tolerance.Array] = [array[::EVERY] for array in examples["feed"]]
        self.scrambled = False

    def load(self, loader: Loader, files: Files) -> Arrays:
        """Return what the loader gives for the files.

        Raises:
            WorkerFailure: it raised, the process died, or no answer came in time.
        """
        found: Arrays = self._alive().call(
            "checks.loaders.load",
            DEADLINE_S,
            loader=loader.call,
            files=files.given,
            model=MODEL,
            feed=self.feed,
        )
        return found

    def _alive(self) -> Worker:
        if self._worker is None or not self._worker.alive:
            self._stack.close()
            # `fresh` starts the next worker in advance, so a crash costs no starting time.
            self._worker = self._stack.enter_context(self.executor.pool.fresh(self.executor.spec()))
            self._worker.call("protocol.environment.import_paddle", self.executor.pool.deadline)
            self.scrambled = self._worker.call("checks.loaders.scramble_memory", DEADLINE_S)
        return self._worker

    def expected(self, loader: Loader, folder: Path) -> Arrays:
        """Return what the undamaged files give in the run's ordinary worker, another process."""
        if loader not in self.undamaged:
            self.undamaged[loader] = self.executor.pool.call(
                "checks.loaders.load",
                loader=loader.call,
                files=lay_out(self.executor, loader, folder).given,
                model=MODEL,
                feed=self.feed,
            )
        return self.undamaged[loader]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def bench(executor: Executor) -> Iterator[Bench]:
    bench = Bench(executor)
    yield bench
    bench.close()


@pytest.mark.parametrize("loader", CONTROLS)
def test_undamaged_copy(case: Case, executor: Executor, bench: Bench, loader: Loader, tmp_path: Path) -> None:
    """Copies of the files give in another process, bit for bit, what the files themselves give."""
    expected = bench.expected(loader, tmp_path / "undamaged")
    bitwise_all(case, "copy", bench.load(loader, lay_out(executor, loader, tmp_path / "copy")), expected)
    case.exact("something was loaded", any(array.size for array in expected.values()), True)


@pytest.mark.parametrize(("loader", "role", "kind"), DAMAGED)
def test_damaged_file(
    case: Case, executor: Executor, bench: Bench, loader: Loader, role: str, kind: str, tmp_path: Path
) -> None:
    """A damaged file raises a Python exception that leaves the process usable, or it loads correctly."""
    expected = bench.expected(loader, tmp_path / "undamaged")
    files = lay_out(executor, loader, tmp_path / "damaged")
    damages.damage(files.roles[role], kind, files.payload[role])
    row = {"loader": loader.name, "format": role, "damage": kind, "behaviour": "", "message": ""}
    case.measures["corruption"] = row
    try:
        found = bench.load(loader, files)
    except RemoteError as error:
        row.update(behaviour="error", message=said(error.failure, tmp_path))
        note_refusal(case, error.failure, files.roles[role])
    except WorkerFailure as error:
        row.update(behaviour=behaviour(error), message=said(error.failure, tmp_path))
        raise
    else:
        wrong = differences(found, expected)
        row["behaviour"] = "silent wrong answer" if wrong else "loads unharmed"
        row["message"] = wrong
        if not bench.scrambled:
            case.notes.append(
                "this C library cannot overwrite memory: what was not read may be right by luck"
            )
        case.add(
            Comparison(
                what="loaded without complaint",
                rule="bitwise",
                ok=not wrong,
                elements=sum(array.size for array in expected.values()),
                got="other values than were saved" if wrong else "the values that were saved",
                expected="an exception, or the values that were saved",
                message=f"silent wrong answer: {wrong}" if wrong else "",
            )
        )
        return
    try:
        again = bench.load(loader, lay_out(executor, loader, tmp_path / "after"))
    except WorkerFailure as error:
        row.update(
            behaviour=behaviour(error),
            message=f"refused ({row['message']}), then the undamaged file: {said(error.failure, tmp_path)}",
        )
        raise
    bitwise_all(case, "undamaged copy loaded after the refusal", again, expected)


def behaviour(error: WorkerFailure) -> str:
    if isinstance(error, WorkerTimeout):
        return "timeout"
    return "crash" if isinstance(error, WorkerCrash) else "error"


def note_refusal(case: Case, failure: RemoteFailure, file: Path) -> None:
    """Count the refusal, and note what makes it hard to understand."""
    message = said(failure, file.parent.parent)
    case.add(
        Comparison(
            what="loading the damaged file",
            rule="exact",
            ok=True,
            elements=1,
            got=message,
            expected="a Python exception",
        )
    )
    if file.name not in failure.message and str(file.parent) not in failure.message:
        case.notes.append(f"the exception does not name the file: {message}")
    if ", in infer" in failure.traceback:
        case.notes.append("the file was loaded without complaint, and refused only when the model was run")


def said(failure: RemoteFailure, folder: Path) -> str:
    """Return the sentence of a failure: Paddle's summary, without the call stacks before it.

    The temporary folder becomes ``DIR``, so that two runs give the same text.
    """
    lines = [line.strip() for line in failure.message.splitlines() if line.strip()]
    summary = [index for index, line in enumerate(lines) if "Error Message Summary" in line]
    if summary:
        lines = [line for line in lines[summary[-1] + 1 :] if set(line) - {"-"}]
    elif lines and lines[0] == "In user code:":
        lines = [line for line in lines if not line.startswith(("In user code:", "File "))][-3:]
    text = f"{failure.type}: {' '.join(lines) or '(no message)'}"
    # An uncaught C++ exception gives its message only in the log.
    thrown = [line.strip() for line in failure.log_tail.splitlines() if line.strip().startswith("what():")]
    text = f"{text}; {thrown[-1]}" if thrown else text
    text = text.replace(str(folder), "DIR")
    return text if len(text) <= SAID_AT_MOST else text[: SAID_AT_MOST - 1] + "…"


def differences(found: Arrays, expected: Arrays) -> str:
    """Return in a sentence how loaded values differ from the saved ones; '' if they are bit-equal."""
    if list(found) != list(expected):
        lacking = [name for name in expected if name not in found]
        foreign = [
            f"{name} {array.item()}" if array.size == 1 else name
            for name, array in found.items()
            if name not in expected
        ]
        return (
            f"lacks {', '.join(lacking[:3]) or 'nothing'}; has instead {', '.join(foreign[:3]) or 'nothing'}"
        )
    held = [
        tolerance.bitwise(name, np.asarray(found[name]), expected[name], empty_ok=True) for name in expected
    ]
    wrong = [comparison for comparison in held if not comparison.ok]
    if not wrong:
        return ""
    first = wrong[0]
    where = f", worst at {first.worst}" if first.worst else ""
    return f"{len(wrong)} of {len(held)} arrays differ; {first.what}: {first.message}{where}"
