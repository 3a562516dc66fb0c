"""Latency of each model on each target, by the worker's clock, with the outputs checked while timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.case import Case, close_all
from harness.lab import Lab
from harness.latency import TimedSession, rounds_for, summarize, worker_clock
from harness.session import RunSession
from harness.targets import Target
from suites.test_agreement import require

TARGETS = (
    "dygraph",
    "jit",
    "static",
    "predictor",
    "predictor-no-onednn",
    "predictor-threads2",
)
BUDGET_S = {"quick": 0.25, "full": 2.0}
"""Seconds of timed runs a case."""

brief = pytest.mark.brief(target=("dygraph", "predictor", "predictor-no-onednn"), batch=(1,))


def measure(
    case: Case, lab: Lab, run: RunSession, benchmark: Any, model: str, target: Target, batch: int
) -> None:
    """Time one session, check its outputs, and put the figures into record and benchmark JSON."""
    require(lab, target)
    feed = lab.sample(model, batch)
    (oracle,), yardsticks = lab.oracle(model, [feed]), lab.yardsticks(model, [feed], target.storage)
    files = lab.files(target, model)
    budget = run.options.latency_budget or BUDGET_S[run.options.tier]
    worker = lab.pool.warm(lab.spec(target))
    with lab.pool.quiet():
        base = worker.call("timing.reset_peak", lab.pool.deadline, device=target.device)
        opened = worker.call(
            "runtimes.open_session",
            lab.pool.deadline,
            runtime=target.runtime,
            files=files,
            model=model,
            options=target.options,
        )
        try:
            session = TimedSession(worker, opened["session"], feed, lab.pool.deadline)
            rounds = rounds_for(session.warm_up(budget), budget)
            benchmark.group = f"{model} batch {batch}"
            benchmark.pedantic(session.run, rounds=rounds, iterations=1)
            peak = worker.call("timing.memory", lab.pool.deadline, device=target.device)
        finally:
            worker.call("runtimes.close_session", lab.pool.deadline, session=opened["session"])
    close_all(case, "outputs while timed", session.outputs, oracle, yardsticks)
    case.exact("every run was timed", len(session.seconds) >= (1 if benchmark.disabled else rounds), True)
    figures = {
        "runtime": target.runtime,
        "batch": batch,
        "threads": target.options.get("threads", 1),
        "load_ms": opened["load_ms"],
        "peak_memory_mib": peak["peak_mib"],
        "session_memory_mib": max(0.0, peak["peak_mib"] - base["now_mib"]),
        **summarize(session.seconds, batch),
    }
    if "device_peak_mib" in peak:
        figures["device_memory_mib"] = peak["device_peak_mib"]
    case.measures["latency"] = figures
    benchmark.extra_info.update(model=model, target=target.name, environment=lab.paddle, **figures)


@brief
@pytest.mark.models(trained=True)
@pytest.mark.targets(names=TARGETS, device="cpu")
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.benchmark(timer=worker_clock)
def test_run(
    case: Case, lab: Lab, run_session: RunSession, benchmark: Any, model: str, target: Target, batch: int
) -> None:
    """A run's latency is measured, and what was timed gave the network's outputs."""
    measure(case, lab, run_session, benchmark, model, target, batch)


@pytest.mark.claims("card-latency")
@pytest.mark.models(trained=True)
@pytest.mark.targets(device="other")
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.benchmark(timer=worker_clock)
def test_run_on_gpu(
    case: Case, lab: Lab, run_session: RunSession, benchmark: Any, model: str, target: Target, batch: int
) -> None:
    """The same on a GPU or another device, which the claim of latency on CPU and on GPU needs."""
    measure(case, lab, run_session, benchmark, model, target, batch)


@pytest.mark.full
@pytest.mark.models(role="latency")
@pytest.mark.targets(
    names=("dygraph", "predictor", "predictor-no-onednn", "predictor-threads2", "predictor-gpu")
)
@pytest.mark.benchmark(timer=worker_clock)
def test_full_size(
    case: Case, lab: Lab, run_session: RunSession, benchmark: Any, model: str, target: Target
) -> None:
    """The same for networks of the size people deploy, at batch 1."""
    measure(case, lab, run_session, benchmark, model, target, 1)


def test_clock(case: Case, lab: Lab) -> None:
    """Reading the worker's clock costs little beside the shortest run it times: LeNet at batch 1."""
    target = Target("predictor", "predictor")
    feed = lab.sample("lenet", 1)
    opened = lab.pool.call(
        "runtimes.open_session",
        runtime=target.runtime,
        files=lab.files(target, "lenet"),
        model="lenet",
        options=target.options,
    )
    with lab.pool.quiet():
        timed = lab.pool.call("timing.block", session=opened["session"], feed=feed, runs=50)
        cost = lab.pool.call("timing.clock_cost")
    lab.pool.call("runtimes.close_session", session=opened["session"])
    run = float(np.median(timed["seconds"]))
    case.measures.update(clock_cost_us=cost * 1e6, run_us=run * 1e6)
    case.at_most("clock's share of a run", cost / run, 0.02)
