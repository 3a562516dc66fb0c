"""A finding as a script of plain Paddle: prints expected and got, and ends with 1 where they differ."""

from __future__ import annotations

from typing import Any

from harness.fuzz.examine import batches
from harness.fuzz.findings import Finding
from harness.fuzz.verdict import COARSE
from harness.pool.workers import WorkerPool

_EXPORT = """\
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[{specs}])
"""

_EXPORT_ACROSS = """\
if len(sys.argv) < 2:
    sys.exit("usage: SCRIPT FOLDER: first in the release that writes into it, then in the one that reads")
prefix = sys.argv[1] + "/model"
if not os.path.isdir(sys.argv[1]):
    paddle.jit.save(net, prefix, input_spec=[{specs}])
    np.savez(sys.argv[1] + "/expected.npz", *expected)
    sys.exit(0)
expected = list(np.load(sys.argv[1] + "/expected.npz").values())
"""

_PROGRAM = 'program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")\n'
_PREDICTOR = """\
{options}config.disable_glog_info()
predictor = paddle.inference.create_predictor(config)


def run(feed):
    for name, array in zip(sorted(predictor.get_input_names()), feed):
        predictor.get_input_handle(name).copy_from_cpu(array)
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
"""

_RUN = {
    "dygraph": "",
    "permuted": "",
    "rows": "",
    "export": "",
    "restored": """\
path = tempfile.mkdtemp() + "/state.pdparams"
paddle.save(net.state_dict(), path)
other = Network()
other.eval()
for parameter in other.parameters():
    parameter.set_value(paddle.zeros_like(parameter))
other.set_state_dict(paddle.load(path))
""",
    "jit": "loaded = paddle.jit.load(prefix)\n",
    "static": """\
paddle.enable_static()
executor = paddle.static.Executor(paddle.CPUPlace())
program, names, fetches = paddle.static.load_inference_model(prefix, executor)
""",
    "separate": _PROGRAM
    + """\
folder = prefix + "-separate"
paddle.enable_static()
executor = paddle.static.Executor(paddle.CPUPlace())
loaded, _, _ = paddle.static.load_inference_model(prefix, executor)
paddle.static.save_vars(
    executor, dirname=folder, main_program=loaded, predicate=paddle.static.io.is_persistable
)
shutil.copy(program, folder + "/__model__")
config = paddle.inference.Config(folder)
"""
    + _PREDICTOR,
    "predictor": _PROGRAM + 'config = paddle.inference.Config(program, prefix + ".pdiparams")\n' + _PREDICTOR,
    "onnx": _PROGRAM
    + """\
paddle2onnx.export(program, prefix + ".pdiparams", prefix + ".onnx", 17)
session = onnxruntime.InferenceSession(prefix + ".onnx", providers=["CPUExecutionProvider"])
""",
}

_INFER = {
    "dygraph": "[t.numpy() for t in tensors(net(*map(paddle.to_tensor, feed)))]",
    "permuted": "[t.numpy()[::-1] for t in tensors(net(*[paddle.to_tensor(a[::-1].copy()) for a in feed]))]",
    "rows": "[np.concatenate(rows) for rows in zip(*[[t.numpy() for t in tensors(net(*[paddle.to_tensor("
    "a[i:i + 1]) for a in feed]))] for i in range(len(feed[0]))])]",
    "export": "expected",
    "restored": "[t.numpy() for t in tensors(other(*map(paddle.to_tensor, feed)))]",
    "jit": "[t.numpy() for t in tensors(loaded(*map(paddle.to_tensor, feed)))]",
    "static": "executor.run(program, feed=dict(zip(names, feed)), fetch_list=fetches)",
    "separate": "run(feed)",
    "predictor": "run(feed)",
    "onnx": 'session.run(None, {f"x{i}": array for i, array in enumerate(feed)})',
}

_OPTIONS = {
    "separate": "config.disable_mkldnn()\n",
    "predictor-no-onednn": "config.disable_mkldnn()\n",
    "predictor-no-ir": "config.disable_mkldnn()\nconfig.switch_ir_optim(False)\n",
    "predictor-memory": "config.enable_memory_optim()\n",
    "predictor-bf16": "config.enable_mkldnn()\nconfig.enable_mkldnn_bfloat16()\n",
}
_IMPORTS = {
    "separate": ("os", "shutil", "sys", "tempfile"),
    "predictor": ("os", "sys", "tempfile"),
    "onnx": ("os", "sys", "tempfile"),
    "dygraph": ("sys",),
    "permuted": ("sys",),
    "rows": ("sys",),
}
_OTHERS = {"onnx": "import onnxruntime\nimport paddle2onnx\n"}
UNEXPORTED = ("dygraph", "permuted", "rows", "restored")
COARSE_SHARE, SHARE = 0.1, 1e-3
"""Of the largest expected value: what a script's verdict lets pass."""


def write(pool: WorkerPool, finding: Finding) -> str:
    """The script's text; the sources of network and feeds come from the release's own worker.

    Of a finding between two releases: a script that writes in the one and reads in the other.

    Raises:
        WorkerFailure: the worker could not write them.
    """
    network, stage = finding.network, finding.failure.stage
    parts: dict[str, Any] = pool.call(
        "checks.generated.script.parts", network=network, batches=batches(network), run=finding.failure.run,
        folded=stage == "folded",
    )  # fmt: skip
    base = "predictor" if stage.startswith(("predictor", "folded")) else stage
    if base not in _RUN:
        return f"raise SystemExit('no plain Paddle calls are known for the stage {stage}')\n"
    imports = set(_IMPORTS.get(base, ("sys", "tempfile"))) | ({"os"} if finding.across else set())
    head = f'"""{finding.release}, {stage}: {finding.failure.outcome}. {_one_line(finding)}"""\n\n'
    text: str = head + "\n".join(f"import {name}" for name in sorted(imports)) + "\n\n"
    text += parts["source"].replace("import paddle\n", _OTHERS.get(base, "") + "import paddle\n", 1).rstrip()
    text += "\n\n\n"
    text += "tensors = lambda found: found if isinstance(found, (list, tuple)) else [found]  # noqa: E731\n"
    text += f"feed = [{', '.join(parts['feed'])}]\nnet = Network()\nnet.eval()\n"
    if parts["expected"]:
        text += f"expected = [{', '.join(parts['expected'])}]\n"
    else:
        text += "expected = [t.numpy() for t in tensors(net(*map(paddle.to_tensor, feed)))]\n"
    if base not in UNEXPORTED:
        text += (_EXPORT_ACROSS if finding.across else _EXPORT).format(specs=", ".join(parts["specs"]))
    text += _RUN[base].replace("{options}", _OPTIONS.get(stage, ""))
    again = 2 if "second run" in finding.failure.message else 1
    text += "\n" if base in ("predictor", "separate") else ""
    for _ in range(again):
        text += f"got = {_INFER[base]}\n"
    share = COARSE_SHARE if stage in COARSE else SHARE
    text += (
        'print("expected", *expected, "got", *got, sep="\\n")\n'
        f"same = all(e.shape == g.shape and np.allclose(e, g, {share}, {share} * np.abs(e).max(initial=0) + "
        "1e-37)\n"
        "           for e, g in zip(expected, got))\n"
        "sys.exit(0 if same else 1)\n"
    )
    return text


def _one_line(finding: Finding) -> str:
    where = f" First diverging operator: {finding.operator}." if finding.operator else ""
    gone = f" Gone without the pass {' or '.join(finding.passes)}." if finding.passes else ""
    message = finding.failure.message.replace("\\", "/").replace('"', "'")
    return f"{message[:200]}.{where}{gone}"
