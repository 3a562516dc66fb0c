"""A resumed training continues as if it had never stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.checks.case import Case, bitwise_all
from harness.execution.executor import Executor
from harness.plugin.session import RunSession

pytestmark = [pytest.mark.area("Resumed training"), pytest.mark.runs("training")]

STEPS = 12
EPOCH = 6
INTERRUPTIONS = (1, EPOCH, STEPS - 1)
"""After the first step, at the end of an epoch, before the last step."""


def compare_resumed(case: Case, what: str, whole: Any, after: int, resumed: Any) -> None:
    """Compare losses, learning rates and final state of a resumed training with the uninterrupted one."""
    case.bitwise(f"{what}: losses", resumed["losses"], whole["losses"][after:])
    case.exact(f"{what}: learning rates", resumed["rates"], whole["rates"][after:])
    # By name: the optimizer lists its state in the order in which parameters were first used.
    got, expected = (dict(sorted(run["state"].items())) for run in (resumed, whole))
    bitwise_all(case, f"{what}: final state", got, expected)
    # Of several interruptions the first is plotted: it has the most steps to show.
    case.measures.setdefault(
        "curves",
        {
            "uninterrupted": [float(loss) for loss in whole["losses"]],
            "resumed": [float(loss) for loss in resumed["losses"]],
            "interrupted_at": after,
        },
    )


def check(
    case: Case,
    executor: Executor,
    run: RunSession,
    folder: Path,
    model: str,
    config: dict[str, Any],
    after: tuple[int, ...],
    new: bool = True,
) -> None:
    """Train once uninterrupted, then continue from each interruption in a process that did not train.

    The full tier takes a fresh process for each interruption; the quick tier one for all, where
    only the first is the process's first work. Where that is not ``new`` either, it is the process
    that resumed the case before: another one than trained, without the seconds of a start. The gate's tier
    takes that one throughout.
    """
    arguments = {"model": model, "config": config, "digits": str(executor.builder.digits), "steps": STEPS}
    whole = executor.pool.call(
        "checks.resume.uninterrupted", save_after=after, folder=str(folder), **arguments
    )
    case.at_least("loss steps", float(len(whole["losses"])), float(STEPS))
    full = run.options.tier == "full"
    new = new and run.options.tier != "gate"
    groups = [(step,) for step in after] if full else [after]
    for group in groups:
        with executor.pool.elsewhere(new or full, executor.spec()) as worker:
            for step in group:
                resumed = worker.call(
                    "checks.resume.resumed",
                    executor.pool.deadline,
                    folder=str(folder / str(step)),
                    **arguments,
                )
                compare_resumed(case, f"interrupted after step {step}", whole, step, resumed)


@pytest.mark.brief(optimizer=("Adam",))
@pytest.mark.claims("000-resume")
@pytest.mark.parametrize(
    "scheduler", ["", "StepDecay", "CosineAnnealingDecay", "LinearWarmup"], ids=lambda s: s or "constant"
)
@pytest.mark.parametrize("optimizer", ["SGD", "Momentum", "Adam", "AdamW"])
def test_optimizers_and_schedulers(
    case: Case, executor: Executor, run_session: RunSession, optimizer: str, scheduler: str, tmp_path: Path
) -> None:
    """Resuming with parameters and optimizer state repeats losses, rates and final state bit for bit."""
    config = {"optimizer": optimizer, "scheduler": scheduler}
    check(case, executor, run_session, tmp_path, "lenet", config, INTERRUPTIONS, new=False)


@pytest.mark.claims("000-resume")
@pytest.mark.parametrize("after", range(1, STEPS))
def test_after_any_step(
    case: Case, executor: Executor, run_session: RunSession, after: int, tmp_path: Path
) -> None:
    """Adam's training can be interrupted after any step."""
    check(case, executor, run_session, tmp_path, "lenet", {"optimizer": "Adam"}, (after,), new=False)


@pytest.mark.claims("000-resume")
@pytest.mark.models(trained=True)
def test_every_model(
    case: Case, executor: Executor, run_session: RunSession, model: str, tmp_path: Path
) -> None:
    """Every reference model resumes, with BatchNorm statistics and dropout's random state."""
    check(case, executor, run_session, tmp_path, model, {"optimizer": "Adam", "scheduler": "StepDecay"}, (4,))


@pytest.mark.claims("000-resume")
@pytest.mark.parametrize("optimizer", ["Momentum", "AdamW"])
def test_mixed_precision(
    case: Case, executor: Executor, run_session: RunSession, optimizer: str, tmp_path: Path
) -> None:
    """Under bfloat16 `auto_cast` with a gradient scaler the resumed losses have the same bits."""
    if not executor.pool.call("checks.resume.casts"):
        pytest.skip(
            "Paddle ignores `auto_cast` and `GradScaler` on this device, a CPU: nothing runs in bfloat16"
        )
    config = {"optimizer": optimizer, "amp": True, "scheduler": "StepDecay"}
    check(case, executor, run_session, tmp_path, "lenet", config, (5,))


@pytest.mark.claims("000-resume")
def test_gradient_clipping(case: Case, executor: Executor, run_session: RunSession, tmp_path: Path) -> None:
    """With clipping by global norm, the resumed losses have the same bits."""
    check(case, executor, run_session, tmp_path, "lenet", {"optimizer": "Adam", "clip": True}, (5,))


@pytest.mark.parametrize("after", [1, EPOCH])
def test_parameters_used_now_and_then(
    case: Case, executor: Executor, run_session: RunSession, after: int, tmp_path: Path
) -> None:
    """A network that skips parameters at some steps resumes, with gradients dropped and not zeroed."""
    config = {"optimizer": "Adam", "drop_gradients": True}
    check(case, executor, run_session, tmp_path, "control_flow", config, (after,))
