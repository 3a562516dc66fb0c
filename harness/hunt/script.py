"""A finding as a script of plain Paddle: prints expected and got, and ends with 1 where they differ."""

from __future__ import annotations

from typing import Any

from harness.hunt.examine import batches
from harness.hunt.findings import Finding
from harness.workers import WorkerPool

_EXPORT = """\
prefix = tempfile.mkdtemp() + "/model"
paddle.jit.save(net, prefix, input_spec=[{specs}])
"""

_RUN = {
    "dygraph": "",
    "permuted": "",
    "rows": "",
    "export": "",
    "jit": "loaded = paddle.jit.load(prefix)\n",
    "static": """\
paddle.enable_static()
executor = paddle.static.Executor(paddle.CPUPlace())
program, names, fetches = paddle.static.load_inference_model(prefix, executor)
""",
    "predictor": """\
program = prefix + (".json" if os.path.exists(prefix + ".json") else ".pdmodel")
config = paddle.inference.Config(program, prefix + ".pdiparams")
{options}config.disable_glog_info()
predictor = paddle.inference.create_predictor(config)


def run(feed):
    for name, array in zip(sorted(predictor.get_input_names()), feed):
        predictor.get_input_handle(name).copy_from_cpu(array)
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]
""",
}

_INFER = {
    "dygraph": "[t.numpy() for t in tensors(net(*map(paddle.to_tensor, feed)))]",
    "permuted": "[t.numpy()[::-1] for t in tensors(net(*[paddle.to_tensor(a[::-1].copy()) for a in feed]))]",
    "rows": "[np.concatenate(rows) for rows in zip(*[[t.numpy() for t in tensors(net(*[paddle.to_tensor("
    "a[i:i + 1]) for a in feed]))] for i in range(len(feed[0]))])]",
    "export": "expected",
    "jit": "[t.numpy() for t in tensors(loaded(*map(paddle.to_tensor, feed)))]",
    "static": "executor.run(program, feed=dict(zip(names, feed)), fetch_list=fetches)",
    "predictor": "run(feed)",
}

_OPTIONS = {
    "predictor": "",
    "predictor-no-onednn": "config.disable_mkldnn()\n",
    "predictor-no-ir": "config.disable_mkldnn()\nconfig.switch_ir_optim(False)\n",
}


def write(pool: WorkerPool, finding: Finding) -> str:
    """The script's text; the sources of network and feeds come from the release's own worker.

    Raises:
        WorkerFailure: the worker could not write them.
    """
    network, stage = finding.network, finding.failure.stage
    parts: dict[str, Any] = pool.call(
        "generated.script.parts", network=network, batches=batches(network), run=finding.failure.run
    )
    base = "predictor" if stage.startswith("predictor") else stage
    exported = stage not in ("dygraph", "permuted", "rows")
    head = f'"""{finding.release}, {stage}: {finding.failure.outcome}. {_one_line(finding)}"""\n\n'
    imports = ["import os"] * (base == "predictor") + ["import sys"] + ["import tempfile"] * exported
    text: str = head + "\n".join(imports) + "\n\n" + parts["source"].rstrip() + "\n\n\n"
    text += "tensors = lambda found: found if isinstance(found, (list, tuple)) else [found]  # noqa: E731\n"
    text += f"feed = [{', '.join(parts['feed'])}]\nnet = Network()\nnet.eval()\n"
    if parts["expected"]:
        text += f"expected = [{', '.join(parts['expected'])}]\n"
    else:
        text += "expected = [t.numpy() for t in tensors(net(*map(paddle.to_tensor, feed)))]\n"
    if exported:
        text += _EXPORT.format(specs=", ".join(parts["specs"]))
    text += _RUN[base].format(options=_OPTIONS.get(stage, ""))
    again = 2 if "second run" in finding.failure.message else 1
    text += "\n" if base == "predictor" else ""
    for _ in range(again):
        text += f"got = {_INFER[base]}\n"
    text += (
        'print("expected", *expected, "got", *got, sep="\\n")\n'
        "same = all(e.shape == g.shape and np.allclose(e, g, 1e-3, 1e-3 * np.abs(e).max(initial=0) + 1e-37)\n"
        "           for e, g in zip(expected, got))\n"
        "sys.exit(0 if same else 1)\n"
    )
    return text


def _one_line(finding: Finding) -> str:
    where = f" First diverging operator: {finding.operator}." if finding.operator else ""
    gone = f" Gone without the pass {' or '.join(finding.passes)}." if finding.passes else ""
    message = finding.failure.message.replace("\\", "/").replace('"', "'")
    return f"{message[:200]}.{where}{gone}"
