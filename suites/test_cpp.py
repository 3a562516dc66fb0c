"""Document 002 §4: the C++ predictor gives the Python predictor's results, bit for bit.

Both run the same files in the same configuration on the same machine, so no rounding is allowed.
Both refuse what Paddle refuses, in the same words.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.checks.case import Case
from harness.core import statistics
from harness.execution.executor import Execution, Executor, Feed
from harness.pool.workers import RemoteError
from harness.targets.target import Target
from suites.test_agreement import feeds_of, require

PYTHON, CPP = Target("python", "predictor"), Target("cpp", "predictor_cpp")

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "onednn": {"onednn": True},
    "no-onednn": {"onednn": False},
    "threads2": {"threads": 2},
}

DTYPES = ("float32", "float64", "float16", "int64", "int32", "int8", "uint8", "bool")
"""Types that both an input of Paddle Inference and a NumPy array can have."""

BLOCKS, RUNS = 12, 6
"""Number of blocks in which the two take turns, and runs of each in a block."""

pytestmark = [
    pytest.mark.area("C++ predictor", runtime=True),
    pytest.mark.claims("002-cpp"),
    pytest.mark.runs("predictor_cpp"),
]


def both(
    executor: Executor,
    options: Mapping[str, Any],
    model: str,
    feeds: list[Feed],
    files: Mapping[str, str] | None = None,
) -> tuple[Execution, Execution]:
    """Run the feeds on the C++ predictor and on the Python one, with the same options."""
    cpp, python = (Target(t.name, t.runtime, dict(options)) for t in (CPP, PYTHON))
    require(executor, cpp)
    return tuple(executor.execute(target, model, feeds, files=files) for target in (cpp, python))  # type: ignore[return-value]


def same(case: Case, what: str, cpp: Execution, python: Execution) -> None:
    """Demand the same number of runs, and in each the same outputs bit for bit."""
    case.exact(f"{what}number of runs", len(cpp.outputs), len(python.outputs))
    for run, (got, expected) in enumerate(zip(cpp.outputs, python.outputs, strict=False), start=1):
        case.exact(f"{what}run {run}: number of outputs", len(got), len(expected))
        for index, value in enumerate(expected):
            found = got[index] if index < len(got) else None
            case.bitwise(f"{what}run {run}: output {index}", found, value)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_bits(case: Case, executor: Executor, model: str, configuration: str) -> None:
    """Every run, whatever its batch size, gives the Python predictor's outputs bit for bit."""
    cpp, python = both(executor, CONFIGURATIONS[configuration], model, feeds_of(executor, model))
    same(case, "", cpp, python)
    summary = python.describe["summary"]
    if not Path(summary.get("params_file", "")).exists():
        # A program without parameters has no parameter file; Python's predictor gets a name for it anyway.
        summary = {**summary, "params_file": ""}
    case.exact("configuration read back", cpp.describe["summary"], summary)
    case.exact("names of the inputs", cpp.describe["inputs"], python.describe["inputs"])
    commit = dict(line.split(": ", 1) for line in cpp.describe["library"])["commit"]
    case.exact("commit of the library", commit, executor.environment["paddle"]["commit"][: len(commit)])


@pytest.mark.parametrize("layout", ["combined", "separate"])
def test_older_files(case: Case, executor: Executor, model: str, layout: str) -> None:
    """A `.pdmodel`, with its parameters in one file and with one file each, gives Python's bits too."""
    profile = "legacy-ir" if executor.profile == "pir" else ""
    require(executor, CPP)
    files = executor.builder.files(Target("older", "predictor", profile=profile), model, layout)
    cpp, python = both(executor, {}, model, feeds_of(executor, model)[:5], files)
    same(case, "", cpp, python)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype(case: Case, executor: Executor, tmp_path: Path, dtype: str) -> None:
    """Inputs of every type arrive and come back unchanged, as they do in Python."""
    require(executor, CPP)
    files = executor.pool.call("cpp.echo.save", dtype=dtype, prefix=str(tmp_path / "echo"))
    rng = np.random.default_rng(7)
    feeds = [[rng.uniform(-100, 100, size=(rows, 3)).astype(dtype)] for rows in (2, 5)]
    cpp, python = both(executor, {}, "lenet", feeds, files)  # whose one input has the same name
    same(case, "", cpp, python)
    for run, feed in enumerate(feeds):
        case.bitwise(f"run {run + 1}: what was put in", cpp.outputs[run][0], feed[0].reshape(-1))


# By hand


def copied(executor: Executor, folder: Path, model: str = "lenet") -> dict[str, str]:
    """Copy a model's program and parameters; return the paths of the copies."""
    files = executor.builder.files(PYTHON, model)
    return {role: shutil.copy(files[role], folder) for role in ("model", "params")}


def arguments(folder: Path, files: Mapping[str, str], feed: Mapping[str, Any]) -> list[str]:
    """Write the inputs next to the files, and return the command line for both."""
    found = ["--model", files["model"], "--params", files["params"]]
    for index, (name, array) in enumerate(feed.items()):
        path = folder / f"input-{index}.npy"
        path.write_bytes(array) if isinstance(array, bytes) else np.save(path, array)
        found += ["--input", f"{name}={path}"]
    return found


def by_hand(executor: Executor, given: list[str]) -> dict[str, Any]:
    """Call the program as a user does; return its exit status and output."""
    ended: dict[str, Any] = executor.pool.call("cpp.program.run", arguments=given)
    return ended


@pytest.mark.brief
@pytest.mark.parametrize("model", ["lenet", "two_inputs"])
def test_by_hand(case: Case, executor: Executor, tmp_path: Path, model: str) -> None:
    """Called by hand, the program writes every output with Python's bits, and prints how long runs took."""
    require(executor, CPP)
    feed = executor.sample(model, 3)
    names = [spec[0] for spec in executor.models[model].inputs]
    given = arguments(tmp_path, copied(executor, tmp_path, model), dict(zip(names, feed, strict=True)))
    given += ["--warmup", "2", "--repeat", "3"]
    written = by_hand(executor, [*given, "--output", str(tmp_path)])
    printed = by_hand(executor, given)
    (expected,) = executor.execute(PYTHON, model, [feed]).outputs
    case.exact("exit status", [written["status"], printed["status"]], [0, 0])
    files = sorted(path.name for path in tmp_path.glob("output-*.npy"))
    case.exact("files written", files, [f"output-{index}.npy" for index in range(len(expected))])
    for index, (file, value) in enumerate(zip(files, expected, strict=False)):
        case.bitwise(f"output {index}", np.load(tmp_path / file), value)
    for what, ended in (("written", written), ("printed", printed)):
        case.exact(f"{what}: runs timed", "3 runs: median " in ended["out"], True)
    first = " ".join(f"{value:.9g}" for value in expected[0].reshape(-1)[:10])
    case.exact("first values printed", f" {first}" in printed["out"], True)


@pytest.mark.brief
@pytest.mark.parametrize("model", ["lenet", "two_inputs"])
def test_declared_inputs(case: Case, executor: Executor, model: str) -> None:
    """The library reports the type and shape that each input was exported with."""
    require(executor, CPP)
    files = executor.builder.files(PYTHON, model)
    ended = by_hand(executor, ["--model", files["model"], "--params", files["params"], "--describe"])
    case.exact("exit status", ended["status"], 0)
    wanted = [
        f"{name} takes {dtype} [{', '.join(str(-1 if size is None else size) for size in shape)}]"
        for name, shape, dtype in executor.models[model].inputs
    ]
    case.exact(
        "inputs", sorted(line for line in ended["out"].splitlines() if " takes " in line), sorted(wanted)
    )


@dataclass(frozen=True)
class Refusal:
    """A mistake, and what the program says about it (empty: what the Python predictor says)."""

    spoil: Callable[[dict[str, str], dict[str, Any]], None]
    says: str = ""


def cut(path: str) -> None:
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


REFUSALS = {
    "missing-program": Refusal(lambda files, feed: Path(files["model"]).unlink(), "cannot read {model}: "),
    "missing-params": Refusal(lambda files, feed: Path(files["params"]).unlink(), "cannot read {params}: "),
    "truncated-params": Refusal(lambda files, feed: cut(files["params"])),
    "unknown-input": Refusal(lambda files, feed: feed.update(y=feed.pop("x")), "no input 'y'; there is: x"),
    "no-input": Refusal(lambda files, feed: feed.clear(), "input 'x' is given 0 times; needed: x"),
    "no-npy": Refusal(lambda files, feed: feed.update(x=b"1, 2, 3, 4, 5"), "is no .npy file"),
    "cut-npy": Refusal(
        lambda files, feed: feed.update(x=b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'"), "is cut off"
    ),
    "complex": Refusal(lambda files, feed: feed.update(x=feed["x"] * 1j), "which no input can take"),
    "int64": Refusal(lambda files, feed: feed.update(x=feed["x"].astype("int64"))),
    "rank": Refusal(lambda files, feed: feed.update(x=feed["x"].reshape(2, 784))),
    "channels": Refusal(lambda files, feed: feed.update(x=feed["x"].repeat(3, axis=1))),
}


def python_message(executor: Executor, files: Mapping[str, str], feed: Feed) -> str:
    """Return what the Python predictor says when it refuses; '' where it does not."""
    try:
        executor.execute(PYTHON, "lenet", [feed], files=files)
    except RemoteError as error:
        return " ".join(error.failure.message.split())
    return ""


@pytest.mark.brief
@pytest.mark.parametrize("kind", REFUSALS)
def test_refusal(case: Case, executor: Executor, tmp_path: Path, kind: str) -> None:
    """A bad file or input ends with status 1 and a message, in Paddle's words where Paddle refuses it."""
    require(executor, CPP)
    files, feed = copied(executor, tmp_path), {"x": executor.sample("lenet", 2)[0]}
    refusal = REFUSALS[kind]
    refusal.spoil(files, feed)
    says = refusal.says.format(**files) or python_message(executor, files, list(feed.values()))
    ended = by_hand(executor, arguments(tmp_path, files, feed))
    case.exact("exit status", ended["status"], 1)
    case.exact("something is said", bool(says), True)
    message = " ".join(ended["err"].split())
    case.exact(f"{message[:300]!r} says {says!r}", says in message, True)


@pytest.mark.parametrize("kind", ["int64", "rank", "channels"])
def test_later_run(case: Case, executor: Executor, kind: str) -> None:
    """After an input that Paddle refused, the same predictor runs as before."""
    require(executor, CPP)
    good, bad = {"x": executor.sample("lenet", 2)[0]}, {"x": executor.sample("lenet", 2)[0]}
    REFUSALS[kind].spoil({}, bad)
    opened = executor.pool.call(
        "runtimes.open_session",
        runtime=CPP.runtime,
        files=executor.builder.files(PYTHON, "lenet"),
        model="lenet",
        options={},
    )
    refused = False
    runs: list[Feed] = []
    try:
        for feed in (good, bad, good):
            try:
                (run,) = executor.pool.call(
                    "runtimes.infer", session=opened["session"], feeds=[list(feed.values())]
                )
                runs.append(run)
            except RemoteError:
                refused = True
    finally:
        executor.pool.call("runtimes.close_session", session=opened["session"])
    case.exact("it was refused", refused, True)
    case.exact("runs besides", len(runs), 2)
    for index, value in enumerate(runs[0]):
        case.bitwise(f"afterwards: output {index}", runs[-1][index], value)


WRONG = {
    "unknown": (["--modle", "x"], "unknown argument '--modle': see --help"),
    "no-model": ([], "name the model"),
    "two-models": (["--folder", "f", "--params", "p"], "--params is for --model"),
    "no-value": (["--model"], "--model takes a value"),
    "number": (["--threads", "two"], "--threads takes a whole number from 1, not 'two'"),
    "switch": (["--onednn", "maybe"], "--onednn takes on or off, not 'maybe'"),
    "input": (["--input", "x.npy"], "--input takes NAME=FILE.npy, not 'x.npy'"),
}


@pytest.mark.brief
@pytest.mark.parametrize("kind", WRONG)
def test_wrong_arguments(case: Case, executor: Executor, kind: str) -> None:
    """A wrong command line ends with status 2 and one sentence that says what is wrong."""
    require(executor, CPP)
    given, says = WRONG[kind]
    ended = by_hand(executor, given)
    case.exact("exit status", ended["status"], 2)
    case.exact("lines on either stream", [len(ended[name].splitlines()) for name in ("out", "err")], [0, 1])
    case.exact(f"{ended['err']!r} says {says!r}", says in ended["err"], True)


@pytest.mark.brief
def test_usage(case: Case, executor: Executor) -> None:
    """`--help` names every argument that the harness uses, and ends with status 0."""
    require(executor, CPP)
    switches = ("onednn", "bfloat16", "int8", "ir_optim", "memory_optim", "log")
    paths = executor.builder.files(PYTHON, "lenet")
    used: set[str] = set()
    for files in ({"folder": paths["folder"]}, {"model": paths["model"], "params": paths["params"]}):
        given = executor.pool.call(
            "runtimes.predictor_cpp.arguments", files=files, options=dict.fromkeys(switches, True)
        )
        used |= {word for word in given if word.startswith("--")}
    ended = by_hand(executor, ["--help"])
    case.exact("exit status", ended["status"], 0)
    case.exact("first word", ended["out"].split()[:1], ["usage:"])
    case.exact("arguments it does not name", sorted(flag for flag in used if flag not in ended["out"]), [])


@pytest.mark.timing
@pytest.mark.brief(model=("lenet",))
@pytest.mark.models(trained=True)
def test_latency(case: Case, executor: Executor, model: str) -> None:
    """C++ and Python run one feed in turns: each one's clock measures its latency."""
    require(executor, CPP)
    feed = executor.sample(model, 1)
    files, sessions = executor.builder.files(PYTHON, model), []
    try:
        for target in (PYTHON, CPP):
            opened = executor.pool.call(
                "runtimes.open_session", runtime=target.runtime, files=files, model=model, options={}
            )
            sessions.append(opened["session"])
            executor.pool.call("checks.timing.block", session=sessions[-1], feed=feed, runs=RUNS)
        python, cpp = executor.pool.call(
            "checks.timing.paired", sessions=sessions, feed=feed, blocks=BLOCKS, runs=RUNS
        )
        started = time.perf_counter()
        last = [
            executor.pool.call("checks.timing.block", session=s, feed=feed, runs=RUNS)
            for s in reversed(sessions)
        ]
        wall = time.perf_counter() - started
    finally:
        for session in sessions:
            executor.pool.call("runtimes.close_session", session=session)
    case.exact("blocks timed", [len(cpp), len(python)], [BLOCKS, BLOCKS])
    case.exact("blocks that took no time", sum(not seconds > 0 for seconds in (*cpp, *python)), 0)
    timed = sum(last[0]["seconds"]) + sum(last[1]["seconds"])
    case.at_most("share of the time that passed which the clocks tell of", timed / wall, 1.0)
    for index, value in enumerate(last[1]["outputs"]):
        case.bitwise(f"output {index} while timed", last[0]["outputs"][index], value)
    ratios = [a / b for a, b in zip(cpp, python, strict=False)]
    low, high = statistics.median_interval(ratios)
    case.measures["cpp_over_python"] = {
        "cpp_us": float(np.median(cpp)) * 1e6,
        "python_us": float(np.median(python)) * 1e6,
        "ratio": float(np.median(ratios)),
        "low": low,
        "high": high,
    }
