"""What the plugin has to know about a test's parameters: its user model, and its target on another host."""

from __future__ import annotations

from typing import Any

from harness.checks.case import Case
from harness.core.errors import ModelRefused
from harness.execution.executor import Producer
from harness.plugin.session import RunSession
from harness.targets.target import Target


def model_of(session: RunSession, item: Any) -> str:
    """Return the user model that a test is for, or ''."""
    model = parameters(item).get("model")
    return model if isinstance(model, str) and model in session.executor.builder.first_runs.models else ""


def is_first_run(item: Any) -> bool:
    """Whether a test is for user models only: it decides whether they can be used."""
    marker = item.get_closest_marker("models")
    return marker is not None and marker.kwargs.get("role") == "user"


def senseless(session: RunSession, item: Any) -> bool:
    """Whether a test is not wanted, or has nothing to run.

    If only user models are wanted, a test without one is not. On a deployed model, a test of the
    dynamic graph has nothing to run. Its files are no release's: what the first producer computes with them
    (in a gate, the baseline) is compared, and the others' files would be the same again.
    """
    model = model_of(session, item)
    if not model:
        return session.only_users
    if session.executor.models[model].form != "deployed":
        return False
    producer = parameters(item).get("producer")
    runtime = getattr(parameters(item).get("target"), "runtime", "")
    return runtime == "dygraph" or (isinstance(producer, Producer) and producer != session.producers[0])


def must_be_usable(session: RunSession | None, item: Any) -> None:
    """Raises ModelRefused where a test's model is refused here, or where its files come from."""
    model = model_of(session, item) if session is not None else ""
    if session is None or not model or is_first_run(item):
        return
    executors = [session.executor, getattr(parameters(item).get("producer"), "executor", None)]
    for executor in filter(None, executors):
        found = executor.builder.refusal(model)
        if found:
            raise ModelRefused(executor.paddle, found)


def parameters(item: Any) -> dict[str, Any]:
    """Return a test's parameters: its model, target and the like."""
    return item.callspec.params if hasattr(item, "callspec") else {}


def say_where(session: RunSession, item: Any, case: Case | None) -> None:
    """Add host, environment and processor to the measures of a case whose target is on another host."""
    target = parameters(item).get("target")
    where = session.executor.where(target) if isinstance(target, Target) else {}
    if where and case is not None:
        named = ("host", "interpreter", "python", "paddle", "profile", "numpy", "gpus")
        facts = {name: where[name] for name in named}
        case.measures["where"] = {**facts, "cpu": where["cpu"]["model"]}
