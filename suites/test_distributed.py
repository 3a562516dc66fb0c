"""Document 004's training by several processes: DataParallel over gloo, and over nccl on GPUs."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from harness.checks.case import Case, bitwise_all
from harness.checks.tolerance import Tolerance
from harness.execution.executor import Executor

pytestmark = [pytest.mark.area("Training by several processes", runtime=True), pytest.mark.runs("training")]

DEVICES = {"gloo": "cpu", "nccl": "gpu"}
RANKS = 2
LAST = "epoch-2"
HALF = "epoch-1"
PER_EPOCH = 8
KILLED = PER_EPOCH + 2
"""A step of the second epoch: there is one checkpoint by then."""

ORDERS = (0, 1, 7, 30)
"""Orders of the rows inside a batch: the single process's float32 sums then differ by rounding alone."""

ROUNDING = 1e-4
"""Most that rounding may move a loss by after sixteen steps; about 1e-6 is measured."""

FAILED = re.compile(r"Container rank \d+ status failed")

GPUS = {
    "as written": {"CUDA_VISIBLE_DEVICES": "0,1,2,3"},
    "without the export": {},
}


def require_backend(executor: Executor, backend: str) -> None:
    """End the case as not run, with the reason, where no job with this backend can run here."""
    reason = executor.pool.call("training.distributed.available", backend=backend)
    if reason:
        pytest.skip(reason)


def stored(executor: Executor, backend: str = "gloo", optimizer: str = "Momentum") -> dict[str, Any]:
    """Return the results of the recipe's job of two processes, and the folder of its checkpoints."""
    made = executor.builder.artifact("data_parallel", "lenet", optimizer=optimizer, device=DEVICES[backend])
    left = executor.pool.call("training.data_parallel.training.read", folder=str(made.path))
    return {**left, "left": made.values["left"], "folder": made.path}


def job(executor: Executor, config: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Run a job now; return its results."""
    done: dict[str, Any] = executor.pool.call(
        "training.distributed.run", digits=str(executor.builder.digits), config=config, **more
    )
    return done


def alone(executor: Executor, **config: Any) -> dict[str, Any]:
    """Run the same training in one process, whose batches are those of all ranks together."""
    done: dict[str, Any] = executor.pool.call(
        "training.data_parallel.training.alone", digits=str(executor.builder.digits), **config
    )
    return done


def mean_loss(ranks: list[dict[str, Any]]) -> np.ndarray:
    """Return the loss of each step's whole batch: the mean of the ranks' losses."""
    return np.mean([rank["losses"].astype("float64") for rank in ranks], axis=0)


def parameters(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state's parameters: Paddle 2.6's optimizer shows loaded values only after its first step."""
    return {name: value for name, value in state.items() if name.startswith("network/")}


def compare_training(
    case: Case, executor: Executor, what: str, got: dict[str, Any], optimizer: str, first: int
) -> None:
    """Compare losses from step ``first`` on and the final state with the float64 training of one process.

    They may be off by the usual multiple of one process's float32 error.
    """
    truth = alone(executor, optimizer=optimizer, dtype="float64")
    float32 = [alone(executor, optimizer=optimizer, sum_order=order) for order in ORDERS]
    # A tolerance that was measured on another training would allow anything.
    worst = max(float(np.abs(run["losses"] - truth["losses"]).max()) for run in float32)
    case.at_most(f"{what}: what one process is off by in float32", worst, ROUNDING)
    curve = Tolerance([run["losses"] for run in float32], [truth["losses"]] * len(float32))
    case.close(f"{what}: loss curve", got["losses"], truth["losses"][first:], curve)
    names = [name for name, value in truth[LAST].items() if np.issubdtype(value.dtype, np.floating)]
    case.exact(f"{what}: names of the final state", [n for n in got[LAST] if n in names], names)
    for name in names:
        expected = truth[LAST][name]
        allowance = Tolerance([run[LAST][name] for run in float32], [expected] * len(float32))
        case.close(f"{what}: {name}", got[LAST].get(name), expected, allowance)


@pytest.mark.claims("004-launch")
@pytest.mark.parametrize("backend", DEVICES)
def test_ranks_agree(case: Case, executor: Executor, backend: str) -> None:
    """Each batch is split among the ranks; all start with rank 0's parameters and stay equal."""
    require_backend(executor, backend)
    done = stored(executor, backend)
    one = alone(executor, device=DEVICES[backend])
    case.exact("ranks", len(done["ranks"]), RANKS)
    case.exact("processes left running", done["left"], 0)
    shares = np.concatenate([rank["rows"] for rank in done["ranks"]], axis=1)
    case.bitwise("rows of each batch", np.sort(shares), np.sort(one["rows"]))
    first, *others = done["ranks"]
    bitwise_all(case, "start of rank 0", parameters(first["start"]), parameters(one["start"]))
    for number, rank in enumerate(others, 1):
        for moment in ("start", HALF, LAST):
            bitwise_all(case, f"rank {number}, {moment}", rank[moment], first[moment])


@pytest.mark.brief
@pytest.mark.claims("004-launch")
@pytest.mark.parametrize("optimizer", ["SGD", pytest.param("Momentum", marks=pytest.mark.full)])
@pytest.mark.parametrize("backend", DEVICES)
def test_loss_curve(case: Case, executor: Executor, backend: str, optimizer: str) -> None:
    """Two processes train like one with the doubled batch, within a tolerance from its float64 run."""
    require_backend(executor, backend)
    done = stored(executor, backend, optimizer)
    losses = mean_loss(done["ranks"])
    case.measures["loss_curve"] = losses.tolist()
    case.exact("steps", len(losses), 2 * PER_EPOCH)
    case.at_most(
        "mean loss of the last four steps", float(losses[-4:].mean()), 0.8 * float(losses[:4].mean())
    )
    state = done["ranks"][0][LAST]
    compare_training(case, executor, "two processes", {"losses": losses, LAST: state}, optimizer, 0)


@pytest.mark.brief
@pytest.mark.claims("004-launch")
def test_repeats(case: Case, executor: Executor) -> None:
    """A second job of the same training gives the same bits: losses, states and checkpoints."""
    whole, again = stored(executor), job(executor, {})
    case.exact("statuses", again["statuses"], [0])
    case.exact("processes left running", again["left"], 0)
    for number, (got, expected) in enumerate(zip(again["ranks"], whole["ranks"], strict=True)):
        case.bitwise(f"rank {number}: losses", got["losses"], expected["losses"])
        bitwise_all(case, f"rank {number}", got[LAST], expected[LAST])
    case.exact("checkpoints", list(again["checkpoints"]), list(whole["checkpoints"]))
    bitwise_all(case, "last checkpoint", again["checkpoints"].get(LAST, {}), whole["checkpoints"][LAST])


@pytest.mark.brief
@pytest.mark.claims("004-launch")
def test_resume_in_two(case: Case, executor: Executor) -> None:
    """From rank 0's checkpoint, two processes continue bit for bit as if they had never stopped."""
    whole = stored(executor)
    resumed = job(executor, {"resume": str(whole["folder"] / HALF)})
    case.exact("statuses", resumed["statuses"], [0])
    for number, (got, expected) in enumerate(zip(resumed["ranks"], whole["ranks"], strict=True)):
        bitwise_all(case, f"rank {number}, start", parameters(got["start"]), parameters(expected[HALF]))
        case.bitwise(f"rank {number}: losses", got["losses"], expected["losses"][PER_EPOCH:])
        bitwise_all(case, f"rank {number}, end", got[LAST], expected[LAST])


@pytest.mark.brief
@pytest.mark.claims("004-launch")
def test_resume_in_one(case: Case, executor: Executor) -> None:
    """From rank 0's checkpoint, one process continues from the same bits, within its usual tolerance."""
    whole = stored(executor)
    # Rank 1 did not write the file, but the file must hold rank 1's state.
    bitwise_all(case, "checkpoint", whole["checkpoints"][HALF], whole["ranks"][1][HALF])
    resumed = alone(executor, resume=str(whole["folder"] / HALF))
    bitwise_all(case, "start", parameters(resumed["start"]), parameters(whole["ranks"][0][HALF]))
    compare_training(case, executor, "one process", resumed, "Momentum", PER_EPOCH)


@pytest.mark.brief
@pytest.mark.claims("004-launch")
def test_killed_rank(case: Case, executor: Executor) -> None:
    """A rank that is killed ends the whole job with an error, and the last epoch's checkpoint loads."""
    done = job(executor, {"fault": {"rank": 1, "step": KILLED, "how": "killed"}})
    case.exact("ended", done["ended"], "by itself")
    case.exact("status of success", done["statuses"] == [0], False)
    case.exact("processes left running", done["left"], 0)
    # Which rank it names depends on whether the other rank notices before the launcher looks.
    named = FAILED.search(done["printed"])
    case.exact("the launcher names a rank that failed", named is not None, True)
    case.measures["named"] = named[0] if named else ""
    case.exact("checkpoints", list(done["checkpoints"]), [HALF])
    whole = stored(executor)
    bitwise_all(case, "checkpoint", done["checkpoints"].get(HALF, {}), whole["checkpoints"][HALF])
    case.measures["seconds_to_the_end"] = done["seconds"]


@pytest.mark.brief
@pytest.mark.parametrize(
    "exported", ["without the export", pytest.param("as written", marks=pytest.mark.full)]
)
def test_gpus_that_are_not_there(case: Case, executor: Executor, exported: str) -> None:
    """The document's `--gpus="0,1,2,3"` on a machine without them ends with an error that says so."""
    if executor.environment["paddle"]["devices"] >= 4:
        pytest.skip("this machine has the document's four GPUs")
    options, limit = ["--gpus=0,1,2,3"], 60.0
    done = job(executor, {}, options=options, variables=GPUS[exported], limit_s=limit)
    case.exact("ended", done["ended"], "by itself")
    case.exact("status of success", done["statuses"] == [0], False)
    printed = "\n".join([done["printed"], *done["logs"]])
    said = [line for line in printed.splitlines() if "Error" in line and ": " in line]
    case.notes.append(said[-1] if said else printed[-200:])
    named = [line for line in said if any(word in line.lower() for word in ("gpu", "cuda", "device", "cpu"))]
    case.exact("an error names GPUs or devices", bool(named), True)


@pytest.mark.claims("004-launch")
@pytest.mark.full
def test_two_hosts(case: Case, executor: Executor) -> None:
    """Two launchers that meet at one address, like two hosts, train bit for bit as one launcher does."""
    whole, spread = stored(executor), job(executor, {}, hosts=2)
    case.exact("statuses", spread["statuses"], [0, 0])
    case.exact("ranks", len(spread["ranks"]), RANKS)
    for number, (got, expected) in enumerate(zip(spread["ranks"], whole["ranks"], strict=False)):
        case.bitwise(f"rank {number}: losses", got["losses"], expected["losses"])
        bitwise_all(case, f"rank {number}", got[LAST], expected[LAST])
