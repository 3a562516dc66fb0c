"""ONNX: both ways to export, every opset, each intermediate value, and the engines that run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.checks import non_inferiority
from harness.checks.case import Case, close_all, close_runs
from harness.core.errors import NotApplicable
from harness.execution.executor import Executor
from harness.models.catalogue import MethodInfo
from harness.plugin.session import RunSession
from harness.targets.target import Target
from suites.support import onnx_models
from suites.support.compression import PLAIN, Subject
from suites.support.logits import agreement, logits, rms
from suites.support.onnx_models import OPSET, converted, exported, require_onnx
from suites.test_agreement import feeds_of, require

pytestmark = [pytest.mark.area("ONNX", runtime=True), pytest.mark.runs("onnxruntime", "openvino")]

OPSETS = tuple(range(7, 22))
"""Every opset that some paddle2onnx supports; the installed one may support fewer."""

COUNTERPARTS = 0.1
"""Least share of nodes whose output is also a value of Paddle's program. The other nodes compute shapes, or
are parts of one Paddle operator. Seen: 0.13 (an LSTM) to 0.95."""

MOVED = 10.0
"""Largest distance of onnxruntime from Paddle's simulation, in quantization errors: paddle2onnx drops the
quantizers between a layer and its bias. Seen: 0.6 to 5.7, with the same class for 0.99 of the digits."""

SAME_CLASS = 0.98
"""Least share of digits for which the exported quantized model chooses the class of Paddle's model."""

decides = pytest.mark.claims("card-onnx")


@decides
def test_file(case: Case, executor: Executor, model: str) -> None:
    """The file of the `paddle2onnx` command passes checker, shape inference and loading, for any batch."""
    require_onnx(executor)
    path = converted(executor, model)
    found = executor.pool.call("inspection.onnx_files.inspect", path=path)
    case.measures["file"] = {name: found.get(name) for name in ("bytes", "opset", "ir", "operators")}
    whole(case, found)
    case.exact("opset", found.get("opset"), OPSET)
    stated = {name: [list(shape), dtype] for name, shape, dtype in executor.models[model].inputs}
    case.exact("inputs", {name: [shape, dtype] for name, shape, dtype in found.get("inputs", [])}, stated)
    case.exact("number of outputs", len(found.get("outputs", [])), len(executor.models[model].outputs))


def whole(case: Case, found: dict[str, Any]) -> None:
    """Demand that the file is not empty and that no reader complains about it."""
    case.at_least("bytes", found["bytes"], 1)
    case.exact("onnx.checker", found["checker"], "")
    case.exact("shape inference", found.get("shapes", ""), "")
    case.exact("onnxruntime's loading", found.get("loads", ""), "")


@decides
@pytest.mark.parametrize("way", ["command", "export"])
def test_same_outputs(case: Case, executor: Executor, model: str, way: str) -> None:
    """The file of the command, or of `paddle.onnx.export`, gives the oracle's outputs at every batch size."""
    require_onnx(executor)
    feeds = feeds_of(executor, model)
    oracle, tolerances = executor.oracle(model, feeds), executor.tolerances(model, feeds)
    path = converted(executor, model) if way == "command" else exported(executor, model)
    result = executor.execute(executor.targets[onnx_models.ONNXRUNTIME], model, feeds, files={"model": path})
    close_runs(case, "", result.outputs, oracle, tolerances)
    onnx_models.explain(case, executor, model, path, feeds[2])


@pytest.mark.models(forms=("layer", "graph"))
def test_both_ways(case: Case, executor: Executor, model: str) -> None:
    """The command and `paddle.onnx.export` write the same model: operators, attributes and constants."""
    require_onnx(executor)
    first, second = converted(executor, model), exported(executor, model)
    found = executor.pool.call("inspection.onnx_files.differences", first=first, second=second)
    case.exact("differences", found, [])


@decides
def test_every_node(case: Case, executor: Executor, model: str) -> None:
    """Every intermediate tensor with a counterpart in Paddle's program has the counterpart's value."""
    require_onnx(executor)
    if executor.profile == "legacy-ir" and not executor.paddle.startswith("2."):
        raise NotApplicable("paddle2onnx 2 translates a .pdmodel first, and names tensors by the translation")
    found = onnx_models.first_diverging(
        executor, model, converted(executor, model), executor.sample(model, 3, 1)
    )
    if not found["nodes"]:
        raise NotApplicable("the converted file has no tensor between its inputs and outputs")
    case.measures["nodes"] = found
    case.exact("first diverging node", found["first"], "")
    case.at_least("share of nodes with a counterpart", found["compared"] / found["nodes"], COUNTERPARTS)
    if found["first"]:
        case.notes.append(onnx_models.sentence(found))


@pytest.mark.brief(opset=(17,))
@pytest.mark.parametrize("opset", OPSETS)
def test_opset(case: Case, executor: Executor, opset: int) -> None:
    """LeNet exported in each supported opset is a valid file of that opset with the network's outputs."""
    hold_opset(case, executor, "lenet", opset)


@pytest.mark.full
@pytest.mark.models(forms=("layer", "graph"))
@pytest.mark.parametrize("opset", OPSETS)
def test_opset_of_every_model(case: Case, executor: Executor, model: str, opset: int) -> None:
    """The same for every model: the file has the requested opset, or the next that can express the model."""
    hold_opset(case, executor, model, opset)


def hold_opset(case: Case, executor: Executor, model: str, opset: int) -> None:
    """Check one opset of one model, exported by `paddle.onnx.export`."""
    require_onnx(executor)
    low, high = executor.pool.call("recipes.onnx_export.opsets")
    if not low <= opset <= high:
        raise NotApplicable(f"the installed paddle2onnx supports opsets {low} to {high}")
    path = exported(executor, model, opset, tuple(range(low, high + 1)))
    found = executor.pool.call("inspection.onnx_files.inspect", path=path)
    whole(case, found)
    case.at_least("opset", found.get("opset", 0), opset)
    case.at_most("opset", found.get("opset", 0), max(opset, OPSET))
    feeds = [executor.sample(model, batch, batch) for batch in (1, 3)]
    result = executor.execute(executor.targets[onnx_models.ONNXRUNTIME], model, feeds, files={"model": path})
    close_runs(case, "", result.outputs, executor.oracle(model, feeds), executor.tolerances(model, feeds))


@pytest.mark.brief
@pytest.mark.parametrize("way", ["command", "export"])
def test_opset_too_high(case: Case, executor: Executor, tmp_path: Path, way: str) -> None:
    """An opset above the supported range is refused with a reason, and leaves no file."""
    require_onnx(executor)
    asked = executor.pool.call("recipes.onnx_export.opsets")[1] + 1
    if way == "command":
        found = convert(executor, Path(onnx_models.program(executor, "lenet")["folder"]), tmp_path, asked)
        case.exact("the exit status is a refusal", found["status"] != 0, True)
        case.exact("bytes written", found["bytes"], -1)
        case.exact("the reason names the opset", "opset" in " ".join(found["said"]).lower(), True)
        return
    made = executor.pool.call(
        "recipes.onnx_export.attempt",
        model="lenet",
        weights=executor.builder.artifact("checkpoint", "lenet").file("model.pdparams"),
        prefix=str(tmp_path / "model"),
        opset=asked,
    )
    case.exact("bytes written", made["bytes"], -1)
    case.exact("what is raised names the opset", "opset" in made["raised"].lower(), True)


def convert(executor: Executor, folder: Path, out: Path, opset: int) -> dict[str, Any]:
    """Run the command on the program in the folder; return how it ended."""
    program = next(file for file in sorted(folder.iterdir()) if file.suffix in (".json", ".pdmodel"))
    found: dict[str, Any] = executor.pool.call(
        "recipes.onnx_export.convert",
        program=str(program),
        params=str(folder / "model.pdiparams"),
        out=str(out / "model.onnx"),
        opset=opset,
    )
    return found


@pytest.mark.brief
def test_opset_too_low(case: Case, executor: Executor) -> None:
    """An opset below the supported range becomes the lowest one, and the command says so."""
    require_onnx(executor)
    low, _ = executor.pool.call("recipes.onnx_export.opsets")
    made = executor.builder.artifact("onnx", "lenet", opset=low - 4)
    reported = f"opset_version = {low} " in " ".join(made.values["said"])
    case.exact("the opset used is told", reported, True)
    found = executor.pool.call("inspection.onnx_files.inspect", path=made.file("model.onnx"))
    case.exact("opset", found.get("opset"), low)


@pytest.mark.brief
def test_no_program(case: Case, executor: Executor, tmp_path: Path) -> None:
    """The command refuses what it cannot read: its status is not 0, and it leaves no empty file."""
    require_onnx(executor)
    onnx_models.json_program(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    found = convert(executor, tmp_path, out, OPSET)
    case.measures["refusal"] = found
    case.exact("the exit status is a refusal", found["status"] != 0, True)
    case.exact("bytes written", found["bytes"], -1)


@pytest.mark.methods(names=("qat-slim",))
def test_quantized(
    case: Case, executor: Executor, run_session: RunSession, tmp_path: Path, model: str, method: MethodInfo
) -> None:
    """A quantization-aware trained model converts, and onnxruntime gives its classes and its accuracy."""
    hold_quantized(executor, Subject(case, executor, run_session, model, method), tmp_path)


@pytest.mark.full
@pytest.mark.methods(names=("ptq-static-hist",))
def test_quantized_afterwards(
    case: Case, executor: Executor, run_session: RunSession, tmp_path: Path, model: str, method: MethodInfo
) -> None:
    """The same for a model with post-training quantization."""
    hold_quantized(executor, Subject(case, executor, run_session, model, method), tmp_path)


def hold_quantized(executor: Executor, subject: Subject, tmp_path: Path) -> None:
    """Convert a quantized program and compare onnxruntime's logits with Paddle's simulation of it."""
    require_onnx(executor)
    case, model = subject.case, subject.model
    feeds, labels = subject.digits()
    simulated = logits(subject.run(subject.target(PLAIN), feeds).outputs)
    found = convert(executor, Path(subject.files()["folder"]), tmp_path, OPSET)
    case.exact("exit status", (found["status"], *found["said"][-3:]) if found["status"] else 0, 0)
    if found["status"]:
        return
    path = str(tmp_path / "model.onnx")
    whole(case, executor.pool.call("inspection.onnx_files.inspect", path=path))
    error = subject.quantization_error(feeds, simulated)
    target = executor.targets[onnx_models.ONNXRUNTIME]
    got = logits(executor.execute(target, model, feeds, files={"model": path}).outputs)
    subject.facts["onnx"] = {
        "error": rms(got - simulated),
        "quantization_error": error,
        "same_class": agreement(got, simulated),
    }
    case.at_most("distance from Paddle's, over the quantization error", rms(got - simulated) / error, MOVED)
    case.at_least("share of digits with Paddle's class", agreement(got, simulated), SAME_CLASS)
    lost, stands = subject.accuracy("onnx_accuracy", simulated, got, labels, subject.bound)
    case.notes.append(f"onnxruntime against Paddle's simulation: {lost.sentence()}")
    case.exact("onnxruntime loses more than the bound", stands is non_inferiority.Standing.worse, False)


@pytest.mark.brief
@pytest.mark.targets(names=("onnxruntime", "openvino", "openvino-pdmodel"))
def test_engine_as_asked(case: Case, executor: Executor, target: Target) -> None:
    """An engine reports the requested settings: the processor, threads, and float32 arithmetic."""
    require(executor, target)
    feed = executor.sample("lenet", 2)
    result = executor.execute(target, "lenet", [feed])
    described = result.describe
    case.measures["describe"] = described
    asked = {"device": "cpu", **target.options}
    case.exact("what it says it runs with", {name: described.get(name) for name in asked}, asked)
    close_all(
        case,
        "outputs",
        result.outputs[0],
        executor.oracle("lenet", [feed])[0],
        executor.tolerances("lenet", [feed]),
    )
