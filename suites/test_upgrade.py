"""One Paddle release loads what another release saved, with the same outputs.

Files are those of the environments named with ``--producer``; they are loaded by the environment under
test and held against what their producer computed: its float64 oracle, within what its own
dynamic graph is wrong by.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from harness.checks.case import Case, bitwise_all, close_runs
from harness.checks.tolerance import Tolerance
from harness.core.errors import NotApplicable
from harness.execution.executor import Execution, Executor, Producer
from harness.models.catalogue import MethodInfo
from harness.plugin.session import RunSession
from harness.pool.workers import WorkerFailure
from harness.targets.target import Target
from suites.support.compression import INT8, PLAIN, Subject
from suites.support.logits import agreement, logits, rms
from suites.support.rounding import rounding
from suites.test_compression import INT8_ERROR, MOVED, SAME_CLASS

FEEDS = ((1, 0), (3, 1), (1, 0))
"""(batch, seed) of each run: a first one, another batch size, and the first again."""

STEPS = 6
"""Number of updates of a resumed training."""

pytestmark = [pytest.mark.area("Files of other releases"), pytest.mark.claims("card-upgrade")]


class Route(NamedTuple):
    """A recipe that makes the files, and the runtime that loads them."""

    layout: str
    runtime: str
    profile: str = ""
    """Profile of the producer; '' for the environment's."""
    loaded: str = ""
    """Profile of the loading side; '' for the environment's."""


ROUTES = {
    "pdparams-set_state_dict": Route("combined", "dygraph"),
    "jit-jit.load": Route("combined", "jit"),
    "jit-load_inference_model": Route("combined", "static"),
    "jit-predictor": Route("combined", "predictor"),
    "static-load_inference_model": Route("static", "static"),
    "static-predictor": Route("static", "predictor"),
    "separate-load_inference_model": Route("separate", "static"),
    "separate-predictor": Route("separate", "predictor"),
    "legacy_jit-jit.load": Route("combined", "jit", "legacy-ir"),
    "legacy_jit-load_inference_model": Route("combined", "static", "legacy-ir"),
    "legacy_jit-predictor": Route("combined", "predictor", "legacy-ir"),
    "jit-legacy_jit.load": Route("combined", "jit", loaded="legacy-ir"),
    "jit-legacy_load_inference_model": Route("combined", "static", loaded="legacy-ir"),
}
"""Routes by format and loader. ``legacy_jit`` is `jit.save` under ``FLAGS_enable_pir_api=0``, which writes a
``.pdmodel`` that releases before 3.0 also read; the legacy loaders run in a process with that flag."""


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(name, marks=pytest.mark.runs(way.runtime, profile=way.profile or way.loaded))
        for name, way in ROUTES.items()
    ],
)
def test_outputs(case: Case, executor: Executor, producer: Producer, model: str, route: str) -> None:
    """The producer's files, loaded here, give what the producer's network computes."""
    way = ROUTES[route]
    theirs = producer.executor
    if way.profile and theirs.profile == way.profile:
        pytest.skip(f"{producer.name} already writes legacy IR: route `jit` covers this format")
    if way.loaded and theirs.profile != way.loaded:
        pytest.skip(f"{producer.name} writes `.json` programs, which only the new IR can load")
    here = Target(way.runtime, way.runtime, profile=way.loaded)
    reason = executor.not_applicable(here)
    if reason:
        pytest.skip(reason)
    feeds = [theirs.sample(model, batch, seed) for batch, seed in FEEDS]
    oracle, tolerances = theirs.oracle(model, feeds), theirs.tolerances(model, feeds)
    files = theirs.builder.files(Target(way.runtime, way.runtime, profile=way.profile), model, way.layout)
    got = executor.execute(here, model, feeds, files=files)
    case.measures["load_ms"] = got.load_ms
    close_runs(case, "", got.outputs, oracle, tolerances)


@pytest.mark.runs("predictor", "predictor_cpp")
def test_interface(case: Case, executor: Executor, producer: Producer, model: str) -> None:
    """The producer's export has the same inputs and outputs here, by name, type and shape, in one order."""
    target, theirs = Target("predictor", "predictor"), producer.executor
    feeds, files = [theirs.sample(model, *FEEDS[0])], theirs.builder.files(target, model)
    try:
        expected = _interface(theirs.execute(target, model, feeds, files=files))
    except WorkerFailure as failure:
        raise NotApplicable(f"{producer.name} does not run it itself: {failure.sentence}") from failure
    here = executor.execute(target, model, feeds, files=files)
    got = _interface(here)
    for array in here.outputs[0]:
        case.saw(array)
    for what, value in expected.items():
        case.exact(what, got[what], value)
    case.measures["interface"] = got


def _interface(execution: Execution) -> dict[str, list[str]]:
    stated = execution.describe["interface"]
    outputs = [
        f"{name} {array.dtype} {list(array.shape)}"
        for name, array in zip(stated["outputs"], execution.outputs[0], strict=True)
    ]
    return {"inputs": stated["inputs"], "outputs": outputs}


@pytest.mark.runs("training")
@pytest.mark.models(trained=True)
def test_states(case: Case, executor: Executor, producer: Producer, model: str) -> None:
    """`paddle.load` gives the producer's `.pdparams` and `.pdopt` bit for bit."""
    artifact = producer.executor.builder.artifact("checkpoint", model)
    case.measures["sizes"] = artifact.manifest.sizes
    for file in ("model.pdparams", "model.pdopt"):
        theirs = producer.executor.pool.call("models.states.flat", path=artifact.file(file))
        mine = executor.pool.call("models.states.flat", path=artifact.file(file))
        bitwise_all(case, file, mine, theirs)


@pytest.mark.runs("training")
@pytest.mark.models(trained=True)
def test_resumed_training(case: Case, executor: Executor, producer: Producer, model: str) -> None:
    """A training resumes from the producer's checkpoint as it does in the producer's release."""
    artifact = producer.executor.builder.artifact("checkpoint", model)
    arguments = {
        "model": model,
        "params": artifact.file("model.pdparams"),
        "optimizer": artifact.file("model.pdopt"),
        "digits": str(executor.builder.digits),
        "steps": STEPS,
    }
    oracle = producer.executor.pool.call("checks.cross_version.continued", dtype="float64", **arguments)
    theirs = producer.executor.pool.call("checks.cross_version.continued", **arguments)
    mine = executor.pool.call("checks.cross_version.continued", **arguments)
    case.exact("losses", len(mine["losses"]), STEPS)
    case.close("losses", mine["losses"], oracle["losses"], Tolerance([theirs["losses"]], [oracle["losses"]]))
    case.exact("parameters", sorted(mine["parameters"]), sorted(oracle["parameters"]))
    for name, value in oracle["parameters"].items():
        allowance = Tolerance([theirs["parameters"][name]], [value])
        case.close(f"parameter {name}", mine["parameters"].get(name), value, allowance)
    case.measures["loss_curve"] = [float(loss) for loss in mine["losses"]]


@pytest.mark.runs("training")
@pytest.mark.models(trained=True)
def test_model_load(case: Case, executor: Executor, producer: Producer, model: str) -> None:
    """`Model.load` restores the producer's parameters and its optimizer's state."""
    artifact = producer.executor.builder.artifact("checkpoint", model)
    saved = {
        file: producer.executor.pool.call("models.states.flat", path=artifact.file(file))
        for file in ("model.pdparams", "model.pdopt")
    }
    got = executor.pool.call("checks.high_level.load", model=model, checkpoint=artifact.file("model"))
    bitwise_all(case, "parameters", got["after"], saved["model.pdparams"])
    same = [np.array_equal(got["before"].get(name), value) for name, value in saved["model.pdparams"].items()]
    case.exact("parameters were others before", all(same), False)
    for name, value in saved["model.pdopt"].items():
        case.bitwise(f"optimizer: {name}", got["optimizer"].get(name), value)


@pytest.mark.runs("compression")
@pytest.mark.methods
@pytest.mark.brief(method=("qat-slim", "ptq-static-hist", "prune-l1"))
def test_compressed(
    case: Case,
    executor: Executor,
    run_session: RunSession,
    producer: Producer,
    model: str,
    method: MethodInfo,
) -> None:
    """The producer's quantized or pruned model gives its logits here, on int8 kernels too."""
    try:
        theirs = Subject(case, producer.executor, run_session, model, method)
    except WorkerFailure as failure:
        # The producer's own run reports that; there are no files to load here.
        raise NotApplicable(f"{producer.name} makes no such model: {failure.sentence}") from failure
    feeds = theirs.few(2)
    expected = logits(theirs.run(theirs.target(PLAIN), feeds).outputs)
    got = logits(executor.execute(_here(executor, theirs, PLAIN), model, feeds, files=theirs.files()).outputs)
    if not method.quantizes:
        case.close("logits", got, expected, rounding(theirs, feeds))
        return
    case.saw(got)
    error = theirs.quantization_error(feeds, expected)
    case.at_most("distance of the logits, over the quantization error", rms(got - expected) / error, MOVED)
    case.at_least("share of digits with the class chosen there", agreement(got, expected), SAME_CLASS)
    if method.technique != "weights":
        int8 = logits(
            executor.execute(_here(executor, theirs, INT8), model, feeds, files=theirs.files()).outputs
        )
        case.saw(int8)
        case.at_most(
            "error of int8 kernels over that of quantizing", rms(int8 - expected) / error, INT8_ERROR
        )
        case.at_least(
            "share of digits for which int8 kernels choose it", agreement(int8, expected), SAME_CLASS
        )


def _here(executor: Executor, theirs: Subject, name: str) -> Target:
    """Return the loading side's target, in the files' profile unless that side is in legacy IR already."""
    profile = "" if executor.profile == "legacy-ir" else theirs.method.profile
    return msgspec.structs.replace(executor.targets[name], profile=profile)
