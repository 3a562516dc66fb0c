"""Document 004 §4: inference models, also compressed ones, converted with Paddle Lite's `opt` and run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.checks.case import Case, close_runs
from harness.execution.executor import Executor
from harness.models.catalogue import MethodInfo
from harness.plugin.session import RunSession
from harness.pool.workers import WorkerFailure
from harness.targets.target import Target
from suites.support.compression import PLAIN, Subject
from suites.support.logits import agreement, logits
from suites.test_agreement import require
from suites.test_compression import SAME_CLASS

pytestmark = [pytest.mark.area("Paddle Lite", runtime=True), pytest.mark.runs("paddle_lite")]

BATCHES = (1, 3, 1)
SUPPORTED = "Paddle-Lite supports this model!"
SHARE = 0.8
"""Least share of the parameters' bytes in a conversion: folding a BatchNorm leaves some out."""

TARGET = "paddle-lite"

METHODS = ("ptq-config", "prune-config", "ptq-static-hist", "qat-static")
"""Methods of documents 000, 001 and 004, without document 004's quantization-aware training."""

ASKED = {
    "version": (["--version"], True, "v2."),
    "operators of a model": (["MODEL", "--print_model_ops=true"], True, SUPPORTED),
    "no such target": (["MODEL", "--valid_targets=abacus", "--optimize_out=OUT"], False, "abacus"),
    "no such model": (["--model_file=OUT", "--param_file=OUT", "--optimize_out=OUT"], False, "not existed"),
    "nothing to write": (["MODEL"], False, "optimize_out"),
}
"""Arguments of `opt`, whether it can do that, and what its answer must name."""


def lite(executor: Executor) -> Target:
    """Return the Paddle Lite target; end the case as not run where it cannot run here."""
    target = executor.targets[TARGET]
    require(executor, target)
    return target


@pytest.mark.brief(model=("lenet",))
@pytest.mark.claims("004-lite")
def test_converts_and_agrees(case: Case, executor: Executor, model: str) -> None:
    """`opt` knows all the model's operators and converts it for x86 and arm, and the x86 result agrees."""
    target = lite(executor)
    made = executor.builder.conversion(target, model)
    case.measures["lite"] = {
        "bridge": made.values["bridge"],
        "opt": made.values["opt"],
        "files": {
            name: {"bytes": made.manifest.sizes[file], "sha256": made.manifest.files[file]}
            for name, file in made.values["files"].items()
        },
    }
    for name, done in made.values["conversions"].items():
        case.exact(f"{name}: exit status", done["status"], 0)
        case.exact(f"{name}: opt says it saved", "successfully" in done["printed"], True)
        case.at_least(f"{name}: bytes", done["bytes"], SHARE * made.values["parameter_bytes"])
        case.at_least(f"{name}: operators listed", len(done["operators"]), 3)
        case.exact(f"{name}: operators without a kernel", done["without kernel"], [])
        case.exact(f"{name}: opt's verdict", done["verdict"], SUPPORTED)
    feeds = [executor.sample(model, batch) for batch in BATCHES]
    got = executor.execute(target, model, feeds)
    case.measures["describe"] = got.describe
    close_runs(case, "x86, ", got.outputs, executor.oracle(model, feeds), executor.tolerances(model, feeds))


def compare_compressed(case: Case, executor: Executor, subject: Subject, tmp_path: Path) -> None:
    """Convert a compressed model for both processors, and compare the x86 conversion's classes."""
    target = executor.targets[TARGET]
    files = subject.files()
    for name in ("x86", "arm"):
        done = executor.pool.call(
            "lite.opt.convert",
            **executor.options(target),
            program=files["model"],
            params=files["params"],
            target=name,
            out=str(tmp_path / name),
        )
        case.exact(f"{name}: exit status", done["status"], 0)
        case.at_least(f"{name}: bytes", done["bytes"], 1)
    feeds, _ = subject.digits()
    expected = logits(subject.run(subject.target(PLAIN), feeds).outputs)
    converted = {"model": str(tmp_path / "x86.nb")}
    got = logits(executor.execute(target, subject.model, feeds, files=converted).outputs)
    case.exact("values that are no numbers", int((~np.isfinite(got)).sum()), 0)
    case.at_least("share of digits with the predictor's class", agreement(got, expected), SAME_CLASS)


@pytest.mark.brief
@pytest.mark.claims("004-lite")
@pytest.mark.methods(names=("qat-config",))
def test_quantized_model(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo, tmp_path: Path
) -> None:
    """Document 004's quantized model converts for x86 and for arm and chooses the predictor's classes."""
    lite(executor)
    compare_compressed(case, executor, Subject(case, executor, run_session, model, method), tmp_path)


@pytest.mark.claims("004-lite")
@pytest.mark.full
@pytest.mark.methods(names=METHODS)
def test_compressed_model(
    case: Case, executor: Executor, run_session: RunSession, model: str, method: MethodInfo, tmp_path: Path
) -> None:
    """The same for a model that was quantized in another way, or pruned."""
    lite(executor)
    compare_compressed(case, executor, Subject(case, executor, run_session, model, method), tmp_path)


@pytest.mark.brief
@pytest.mark.claims("004-lite")
def test_program_as_exported(case: Case, executor: Executor, tmp_path: Path) -> None:
    """`opt` converts LeNet as `jit.save` writes it, without a change to the program."""
    target = lite(executor)
    exported = executor.builder.artifact("jit", "lenet")
    done = executor.pool.call(
        "lite.opt.convert",
        **executor.options(target),
        program=exported.file(exported.values["program"]),
        params=exported.file("inference_model", "model.pdiparams"),
        target="x86",
        out=str(tmp_path / "model"),
    )
    case.exact(f"exit status for {Path(exported.values['program']).name}", done["status"], 0)
    case.at_least("bytes", done["bytes"], 1)


@pytest.mark.brief
@pytest.mark.parametrize("asked", ASKED)
def test_exit_status(case: Case, executor: Executor, asked: str, tmp_path: Path) -> None:
    """`opt` ends with status 0 where it did what was asked, and with another status where it did not."""
    target = lite(executor)
    files = executor.builder.conversion(target, "lenet").manifest.origin["needs"]["jit"]
    program = executor.builder.store.root / files / "inference_model" / "model"
    arguments, possible, names = ASKED[asked]
    replaced = {
        "MODEL": [f"--model_file={program}.pdmodel", f"--param_file={program}.pdiparams"],
        "OUT": str(tmp_path / "out"),
    }
    given = [
        part.replace("OUT", str(replaced["OUT"]))
        for argument in arguments
        for part in (replaced["MODEL"] if argument == "MODEL" else [argument])
    ]
    done = executor.pool.call("lite.opt.opt", arguments=given, **executor.options(target))
    case.exact("its answer names it", names in done["printed"], True)
    case.exact("ends with status 0", done["status"] == 0, possible)


@pytest.mark.brief
def test_other_processor(case: Case, executor: Executor) -> None:
    """A model that was converted for arm is refused on x86."""
    target = lite(executor)
    made = executor.builder.conversion(target, "lenet")
    files = {"model": made.file(made.values["files"]["arm"])}
    try:
        executor.execute(target, "lenet", [executor.sample("lenet", 1)], files=files)
        found = "gave outputs"
    except WorkerFailure as refused:
        found = "refused"
        case.notes.append(refused.sentence)
    case.exact("arm's .nb on x86", found, "refused")
