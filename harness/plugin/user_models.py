"""What the plugin asks of a test whose model is one of the user's own."""

from __future__ import annotations

from typing import Any

from harness.core.errors import ModelRefused
from harness.plugin.session import RunSession


def model_of(session: RunSession, item: Any) -> str:
    """The model of the user's own that a test is of, or ''."""
    model = parameters(item).get("model")
    return model if isinstance(model, str) and model in session.executor.builder.first_runs.models else ""


def is_first_run(item: Any) -> bool:
    """Whether a test is of the user's models and of nothing else: it says whether they can be used."""
    marker = item.get_closest_marker("models")
    return marker is not None and marker.kwargs.get("role") == "user"


def senseless(session: RunSession, item: Any) -> bool:
    """Whether a test has nothing to do with what was asked for, or nothing to run.

    Where only the user's models are asked for, a check that takes no model is of a reference model,
    or of none. A deployed model has no dynamic graph.
    """
    model = model_of(session, item)
    if not model:
        return session.only_users
    runtime = getattr(parameters(item).get("target"), "runtime", "")
    return runtime == "dygraph" and session.executor.models[model].form == "deployed"


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
    """What a test was given: its model, target and the like."""
    return item.callspec.params if hasattr(item, "callspec") else {}
