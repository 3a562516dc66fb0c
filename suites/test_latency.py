"""Latency of each model on each target, by the worker's clock; the timed runs' outputs are checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.checks.case import Case, close_all
from harness.core.errors import NotApplicable
from harness.core.statistics import median_interval
from harness.execution.executor import Executor
from harness.execution.latency import TimedSession, rounds_for, summarize, worker_clock
from harness.plugin.session import RunSession
from harness.pool.workers import RemoteError, WorkerFailure
from harness.targets.target import Target
from suites.test_agreement import require

pytestmark = [pytest.mark.area("Latency"), pytest.mark.timing]

TARGETS = (
    "dygraph",
    "jit",
    "static",
    "predictor",
    "predictor-no-onednn",
    "predictor-threads2",
)
MORE = ("predictor-bf16", "predictor-cpp", "predictor-legacy-ir", "onnxruntime", "openvino")
"""Models timed in the full tier, or where they are named."""

SWEPT = tuple(name for name in (*TARGETS, *MORE) if name not in ("dygraph", "jit", "static"))
SWEEP = (2, 4, 16, 32, 64)
"""Batch sizes in addition to 1 and 8."""

BUDGET_S = {"gate": 0.05, "quick": 0.25, "full": 2.0}
"""Seconds of timed runs a case."""

YARDSTICK = "onnxruntime"
"""The engine that every target's latency is compared with: its version is pinned, for every Paddle."""

SECOND = "openvino"
"""Another engine for the same file: where the two disagree, a ratio to one of them is worth less."""

BLOCKS, RUNS = 12, 5
"""Number of blocks in which the targets take turns, and runs of each in a block."""

NEAR, BEYOND = 0.1, 1.5
"""Least and largest share of the machine's limit for NumPy's library; other programs use the machine too."""

ATTEMPTS = 3
"""Most measurements of the limits: one that another program disturbed is taken again."""

brief = pytest.mark.brief(target=("predictor",), batch=(1,))


def measure(
    case: Case,
    executor: Executor,
    run: RunSession,
    benchmark: Any,
    model: str,
    target: Target,
    batch: int,
    tier: str = "",
) -> None:
    """Time one session, check its outputs, and write the figures into the record and the benchmark JSON."""
    require(executor, target)
    if executor.models[model].form and batch > 1 and len(executor.builder.usable(model).batches) < 2:
        pytest.skip("it runs at one batch size")
    feed = executor.sample(model, batch)
    (oracle,), tolerances = executor.oracle(model, [feed]), executor.tolerances(model, [feed], target.storage)
    files = executor.builder.files(target, model)
    budget = run.options.latency_budget or BUDGET_S[tier or run.options.tier]
    cost = cost_of(case, executor, run, model, batch)
    worker = executor.pool.warm(executor.spec(target))
    base = worker.call("checks.timing.reset_peak", executor.pool.deadline, device=target.device)
    opened = worker.call(
        "runtimes.open_session",
        executor.pool.deadline,
        runtime=target.runtime,
        files=files,
        model=model,
        options=executor.options(target),
    )
    try:
        session = TimedSession(worker, opened["session"], feed, executor.pool.deadline)
        rounds = rounds_for(session.warm_up(budget), budget)
        benchmark.group = f"{model} batch {batch}"
        benchmark.pedantic(session.run, rounds=rounds, iterations=1)
        peak = worker.call(
            "checks.timing.memory",
            executor.pool.deadline,
            device=target.device,
            session=opened["session"],
        )
    finally:
        worker.call("runtimes.close_session", executor.pool.deadline, session=opened["session"])
    close_all(case, "outputs while timed", session.outputs, oracle, tolerances)
    case.exact("every run was timed", len(session.seconds) >= (1 if benchmark.disabled else rounds), True)
    figures = {
        "runtime": target.runtime,
        "batch": batch,
        "threads": target.options.get("threads", 1),
        "load_ms": opened["load_ms"],
        "peak_memory_mib": peak["peak_mib"],
        "session_memory_mib": max(0.0, peak["peak_mib"] - peak.get("before_mib", base["now_mib"])),
        **cost,
        **summarize(session.seconds, batch),
    }
    if "device_peak_mib" in peak:
        figures["device_memory_mib"] = peak["device_peak_mib"]
    case.measures["latency"] = figures
    benchmark.extra_info.update(model=model, target=target.name, environment=executor.paddle, **figures)


def cost_of(case: Case, executor: Executor, run: RunSession, model: str, batch: int) -> dict[str, Any]:
    """Count operations and bytes of a run of the exported program; {} where it cannot be run here."""
    key = f"cost of {model} at {batch}"
    if key not in run.memo:
        profile = executor.builder.usable(model).profile if executor.models[model].form else ""
        target = Target("counted", "static", profile=profile)
        try:
            files = executor.builder.files(target, model)
            run.memo[key] = executor.pool.call(
                "inspection.cost.count",
                spec=executor.spec(target),
                folder=files["folder"],
                program=files["program"],
                params=files.get("params", ""),
                feed=executor.sample(model, batch),
            )
        except (NotApplicable, WorkerFailure) as error:
            run.memo[key] = {}
            case.notes.append(f"operations not counted: {getattr(error, 'sentence', error)}")
    return dict(run.memo[key])


@brief
@pytest.mark.models(trained=True, users=True)
@pytest.mark.targets(names=TARGETS, more=MORE, device="cpu")
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.benchmark(timer=worker_clock)
def test_run(
    case: Case,
    executor: Executor,
    run_session: RunSession,
    benchmark: Any,
    model: str,
    target: Target,
    batch: int,
) -> None:
    """A run's latency is measured, and the timed runs gave the network's outputs."""
    measure(case, executor, run_session, benchmark, model, target, batch)


@pytest.mark.claims("card-latency")
@pytest.mark.models(trained=True)
@pytest.mark.targets(device="other")
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.benchmark(timer=worker_clock)
def test_run_on_gpu(
    case: Case,
    executor: Executor,
    run_session: RunSession,
    benchmark: Any,
    model: str,
    target: Target,
    batch: int,
) -> None:
    """The same on a GPU or another device: the claim needs latency on CPU and on GPU."""
    measure(case, executor, run_session, benchmark, model, target, batch)


@pytest.mark.full
@pytest.mark.models(trained=True, users=True)
@pytest.mark.targets(names=SWEPT, device="cpu")
@pytest.mark.parametrize("batch", SWEEP)
@pytest.mark.benchmark(timer=worker_clock)
def test_batches(
    case: Case,
    executor: Executor,
    run_session: RunSession,
    benchmark: Any,
    model: str,
    target: Target,
    batch: int,
) -> None:
    """The same at more batch sizes, for the curves of throughput against latency."""
    measure(case, executor, run_session, benchmark, model, target, batch, "quick")


@pytest.mark.full
@pytest.mark.models(role="latency")
@pytest.mark.targets(names=("dygraph", *SWEPT, "predictor-gpu"))
@pytest.mark.benchmark(timer=worker_clock)
def test_full_size(
    case: Case, executor: Executor, run_session: RunSession, benchmark: Any, model: str, target: Target
) -> None:
    """The same for networks of the size people deploy, at batch 1."""
    measure(case, executor, run_session, benchmark, model, target, 1)


@pytest.mark.brief(model=("lenet",))
@pytest.mark.runs("onnxruntime")
@pytest.mark.models(trained=True)
def test_beside_onnxruntime(case: Case, executor: Executor, model: str) -> None:
    """Each target's latency at batch 1 is measured as a ratio to onnxruntime's, in turns in one process."""
    time_with_onnxruntime(case, executor, model, BLOCKS)


@pytest.mark.full
@pytest.mark.runs("onnxruntime")
@pytest.mark.models(role="latency")
def test_full_size_beside_onnxruntime(case: Case, executor: Executor, model: str) -> None:
    """The same for networks of the size people deploy."""
    time_with_onnxruntime(case, executor, model, BLOCKS)


def time_with_onnxruntime(case: Case, executor: Executor, model: str, blocks: int) -> None:
    """Time every target that runs here in turns with onnxruntime, and check their outputs.

    OpenVINO is left out where it does not load the model; the check of agreement reports that.
    """
    require(executor, executor.targets[YARDSTICK])
    targets = [executor.targets[name] for name in (YARDSTICK, *TARGETS, SECOND)]
    files = {t.name: executor.builder.files(t, model) for t in targets if executor.not_applicable(t) is None}
    feed = executor.sample(model, 1)
    (oracle,), tolerances = executor.oracle(model, [feed]), executor.tolerances(model, [feed])
    worker = executor.pool.warm(executor.spec())
    sessions: dict[str, int] = {}
    try:
        for target in (target for target in targets if target.name in files):
            try:
                opened = worker.call(
                    "runtimes.open_session",
                    executor.pool.deadline,
                    runtime=target.runtime,
                    files=files[target.name],
                    model=model,
                    options=target.options,
                )
            except RemoteError as error:
                if target.name != SECOND:
                    raise
                case.notes.append(f"{SECOND} does not load {model}: {str(error).splitlines()[0]}")
                continue
            sessions[target.name] = opened["session"]
            warmed = worker.call(
                "checks.timing.block",
                executor.pool.deadline,
                session=opened["session"],
                feed=feed,
                runs=RUNS,
            )
            close_all(case, f"{target.name}, outputs", warmed["outputs"], oracle, tolerances)
        # A thread pool spins for a while after its run, on a core that the next engine may need.
        several = [t.name for t in targets if t.name in sessions and t.options.get("threads", 1) > 1]
        one = [name for name in sessions if name != YARDSTICK and name not in several]
        ratios, alone = {}, []
        for group in filter(None, (one, several)):
            yardstick, *others = worker.call(
                "checks.timing.paired",
                executor.pool.deadline,
                sessions=[sessions[name] for name in (YARDSTICK, *group)],
                feed=feed,
                blocks=blocks,
                runs=RUNS,
            )
            case.exact(
                "blocks timed", [len(own) for own in (yardstick, *others)], [blocks] * (len(group) + 1)
            )
            alone += yardstick
            ratios.update({name: ratio(own, yardstick) for name, own in zip(group, others, strict=False)})
    finally:
        for session in sessions.values():
            worker.call("runtimes.close_session", executor.pool.deadline, session=session)
    case.measures["yardstick"] = {
        "engine": YARDSTICK,
        "version": executor.environment["packages"].get(YARDSTICK, ""),
        "batch": 1,
        "median_us": 1e6 * float(np.median(alone)),
        "targets": ratios,
    }


def ratio(seconds: list[float], yardstick: list[float]) -> dict[str, float]:
    """Return the median of the blocks' ratios with its 99 % interval, and the median time in microseconds."""
    ratios = [a / b for a, b in zip(seconds, yardstick, strict=False)]
    low, high = median_interval(ratios)
    return {
        "ratio": float(np.median(ratios)),
        "low": low,
        "high": high,
        "median_us": 1e6 * float(np.median(seconds)),
    }


@pytest.mark.machine
@pytest.mark.brief
def test_machine(case: Case, executor: Executor, run_session: RunSession) -> None:
    """The machine's limits are measured, and NumPy's library comes near them without exceeding them."""
    wanted = run_session.options.targets
    places = {
        (target.interpreter, int(target.options.get("threads", 1))): target
        for target in executor.targets.values()
        if target.device == "cpu" and (not wanted or target.name in wanted)
    }
    found = []
    for (interpreter, threads), target in sorted(places.items()):
        env = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        spec = executor.pool.default.with_env(env).at(interpreter)
        for _ in range(ATTEMPTS):
            with executor.pool.fresh(spec, forked=False) as worker:
                limits = worker.call("machine.limits.measure", executor.pool.deadline, threads=threads)
            reached = {
                "arithmetic": limits["numpy_product"] / limits["float32"],
                "memory": limits["numpy_read"] / limits["read"][-1][1],
            }
            if all(NEAR <= share <= BEYOND for share in reached.values()):
                break
        found.append({"interpreter": interpreter, "host": executor.where(target).get("host", ""), **limits})
        for what, share in reached.items():
            name = f"{threads} threads{' at ' * bool(interpreter)}{interpreter}: share of the limit of {what}"
            case.at_most(name, share, BEYOND)
            case.at_least(name, share, NEAR)
    case.measures["limits"] = found


def test_clock(case: Case, executor: Executor) -> None:
    """Reading the worker's clock costs little compared with the shortest timed run: LeNet at batch 1."""
    target = Target("predictor", "predictor")
    feed = executor.sample("lenet", 1)
    opened = executor.pool.call(
        "runtimes.open_session",
        runtime=target.runtime,
        files=executor.builder.files(target, "lenet"),
        model="lenet",
        options=target.options,
    )
    timed = executor.pool.call("checks.timing.block", session=opened["session"], feed=feed, runs=50)
    cost = executor.pool.call("checks.timing.clock_cost")
    executor.pool.call("runtimes.close_session", session=opened["session"])
    run = float(np.median(timed["seconds"]))
    case.measures.update(clock_cost_us=cost * 1e6, run_us=run * 1e6)
    case.at_most("clock's share of a run", cost / run, 0.02)
