"""Combined, separate and in-memory parameters are the same model."""

from __future__ import annotations

import numpy as np
import pytest

from harness.checks.case import Case, bitwise_all, close_runs
from harness.execution.executor import Executor
from harness.targets.target import Target

pytestmark = pytest.mark.area("Parameters combined, separate and in memory")

FEEDS = ((1, 0), (4, 1), (2, 2))

ROUTES = {
    "static-combined": (Target("static", "static"), "combined"),
    "static-separate": (Target("static", "static"), "separate"),
    "static-memory": (Target("static", "static", {"in_memory": True}), "combined"),
    "predictor-combined": (Target("predictor", "predictor"), "combined"),
    "predictor-separate": (Target("predictor", "predictor"), "separate"),
    "predictor-memory": (Target("predictor", "predictor", {"in_memory": True}), "combined"),
    "static-load_vars": (Target("static", "static", {"load_vars": True}), "separate"),
    "serialized": (Target("static", "static"), "serialized"),
}
"""Every way in which a release can still load each layout, including the older separate layout."""

CLAIMS = {
    "static-combined": ("002-combined",),
    "predictor-combined": ("002-combined",),
    "static-separate": ("002-separate-loads",),
    "predictor-separate": ("002-separate-loads",),
    "static-load_vars": ("002-separate-loads",),
}
"""Claims that each way decides; the documents say nothing about parameters from memory."""


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(
            route, marks=[pytest.mark.claims(*CLAIMS.get(route, ())), pytest.mark.runs(target.runtime)]
        )
        for route, (target, _) in ROUTES.items()
    ],
)
def test_same_outputs(case: Case, executor: Executor, model: str, route: str) -> None:
    """Every layout, loaded in every way, gives the outputs of the combined files."""
    target, layout = ROUTES[route]
    feeds = [executor.sample(model, batch, seed) for batch, seed in FEEDS]
    oracle, tolerances = executor.oracle(model, feeds), executor.tolerances(model, feeds)
    expected = executor.execute(Target(target.runtime, target.runtime), model, feeds)
    got = executor.execute(target, model, feeds, layout=layout)
    close_runs(case, "", got.outputs, oracle, tolerances)
    if layout == "serialized":
        return  # that program was built in static mode: equal, but not bit for bit
    for run, outputs in enumerate(got.outputs):
        for index, value in enumerate(expected.outputs[run]):
            if index < len(outputs):  # a missing one has failed already
                case.bitwise(f"run {run + 1}: output {index} as combined", outputs[index], value)


@pytest.mark.claims("002-separate")
@pytest.mark.runs("static")
@pytest.mark.models(trained=True)
def test_separate_files(case: Case, executor: Executor, model: str) -> None:
    """`save_vars` writes one file per parameter, each holding the combined parameter's bits."""
    artifact = executor.builder.artifact("separate", model)
    files = artifact.values["parameters"]
    combined = executor.pool.call(
        "checks.layouts.combined_parameters",
        folder=executor.builder.artifact("jit", model).file("inference_model"),
        program=executor.builder.files(Target("static", "static"), model)["program"],
    )
    case.exact("files", files, sorted(combined))
    separate = executor.pool.call(
        "checks.layouts.separate_parameters", folder=artifact.file("separate_persistables"), names=files
    )
    bitwise_all(
        case,
        "parameter",
        {name: separate.get(name) for name in sorted(combined)},
        dict(sorted(combined.items())),
    )


@pytest.mark.claims("002-combined")
@pytest.mark.runs("static")
@pytest.mark.models(trained=True)
def test_one_parameter_file(case: Case, executor: Executor, model: str) -> None:
    """The default export has one parameter file, which holds the checkpoint's values bit for bit."""
    artifact = executor.builder.artifact("jit", model)
    holding = [name for name in artifact.manifest.files if name.endswith(".pdiparams")]
    case.exact("parameter files", holding, ["inference_model/model.pdiparams"])
    combined = executor.pool.call(
        "checks.layouts.combined_parameters",
        folder=artifact.file("inference_model"),
        program=executor.builder.files(Target("static", "static"), model)["program"],
    )
    state = executor.pool.call(
        "checks.roundtrip.load_arrays",
        path=executor.builder.artifact("checkpoint", model).file("model.pdparams"),
    )
    values = {value.tobytes() for value in combined.values()}
    for name, value in state.items():
        if np.issubdtype(value.dtype, np.floating):
            case.exact(f"{name} is in the file", value.tobytes() in values, True)
