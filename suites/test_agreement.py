"""Dynamic graph, jit, static executor and predictor give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from harness.checks.case import Case, close_all, close_runs
from harness.checks.tolerance import Tolerance
from harness.execution.executor import Executor
from harness.targets.target import Target

pytestmark = pytest.mark.area("Runtimes agree on the same parameters", judges_targets=True)

SEQUENCE = ((1, 0), (1, 0), (3, 1), (8, 2), (2, 3), (1, 4), (1, 0))
"""(batch, seed) of each run in one session: a first run, the same again, other batch sizes with
other values, and the first once more. This shows a stale buffer and a shape frozen at the first run."""

ROWS, MOST_ROWS = 64, 1024
"""Rows of a run over what a user gave, and the most of them that are used."""

DIGITS = 500
"""Number of test rows that accuracy is measured on."""

ROUNDS = 5
"""Number of runs of each clone while the others run."""


def require(executor: Executor, target: Target) -> None:
    """End the case as not run, with the reason, where the target cannot run here."""
    reason = executor.not_applicable(target)
    if reason:
        pytest.skip(reason)


def feeds_of(executor: Executor, model: str) -> list[list[np.ndarray]]:
    return [executor.sample(model, batch, seed) for batch, seed in SEQUENCE]


def all_rows(case: Case, executor: Executor, model: str) -> list[tuple[int, int]]:
    """(batch, seed) of runs that cover the rows a user gave for the model, up to MOST_ROWS of them."""
    found = executor.builder.usable(model) if executor.models[model].form else None
    if found is None or not found.rows or len(found.batches) < 2:
        return []
    rows = min(found.rows, MOST_ROWS)
    case.measures["rows"] = {"given": found.rows, "used": rows}
    if rows < found.rows:
        case.notes.append(f"{rows:,} of the {found.rows:,} rows given were used")
    size = min(rows, ROWS)
    return [(size, seed) for seed in range(-(-rows // size))]


@pytest.mark.claims("002-formats", "002-predictor", "000-batch", "000-export")
def test_first_and_later_runs(case: Case, executor: Executor, model: str, target: Target) -> None:
    """Every run of a session, whatever its batch size, is as near the float64 oracle as dygraph is."""
    require(executor, target)
    sequence = [*SEQUENCE, *all_rows(case, executor, model)]
    feeds = [executor.sample(model, batch, seed) for batch, seed in sequence]
    oracle = executor.oracle(model, feeds)
    tolerances = executor.tolerances(model, feeds, target.storage)
    result = executor.execute(target, model, feeds)
    case.measures["describe"] = {k: v for k, v in result.describe.items() if k != "summary"}
    case.exact("number of runs", len(result.outputs), len(feeds))
    for run, ((batch, seed), outputs) in enumerate(zip(sequence, result.outputs, strict=True)):
        close_all(case, f"run {run + 1} (batch {batch}, seed {seed})", outputs, oracle[run], tolerances)
    for repeat in (1, len(SEQUENCE) - 1):
        for index, first in enumerate(result.outputs[0]):
            case.bitwise(
                f"run {repeat + 1} repeats run 1: output {index}", result.outputs[repeat][index], first
            )


@pytest.mark.brief(target=("predictor",))
@pytest.mark.claims("002-formats")
@pytest.mark.models(trained=True)
def test_accuracy_on_examples(case: Case, executor: Executor, model: str, target: Target) -> None:
    """On test examples every target reaches the stated accuracy and chooses the oracle's classes."""
    require(executor, target)
    examples = executor.pool.call(
        "training.loops.test_examples", model=model, digits=str(executor.builder.digits), limit=DIGITS
    )
    labels = examples["labels"]
    feeds = [[array[i : i + 100] for array in examples["feed"]] for i in range(0, len(labels), 100)]
    logits = np.concatenate([outputs[0] for outputs in executor.execute(target, model, feeds).outputs])
    oracle = np.concatenate([outputs[0] for outputs in executor.oracle(model, feeds)])
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    case.measures["accuracy"] = accuracy
    case.measures["accuracy_oracle"] = float((oracle.argmax(axis=1) == labels).mean())
    stated = executor.models[model].accuracy
    assert stated is not None
    case.at_least("accuracy", accuracy, stated)
    # A class may change only where the oracle itself is nearer to a tie than the allowed error.
    allowance = executor.tolerances(model, feeds, target.storage)[0]
    top = np.sort(oracle, axis=1)
    clear = top[:, -1] - top[:, -2] > 2 * allowance.largest
    least = 0.9 if target.storage == "float32" else 0.1
    case.at_least("share of rows that are no near-tie", float(clear.mean()), least)
    case.bitwise("classes chosen", logits.argmax(axis=1)[clear], oracle.argmax(axis=1)[clear])


@pytest.mark.claims("002-formats")
@pytest.mark.runs("static")
@pytest.mark.models(forms=())
def test_static_program_built_by_hand(case: Case, executor: Executor, model: str) -> None:
    """A program built in static graph mode and saved there gives what the dynamic graph gives."""
    feeds = feeds_of(executor, model)[:4]
    oracle, tolerances = executor.oracle(model, feeds), executor.tolerances(model, feeds)
    for runtime in ("static", "predictor"):
        result = executor.execute(Target(runtime, runtime), model, feeds, layout="static")
        close_runs(case, f"{runtime}, ", result.outputs, oracle, tolerances)


@pytest.mark.claims("002-predictor")
@pytest.mark.runs("predictor")
def test_clones_and_threads(case: Case, executor: Executor, model: str) -> None:
    """Clones of a predictor, run one by one and from several threads at once, give its outputs."""
    feeds = [executor.sample(model, 2, seed) for seed in range(4)]
    result = executor.pool.call(
        "checks.concurrency.clones",
        files=executor.builder.files(Target("p", "predictor"), model),
        model=model,
        feeds=feeds,
        rounds=ROUNDS,
    )
    made = [len(result[kind]) for kind in ("alone", "clones", "together")]
    case.exact("feeds run alone, by clones, and together", made, [len(feeds)] * 3)
    case.exact("rounds together", [len(outputs) for outputs in result["together"]], [ROUNDS] * len(feeds))
    for index, expected in enumerate(result["alone"]):
        for output, value in enumerate(expected):
            case.bitwise(
                f"clone {index}, one by one: output {output}", result["clones"][index][output], value
            )
            for number, outputs in enumerate(result["together"][index]):
                case.bitwise(
                    f"clone {index}, together, round {number}: output {output}", outputs[output], value
                )


@pytest.mark.claims("002-formats")
def test_oracle_against_numpy(case: Case, executor: Executor) -> None:
    """The float64 oracle equals a LeNet in NumPy and SciPy, which shares no kernel with Paddle."""
    from suites.support.lenet_numpy import lenet

    parameters = executor.pool.call(
        "checks.roundtrip.load_arrays",
        path=executor.builder.artifact("checkpoint", "lenet").file("model.pdparams"),
    )
    for seed in range(3):
        feed = executor.sample("lenet", 4, seed)
        expected = lenet({name: value.astype("float64") for name, value in parameters.items()}, feed[0])
        (oracle,) = executor.oracle("lenet", [feed])
        # No rounding is measured here: both are float64, so only the last digits may differ.
        case.close(
            f"seed {seed}", oracle[0], expected, Tolerance([expected], [expected], "float64", multiple=0.0)
        )
