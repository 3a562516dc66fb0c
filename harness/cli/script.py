"""Write a recorded case as a script: a folder that needs Paddle and nothing of this project.

It holds ``repro.py``, whose text is of :mod:`harness.execution.plain_paddle`, the artifact, the feeds, what
the oracle expects and, for dynamic graph, the model's file.
"""

from __future__ import annotations

import ast
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from harness.checks.tolerance import Tolerance
from harness.core.errors import HarnessError, NotApplicable
from harness.core.types import Record
from harness.execution import plain_paddle
from harness.execution.executor import Executor
from harness.jobs.rerun import options_of
from harness.models.catalogue import ModelInfo, model_source
from harness.plugin.session import RunSession
from harness.records.files import Run
from harness.targets.target import Target

FEEDS = ((1, 0), (1, 0), (3, 1), (8, 2), (2, 3), (1, 4), (1, 0))
"""(batch, seed) of the script's runs: the first twice, other batch sizes, the first once more."""


def write_script(run: Run, record: Record, root: Path, out: Path | None = None) -> Path:
    """Write a folder with ``repro.py`` and all that it reads: plain Paddle calls for the case.

    Args:
        out: the folder (default: ``scripts/<case>`` in the run's folder).

    Raises:
        HarnessError: the case cannot be written as plain calls, or its files cannot be made.
    """
    refusal = f"{record.case} cannot be written as plain Paddle calls: use `harness rerun` without --script"
    if not record.model or not record.target:
        raise HarnessError(refusal)
    with tempfile.TemporaryDirectory() as scratch:
        session = RunSession(
            msgspec.structs.replace(options_of(run), folder=scratch, claims=()), root, root / "suites"
        )
        try:
            executor = session.executor
            target = executor.targets.get(record.target)
            if (
                target is None
                or record.model not in executor.models
                or target.runtime not in plain_paddle.runtimes()
            ):
                raise HarnessError(refusal)
            reason = executor.not_applicable(target)
            if reason:
                raise HarnessError(f"{record.target} cannot run here: {reason}")
            name = re.sub(r"[^\w.-]+", "-", record.case).strip("-")
            return _write(executor, record, target, out or run.folder / "scripts" / name)
        finally:
            session.close()


def _write(executor: Executor, record: Record, target: Target, folder: Path) -> Path:
    reason = executor.builder.refusal(record.model)
    if reason:
        raise HarnessError(f"{record.model} is refused here: {reason}")
    model = executor.models[record.model]
    layout = "separate" if "separate" in record.case else "combined"
    try:
        files = executor.builder.files(target, model.name, layout)
    except NotApplicable as error:
        raise HarnessError(f"{record.case} cannot be written as plain Paddle calls: {error}") from error
    if model.form and (target.runtime == "dygraph" or (target.runtime == "jit" and "prefix" not in files)):
        raise HarnessError(f"{record.case} runs your own files: use `harness rerun` without --script")
    feeds = [executor.sample(model.name, batch, seed) for batch, seed in FEEDS]
    oracle = executor.oracle(model.name, feeds)
    tolerances = executor.tolerances(model.name, feeds, target.storage)
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        local = _copy_files(files, folder)
        for number, (feed, outputs) in enumerate(zip(feeds, oracle, strict=True), 1):
            for spec, array in zip(model.inputs, feed, strict=True):
                np.save(folder / f"feed-{number}-{spec[0]}.npy", array)
            for index, array in enumerate(outputs):
                np.save(folder / f"expected-{number}-{index}.npy", array)
        if target.runtime == "dygraph":
            (folder / "model.py").write_text(standalone_model(model_source(model.file)))
        script = folder / "repro.py"
        env = {"OMP_NUM_THREADS": "1", **dict(executor.spec(target).env)}
        script.write_text(text_of(record, target, model, local, env, tolerances, len(feeds), executor.paddle))
    except OSError as error:
        raise HarnessError(f"cannot write {folder} ({error.strerror}): free some space") from error
    return script


def text_of(
    record: Record,
    target: Target,
    model: ModelInfo,
    files: Mapping[str, str],
    env: Mapping[str, str],
    tolerances: Sequence[Tolerance],
    runs: int,
    paddle: str,
) -> str:
    """The whole of ``repro.py`` for a case of this target and model.

    Args:
        files: the artifact's files, as seen from the script's folder.
        env: environment variables to set before Paddle is imported.
        tolerances: how far each output may be from the oracle.
        runs: how many feeds lie beside the script.
        paddle: the version to name.

    Raises:
        HarnessError: the target has an option that no plain call is known for.
    """
    if target.runtime != "predictor" and target.options:
        raise HarnessError(f"{target.name} has options: use `harness rerun` without --script")
    return plain_paddle.render(
        "case",
        title=(record.title or record.case).replace("\\", "").replace('"', "'"),
        case=record.case,
        paddle=paddle,
        env=dict(env),
        inputs=[spec[0] for spec in model.inputs],
        runs=runs,
        allowed=[(allowance.rmse, allowance.largest) for allowance in tolerances],
        plain=plain_paddle.of_runtime(
            target.runtime,
            model=model.name,
            files={"params": None, **files},
            config=[*plain_paddle.config_calls(target.options)] if target.runtime == "predictor" else [],
        ),
    )


def _copy_files(files: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Copy the artifact's files below ``folder/files``; return their paths as the script uses them."""
    paths = {name: Path(value) for name, value in files.items()}
    source = paths.get("folder") or next(path.parent for path in paths.values() if path.is_absolute())
    shutil.copytree(source, folder / "files")
    # Names of files inside the folder stay unchanged; absolute paths become relative to the script.
    return {
        name: str(Path("files") / path.relative_to(source)) if path.is_absolute() else str(path)
        for name, path in paths.items()
    }


_STAND_INS = """
# Stand-ins for the harness's own types, so that this file runs without it.
from types import SimpleNamespace


def _record(*values, **fields):
    return SimpleNamespace(**{"arguments": {}, **fields})


"""


def standalone_model(file: Path) -> str:
    """Return the source of a reference model, with the harness's types replaced by stand-ins.

    Raises:
        HarnessError: it imports more of this project than the stand-ins cover.
    """
    source = file.read_text()
    tree = ast.parse(source)
    lines = source.splitlines(keepends=True)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        imported = [module] if module else [alias.name for alias in node.names]
        if not any(name.split(".")[0] in ("harness", "reference_models") for name in imported):
            continue
        if module != "harness.worker.models.model" or node not in tree.body:
            raise HarnessError(
                f"{file.name} needs more of this project: use `harness rerun` without --script"
            )
        last = node.end_lineno or node.lineno
        lines[node.lineno - 1 : last] = [""] * (last - node.lineno + 1)
        names = " = ".join(alias.asname or alias.name for alias in node.names)
        lines[node.lineno - 1] = f"{_STAND_INS}{names} = _record\n"
    return "".join(lines)
