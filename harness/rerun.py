"""Running again: a recorded case through pytest, or as a script of plain Paddle calls."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from harness.compare import Yardstick
from harness.errors import HarnessError
from harness.lab import Lab, ModelInfo
from harness.options import Options
from harness.records import Run, read_run
from harness.session import RunSession
from harness.targets import Target
from harness.types import Record
from harness.workers import ROOT

RUNS = "reports"
MOST_CANDIDATES = 8

FEEDS = ((1, 0), (1, 0), (3, 1), (8, 2), (2, 3), (1, 4), (1, 0))
"""(batch, seed) of the script's runs: the same again, other batch sizes, the first once more."""


def project_root(start: Path | None = None) -> Path:
    """The folder with ``suites/``: here or above, else the checkout the harness is imported from.

    Raises:
        HarnessError: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, ROOT):
        if (folder / "suites").is_dir():
            return folder
    raise HarnessError(f"no suites/ folder in {here} or above it: run this in the project's folder")


def new_folder(root: Path, *parts: str) -> Path:
    """A name for a new folder below ``reports/``."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return root.joinpath(RUNS, *parts, f"{stamp}-{os.getpid()}")


def open_run(name: str, root: Path) -> Run:
    """The run of that name: a folder, its ``records.jsonl``, or a name below ``reports/``.

    Raises:
        HarnessError: there is none; the newest there are.
    """
    for path in (Path(name), root / RUNS / name):
        if path.exists():
            return read_run(path.resolve())
    runs = sorted(
        path.parent.name for path in (root / RUNS).glob("*/records.jsonl") if path.parent.name != "latest"
    )
    there = f"the newest are {', '.join(runs[-3:])}" if runs else f"{root / RUNS} holds none yet"
    raise HarnessError(f"no run {name}: {there}")


def find_case(run: Run, wanted: str) -> Record:
    """The record whose case id is ``wanted``, or the only one that contains it.

    Raises:
        HarnessError: none or several do; which.
    """
    records = {record.case: record for record in run.records}
    if wanted in records:
        return records[wanted]
    found = [case for case in records if wanted in case]
    if len(found) == 1:
        return records[found[0]]
    if not found:
        raise HarnessError(
            f"no case of {run.header.run} contains {wanted!r}: see `harness report {run.header.run}`"
        )
    more = f" and {len(found) - MOST_CANDIDATES} more" if len(found) > MOST_CANDIDATES else ""
    raise HarnessError(f"{wanted!r} is in {len(found)} cases: {', '.join(found[:MOST_CANDIDATES])}{more}")


def options_of(run: Run) -> Options:
    """The options the run was started with.

    Raises:
        HarnessError: they are not of this harness's kind.
    """
    try:
        return msgspec.convert({**run.header.options, "run_folder": ""}, Options)
    except msgspec.ValidationError as error:
        raise HarnessError(f"the options of {run.header.run} cannot be used again: {error}") from error


def arguments(options: Options) -> list[str]:
    """pytest arguments that give these options."""
    default = Options()
    found = []
    for name in Options.__struct_fields__:
        value = getattr(options, name)
        if value == getattr(default, name):
            continue
        flag = "--" + name.replace("_", "-")
        if name == "targets_file":
            found += [f"{flag}={file}" for file in value]
        else:
            found.append(f"{flag}={','.join(value) if isinstance(value, tuple) else value}")
    return found


def run_again(run: Run, record: Record, root: Path) -> tuple[int, Record | None]:
    """Run this check alone, with the run's options: pytest's exit status, and the new record.

    Raises:
        HarnessError: pytest left no records; its own words.
    """
    folder = new_folder(root, "reruns")
    options = msgspec.structs.replace(options_of(run), run_folder=str(folder))
    command = [sys.executable, "-m", "pytest", record.nodeid, "-q", "-p", "no:cacheprovider", "--color=no"]
    done = subprocess.run(
        [*command, *arguments(options)], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    if not (folder / "records.jsonl").exists():
        shutil.rmtree(folder, ignore_errors=True)
        raise HarnessError(f"{record.case} could not be run again: {last_error(done.stdout)}")
    records = {found.case: found for found in read_run(folder).records}
    return done.returncode, records.get(record.case)


def last_error(text: str) -> str:
    """pytest's own word on why it did not run."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pytest printed nothing"])[-1]


# The script


def write_script(run: Run, record: Record, root: Path, out: Path | None = None) -> Path:
    """A folder with ``repro.py`` and all it reads: plain Paddle calls on the case's model and target.

    Args:
        out: the folder (default: ``scripts/<case>`` in the run's).

    Raises:
        HarnessError: the case is not of that kind, or what it needs cannot be made.
    """
    refusal = f"{record.case} cannot be told as plain Paddle calls: use `harness rerun` without --script"
    if not record.model or not record.target:
        raise HarnessError(refusal)
    with tempfile.TemporaryDirectory() as scratch:
        session = RunSession(
            msgspec.structs.replace(options_of(run), run_folder=scratch, claims=()), root, root / "suites"
        )
        try:
            lab = session.lab
            target = lab.targets.get(record.target)
            if target is None or record.model not in lab.models or target.runtime not in _LOAD:
                raise HarnessError(refusal)
            reason = lab.not_applicable(target)
            if reason:
                raise HarnessError(f"{record.target} cannot run here: {reason}")
            slug = re.sub(r"[^\w.-]+", "-", record.case).strip("-")
            folder = out or run.folder / "scripts" / slug
            return _write(lab, record, target, folder)
        finally:
            session.close()


def _write(lab: Lab, record: Record, target: Target, folder: Path) -> Path:
    model = lab.models[record.model]
    layout = "separate" if "separate" in record.case else "combined"
    files = lab.files(target, model.name, layout)
    feeds = [lab.sample(model.name, batch, seed) for batch, seed in FEEDS]
    oracle = lab.oracle(model.name, feeds)
    yardsticks = lab.yardsticks(model.name, feeds, target.storage)
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
            (folder / "model.py").write_text(standalone_model(ROOT / "reference_models" / model.file))
        script = folder / "repro.py"
        env = {"OMP_NUM_THREADS": "1", **dict(lab.spec(target).env)}
        script.write_text(_script(lab, record, target, model, local, env, yardsticks))
    except OSError as error:
        raise HarnessError(f"cannot write {folder} ({error.strerror}): free some space") from error
    return script


def _copy_files(files: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The artifact's files below ``folder/files``, and their paths as the script writes them."""
    paths = {name: Path(value) for name, value in files.items()}
    source = paths.get("folder") or paths["params"].parent
    shutil.copytree(source, folder / "files")
    # Names of files inside the folder stay; absolute paths become relative to the script.
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
    """A reference model's file with the harness's types replaced by stand-ins.

    Raises:
        HarnessError: it imports more of this project than they cover.
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
        if module != "harness.worker.model" or node not in tree.body:
            raise HarnessError(
                f"{file.name} needs more of this project: use `harness rerun` without --script"
            )
        last = node.end_lineno or node.lineno
        lines[node.lineno - 1 : last] = [""] * (last - node.lineno + 1)
        names = " = ".join(alias.asname or alias.name for alias in node.names)
        lines[node.lineno - 1] = f"{_STAND_INS}{names} = _record\n"
    return "".join(lines)


_HEAD = '''"""{title}

Case {case} of the Paddle conformance harness, as plain Paddle calls.
Run with Paddle {paddle}: python {script}
Exit status 0: all outputs are within what they may differ from the float64 oracle by; 1: not.
"""

import os
import sys

# Read when Paddle is imported, so set before.
os.environ.update({env!r})

import numpy as np
import paddle

os.chdir(os.path.dirname(os.path.abspath(__file__)))

INPUTS = {inputs!r}
RUNS = {runs}
# Allowed root mean square and largest error of each output.
ALLOWED = {allowed!r}

print("Paddle", paddle.__version__)
'''

_TAIL = """

wrong = 0
for run in range(1, RUNS + 1):
    feed = [np.load(f"feed-{run}-{name}.npy") for name in INPUTS]
    outputs = infer(feed)
    if len(outputs) != len(ALLOWED):
        sys.exit(f"run {run}: {len(outputs)} outputs where {len(ALLOWED)} were expected")
    for index, got in enumerate(outputs):
        expected = np.load(f"expected-{run}-{index}.npy")
        got = np.asarray(got)
        place = f"run {run} (batch {len(feed[0])}), output {index}"
        if got.shape != expected.shape:
            print(f"{place}: shape {got.shape} where {expected.shape} was expected")
            wrong += 1
            continue
        if not np.issubdtype(expected.dtype, np.floating):
            bad, text = not np.array_equal(got, expected), f"{int((got != expected).sum())} elements differ"
        else:
            error = np.abs(got.astype("float64") - expected)
            rms, largest = float(np.sqrt(np.mean(error**2))), float(error.max())
            # Written so that a NaN is a disagreement.
            bad = not (rms <= ALLOWED[index][0] and largest <= ALLOWED[index][1])
            text = "rms error %.3g (allowed %.3g), largest %.3g (allowed %.3g)" % (
                rms, ALLOWED[index][0], largest, ALLOWED[index][1]
            )
        if bad:
            wrong += 1
            text += f"\\n  got      {got.reshape(-1)[:6]}\\n  expected {expected.reshape(-1)[:6]}"
        print(f"{place}: {'DISAGREES' if bad else 'agrees'}: {text}")
print(f"{wrong} of {RUNS * len(ALLOWED)} outputs disagree")
sys.exit(1 if wrong else 0)
"""

_OUTPUTS = """

def flat(result):
    if isinstance(result, (list, tuple)):
        return [array for item in result for array in flat(item)]
    return [result.numpy()]
"""

_LOAD = {
    "dygraph": """
import model

(chosen,) = [m for m in (getattr(model, "MODELS", None) or [model.MODEL]) if m.name == {model!r}]
network = chosen.build(**chosen.arguments)
missing, unexpected = network.set_state_dict(paddle.load({params!r}))
assert not missing and not unexpected, (missing, unexpected)
network.eval()
"""
    + _OUTPUTS
    + """

def infer(feed):
    with paddle.no_grad():
        return flat(network(*map(paddle.to_tensor, feed)))
""",
    "jit": """
layer = paddle.jit.load({prefix!r})
layer.eval()
"""
    + _OUTPUTS
    + """

def infer(feed):
    with paddle.no_grad():
        return flat(layer(*map(paddle.to_tensor, feed)))
""",
    "static": """
paddle.enable_static()
executor = paddle.static.Executor(paddle.CPUPlace())
program, feed_names, fetches = paddle.static.load_inference_model(
    {folder!r}, executor, model_filename={program!r}, params_filename={params!r}
)


def infer(feed):
    return executor.run(program, feed=dict(zip(feed_names, feed)), fetch_list=fetches)
""",
    "predictor": """
from paddle.inference import Config, create_predictor

{config}
predictor = create_predictor(config)


def infer(feed):
    for name, array in zip(INPUTS, feed):
        handle = predictor.get_input_handle(name)
        handle.reshape(list(array.shape))
        handle.copy_from_cpu(np.ascontiguousarray(array))
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
""",
}


def _script(
    lab: Lab,
    record: Record,
    target: Target,
    model: ModelInfo,
    files: Mapping[str, str],
    env: Mapping[str, str],
    yardsticks: Sequence[Yardstick],
) -> str:
    head = _HEAD.format(
        title=(record.title or record.case).replace("\\", "").replace('"', "'"),
        case=record.case,
        paddle=lab.paddle,
        script="repro.py",
        env=dict(env),
        inputs=[spec[0] for spec in model.inputs],
        runs=len(FEEDS),
        allowed=[(yardstick.rmse, yardstick.largest) for yardstick in yardsticks],
    )
    values: dict[str, Any] = {
        "prefix": "",
        "folder": "",
        "program": "",
        "params": None,
        **files,
        "model": model.name,
    }
    if target.runtime == "predictor":
        values["config"] = "\n".join(_config(files, target.options))
    elif target.options:
        raise HarnessError(f"{target.name} has options: use `harness rerun` without --script")
    return head + _LOAD[target.runtime].format(**values) + _TAIL


def _config(files: Mapping[str, str], options: Mapping[str, Any]) -> Iterator[str]:
    """The `Config` calls that the worker's predictor makes for these options.

    Raises:
        HarnessError: an option this writer does not know, which must not be left out in silence.
    """
    known = {
        "device",
        "gpu_memory_mb",
        "gpu_id",
        "onednn",
        "bfloat16",
        "ir_optim",
        "memory_optim",
        "threads",
        "log",
    }
    unknown = ", ".join(sorted(set(options) - known))
    if unknown:
        raise HarnessError(f"the option {unknown} has no plain call: use `harness rerun` without --script")
    yield (
        f"config = Config({files['model']!r}, {files['params']!r})"
        if "model" in files
        else (f"config = Config({files['folder']!r})")
    )
    if options.get("device") == "gpu":
        yield f"config.enable_use_gpu({options.get('gpu_memory_mb', 256)}, {options.get('gpu_id', 0)})"
    else:
        yield "config.disable_gpu()"
    if "onednn" in options:
        yield f"config.{'enable' if options['onednn'] else 'disable'}_mkldnn()"
    if options.get("bfloat16"):
        yield "config.enable_mkldnn_bfloat16()"
    if "ir_optim" in options:
        yield f"config.switch_ir_optim({bool(options['ir_optim'])})"
    if options.get("memory_optim"):
        yield "config.enable_memory_optim()"
    yield f"config.set_cpu_math_library_num_threads({int(options.get('threads', 1))})"
