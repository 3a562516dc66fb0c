"""The hunt: networks are valid, injected bugs are found and named, and nothing is found where nothing is."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from harness.cli.fuzz import Focus
from harness.core.paths import ROOT
from harness.fuzz import judge as judging
from harness.fuzz import releases, script, verdict
from harness.fuzz.counterfactuals import channels_first, unclipped
from harness.fuzz.cross_version import CrossVersion
from harness.fuzz.examine import CALL, examine
from harness.fuzz.findings import Finding, Notebook, explains
from harness.fuzz.fuzzer import Fuzzer
from harness.fuzz.judge import judge
from harness.fuzz.known import KNOWN, explained, lasts
from harness.fuzz.localise import first_operator, guilty_passes
from harness.fuzz.reduce import reduce
from harness.fuzz.releases import Tried
from harness.fuzz.strategies import MOST_OPERATORS, networks
from harness.fuzz.verdict import Failure, Verdict, folded
from harness.pool.workers import WorkerPool
from suites.support.generated import findings

EXPORTS = {"dynamic": True, "equivariant": True}
LINEAR = {
    "op": "linear_no_bias",
    "attrs": {},
    "params": {"weight": {"shape": [4, 4], "kind": "normal", "seed": 2}},
}


def network(*ops: str, shape: tuple[int, ...] = (4,)) -> dict[str, Any]:
    """A chain of operators on one input of ``shape``."""
    nodes = [
        {**(LINEAR if op == "linear_no_bias" else {"op": op, "attrs": {}}), "inputs": [place],
         "gives": {"tail": list(shape), "dtype": "float32", "batched": True}}
        for place, op in enumerate(ops)
    ]  # fmt: skip
    inputs = [{"shape": [2, *shape], "dtype": "float32", "kind": "normal", "seed": 1}]
    return {**EXPORTS, "inputs": inputs, "nodes": nodes, "outputs": [len(ops)]}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    """One process for the tests that put no bug into it."""
    if importlib.util.find_spec("paddle") is None:
        pytest.skip(f"{sys.executable} has no Paddle: install the paddle extra")
    made = WorkerPool(tmp_path_factory.mktemp("untouched"), sys.executable, 60)
    yield made
    made.close()


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    if importlib.util.find_spec("paddle") is None:
        pytest.skip(f"{sys.executable} has no Paddle: install the paddle extra")
    made = WorkerPool(tmp_path / "logs", sys.executable, 60)
    yield made
    made.close()


# Composing


@seeded(4)
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck),
          phases=[Phase.generate])  # fmt: skip
@given(networks())
def test_networks_are_closed(network: dict[str, Any]) -> None:
    """Every node reads what comes before it, every value is needed, and operators are the worker's."""
    first = len(network["inputs"])
    count = first + len(network["nodes"])
    assert first
    assert count - first <= MOST_OPERATORS + 3
    used = set(network["outputs"])
    for place, node in enumerate(network["nodes"], first):
        assert all(index < place for index in node["inputs"])
        assert node["op"] in templates()
        used |= set(node["inputs"])
    assert used == set(range(count))


def templates() -> set[str]:
    """Names of the operators that the worker can write: read from its source, which imports no paddle."""
    spec = importlib.util.spec_from_file_location(
        "far_operators", ROOT / "harness/worker/checks/generated/operators.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return set(module.TEMPLATES)


# Judging


def answer(got: np.ndarray, oracle: np.ndarray, moved: np.ndarray | None = None) -> dict[str, Any]:
    moves = oracle * (1 + 1e-7) if moved is None else moved
    runs = [[got], [got]]
    return {"oracle": [[oracle]], "moved": [[[moves]]], "stages": {"dygraph": {"runs": runs}}}


def test_a_wrong_value_is_a_failure_and_a_rounding_is_none() -> None:
    oracle = np.linspace(1.0, 2.0, 6)
    right = oracle.astype("float32")
    assert not judge(answer(right, oracle)).failures
    wrong = right.copy()
    wrong[3] += 1e-4
    (failure,) = judge(answer(wrong, oracle)).failures
    assert (failure.outcome, failure.stage) == ("fail", "dygraph")


def test_what_the_oracle_cannot_decide_is_not_judged() -> None:
    oracle = np.array([1.0, 2.0])
    assert judge(answer(np.array([1.0, 5.0], "float32"), oracle, oracle + np.array([0.0, 3.0]))).meaningless
    assert judge(answer(np.array([1.0, 5.0], "float32"), np.array([1.0, np.inf]))).meaningless
    tie = judge(answer(np.array([1, 0]), np.array([0, 1]), np.array([1, 0])))
    assert not tie.failures
    assert not tie.compared


def test_other_shapes_dtypes_and_later_runs_are_failures() -> None:
    oracle = np.ones((2, 3))
    for got in (np.ones((2, 1), "float32"), np.ones((2, 3), "float16")):
        assert judge(answer(got, oracle)).failures
    changed = answer(np.ones((2, 3), "float32"), oracle)
    changed["stages"]["dygraph"]["runs"][1] = [np.full((2, 3), 1 + 2**-20, "float32")]
    assert any("second run" in failure.message for failure in judge(changed).failures)


def test_what_every_reader_of_a_program_gets_wrong_is_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = np.ones((2, 3))
    found = answer(np.ones((2, 3), "float32"), oracle)
    wrong = {"runs": [[np.zeros((2, 3), "float32")]] * 2}
    found["stages"].update(jit=wrong, static=wrong)
    first = judge(found).first
    assert first is not None
    assert first.stage == "export"


def test_what_a_plainer_stage_does_too_is_that_stages() -> None:
    oracle = np.ones((2, 3))
    found = answer(np.ones((2, 3), "float32"), oracle)
    right, wrong = ({"runs": [[np.full((2, 3), value, "float32")]] * 2} for value in (1, 0))
    found["stages"].update({"jit": right, "predictor": wrong, "predictor-memory": wrong, "folded": wrong})
    assert [failure.stage for failure in judge(found).failures] == ["predictor"]
    found["stages"]["predictor"] = right
    assert [failure.stage for failure in judge(found).failures] == ["predictor-memory", "folded"]


def test_a_restored_network_is_held_to_bits() -> None:
    oracle = np.ones((2, 3))
    found = answer(np.ones((2, 3), "float32"), oracle)
    found["stages"]["restored"] = {"runs": [[np.full((2, 3), 1 + 2**-23, "float32")]] * 2}
    (failure,) = judge(found).failures
    assert (failure.stage, failure.message) == ("restored", judging.OTHER_BITS)


def test_bfloat16_is_held_to_roundings_of_bfloat16() -> None:
    oracle = np.linspace(1.0, 2.0, 6)
    found = answer(oracle.astype("float32"), oracle)
    found["coarse"] = [[[oracle * (1 + 2.0**-8)]]]
    for off, failures in ((2.0**-8, 0), (0.1, 1)):
        run = [(oracle * (1 + off)).astype("float32")]
        found["stages"]["predictor-bf16"] = {"runs": [run, run]}
        assert len(judge(found).failures) == failures


def test_messages_fold_to_what_they_have_in_common() -> None:
    one = "(InvalidArgument) at 0x7f: got [2, 3] of /run/a1/model.json"
    other = "(InvalidArgument) at 0x9a: got [5] of /run/b2/model.json"
    assert folded(one) == folded(other)


def test_a_known_finding_explains_its_operators_only() -> None:
    failure = Failure("fail", "predictor", "largest error is 3 times the allowed one")
    known = Finding("3.3.1", failure, network("relu", "tanh"), "tanh")
    assert explains(known, failure, ("relu", "softmax", "tanh"))
    assert not explains(known, failure, ("relu", "softmax"))
    assert not explains(known, failure, ())


def test_the_plain_data_shrinks_to_what_fails() -> None:
    large = network("relu", "tanh", "abs", "softsign", "silu")
    found = reduce(large, lambda small: any(node["op"] == "abs" for node in small["nodes"]))
    assert [node["op"] for node in found["nodes"]] == ["abs"]


def test_the_notebook_is_read_again(tmp_path: Path) -> None:
    book = Notebook(tmp_path)
    finding = Finding("3.3.1", Failure("error", "jit", "no"), network("relu"))
    assert book.fold(finding)
    assert not book.fold(finding)
    book.used(7)
    again = Notebook(tmp_path)
    assert [known.seen for known in again.findings] == [2]
    assert again.seeds == [7]


# Hunting

INJECTED = [
    ("layer", ("tanh", "relu", "softsign"), "dygraph", "relu"),
    ("export", ("abs", "tanh", "softsign"), "export", "tanh"),
    ("loader", ("abs", "linear_no_bias", "softsign"), "jit", "linear_no_bias"),
    ("executor", ("abs", "softsign"), "static", "abs"),
    ("second run", ("abs", "softsign"), "predictor-no-ir", "abs"),
    ("restoring", ("abs", "linear_no_bias", "softsign"), "restored", "linear_no_bias"),
    ("pass", ("abs", "linear_no_bias", "softsign"), "predictor-no-onednn", "linear_no_bias"),
]


@pytest.mark.parametrize(("bug", "ops", "stage", "operator"), INJECTED, ids=[row[0] for row in INJECTED])
def test_an_injected_bug_is_found_and_named(
    pool: WorkerPool, bug: str, ops: tuple[str, ...], stage: str, operator: str
) -> None:
    whole = network(*ops)
    assert not examine(pool, whole).failures
    pool.call("checks.generated.sabotage.inject", bug=bug)
    failure = examine(pool, whole).first
    assert failure is not None
    assert (failure.outcome, failure.stage) == ("fail", stage)
    assert first_operator(pool, whole, failure)[0] == operator


def test_the_pass_that_corrupts_is_named(pool: WorkerPool) -> None:
    """Of the passes that the predictor's own log names, each taken out by itself."""
    whole = network("linear_no_bias")
    pool.call("checks.generated.sabotage.inject", bug="pass")
    failure = Failure("fail", "predictor-no-onednn", "largest error is 9 times the allowed one")
    assert guilty_passes(pool, whole, failure) == ("constant_folding_pass",)


class Fatal(WorkerPool):
    """Every process of this pool dies of networks with a sine."""

    def call(self, name: str, /, **given: Any) -> Any:
        if name == CALL and any(node["op"] == "sin" for node in given["network"]["nodes"]):
            return super().call("checks.generated.sabotage.run", bug="crash", **given)
        return super().call(name, **given)


def test_a_crash_costs_one_worker_and_is_a_finding(pool: WorkerPool, tmp_path: Path) -> None:
    fatal = Fatal(tmp_path / "fatal", pool.default.python, 60)
    fuzzer = Fuzzer("here", fatal, Notebook(tmp_path / "notes"), focus="predictor")
    fuzzer._look(network("relu"))
    with pytest.raises(AssertionError, match="SIGSEGV"):
        fuzzer._look(network("sin"))
    failure = fuzzer._round.failure
    assert failure is not None
    assert (failure.outcome, failure.stage) == ("crash", "predictor-no-ir")
    fuzzer._round.key = None
    fuzzer._look(network("relu"))
    assert fuzzer.tally.networks == 3
    assert fatal.replaced == 1
    fatal.close()


def test_what_another_release_wrote_is_read(pool: WorkerPool, tmp_path: Path) -> None:
    """A bug in both releases is no fault of reading; one in the reader alone is."""
    reader = WorkerPool(tmp_path / "reader", sys.executable, 60)
    crossing = CrossVersion(tmp_path / "crossing", pool, reader)
    try:
        whole, stages = network("abs", "linear_no_bias"), ["dygraph", "jit", "static"]
        assert examine(crossing, whole, stages).compared
        reader.call("checks.generated.sabotage.inject", bug="loader")
        (failure,) = examine(crossing, whole, stages).failures
        assert (failure.outcome, failure.stage) == ("fail", "jit")
        pool.call("checks.generated.sabotage.inject", bug="loader")
        assert not examine(crossing, whole, stages).failures
        finding = Finding("old to new", failure, whole, "linear_no_bias")
        file = tmp_path / "finding.py"
        file.write_text(script.write(crossing, finding))
        for _ in range(2):
            done = subprocess.run([sys.executable, str(file), str(tmp_path / "files")], check=False)
            assert done.returncode == 0
    finally:
        reader.close()


def test_a_kept_finding_is_known_again(untouched: WorkerPool) -> None:
    """Where this Paddle has the fault, it is recognised without being shrunk."""
    for name, kept in findings().items():
        failures = examine(untouched, kept).failures
        names = explained(untouched, kept, failures)
        # 3.3 refuses to interpolate at all.
        assert set(names.values()) <= {name, "predictor-interpolate-by-a-factor"}
        assert set(names) == {failure.key for failure in failures}


@pytest.mark.slow
def test_a_hunt_finds_shrinks_and_writes_an_injected_bug(pool: WorkerPool, tmp_path: Path) -> None:
    """The network is Hypothesis's own; the script it ends in is plain Paddle, and passes where no bug is."""
    pool.call("checks.generated.sabotage.inject", bug="export")
    fuzzer = Fuzzer("here", pool, Notebook(tmp_path / "notes"), focus="jit", shrinking_s=20)
    for round_ in range(10):
        found = [f for f in fuzzer.hunt(2, 1 + round_, 40) if "tanh" in f.operators]
        fuzzer.tally.networks = 0
        if found:
            break
    assert found
    assert found[0].operator == "tanh"
    text = script.write(pool, found[0])
    names = {node.names[0].name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)}
    assert names <= {"os", "sys", "tempfile", "numpy", "paddle", "paddle.nn.functional"}
    file = tmp_path / "finding.py"
    file.write_text(text)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "expected" in done.stdout


def test_a_rounding_of_one_is_no_failure_of_elu(untouched: WorkerPool) -> None:
    """Near zero `exp(x) - 1` has no more right digits than 1 has there."""
    tiny = network("multiply_scalar", "elu")
    tiny["nodes"][0]["attrs"] = {"value": 1e-4}
    tiny["nodes"][1]["attrs"] = {"alpha": 1.0}
    verdict = examine(untouched, tiny)
    assert not verdict.failures
    assert verdict.compared


def test_every_stage_of_the_focus_exists() -> None:
    assert all(set(stages) <= set(verdict.STAGES) for stages in verdict.FOCUS.values())
    assert set(get_args(Focus)) == {"all", *verdict.FOCUS}


def test_every_known_finding_has_its_script() -> None:
    assert {known.name for known in KNOWN} == set(findings())


def test_a_network_without_a_trigger_computes_the_same(untouched: WorkerPool) -> None:
    whole = network("conv2d_no_bias", "log_softmax", "abs", shape=(4, 3, 4))
    whole["nodes"][0] = {
        **whole["nodes"][0],
        "params": {"weight": {"shape": [4, 4, 1, 1], "kind": "normal", "seed": 2}},
        "attrs": {
            "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "layout": "NHWC",
        },
    }  # fmt: skip
    whole["nodes"][1]["attrs"] = {"axis": 1}
    other = channels_first(whole)
    assert other is not None
    assert channels_first(other) is None
    other = unclipped(other)
    assert other is not None
    given = {"batches": [2], "draws": 0, "stages": ["dygraph"]}
    one, two = (untouched.call(CALL, network=each, **given)["oracle"][0][0] for each in (whole, other))
    np.testing.assert_allclose(one, two, rtol=1e-12)


def test_what_paddle_answers_differently_is_not_laid_on_the_hunt(tmp_path: Path) -> None:
    """Two verdicts differ: by a known fault that reads what memory held it is counted, else kept."""
    fuzzer = Fuzzer("here", WorkerPool(tmp_path, sys.executable, 60), Notebook(tmp_path / "notes"))
    wrong = Verdict((Failure("fail", "predictor", "largest error is 9 times the allowed one"),))
    garbage = findings()["predictor-prelu-of-a-flattened-value"]
    fuzzer._differs(garbage, Verdict(), wrong)
    assert fuzzer.tally.unsteady == {"predictor-prelu-of-a-flattened-value": 1}
    assert not fuzzer.tally.differed
    of_jit = Verdict((Failure("fail", "jit", "largest error is 9 times the allowed one"),))
    fuzzer._differs(garbage, Verdict(), of_jit)
    fuzzer._differs(network("relu"), Verdict(), wrong)
    assert len(fuzzer.tally.differed) == 2


def test_a_process_that_a_fault_outlasts_is_told() -> None:
    assert {name for name, kept in findings().items() if lasts(kept)} == {
        "predictor-prelu-of-a-flattened-value"
    }


# Between releases


def test_releases_that_are_alike_are_one_part_of_the_sentence() -> None:
    tried = [
        Tried("2.6.2", "good"),
        Tried("3.0.0", "bad", "wrong answer"),
        Tried("3.1.0", "bad", "wrong answer"),
        Tried("3.2.0", "bad", "ValueError: no"),
    ]
    assert releases.sentence(tried) == ("2.6.2: right; 3.0.0 to 3.1.0: wrong answer; 3.2.0: ValueError: no")
    assert releases.changes(tried) == [("2.6.2", "3.0.0")]
